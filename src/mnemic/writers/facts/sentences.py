"""Sentences of a chat or diary, and what is worth a look: the gate that decides before any rule or model reads."""

from __future__ import annotations

import re

from mnemic.quote import DATA_LINE, visible
from mnemic.recall.terms import STOPWORDS, words
from mnemic.writers.facts.candidate import content
from mnemic.writers.facts.clauses import subject_of

_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+|\n+|(?<=[a-z)\]]);\s+")
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|e\.g|i\.e|etc|No|Jr|Sr|a\.m|p\.m|[A-Z])\.$")
_LONGEST = 600  # characters of a sentence; a longer one is a table or a log
_FEWEST = 3  # words of a statement: who, does, what ("I'm single" has three)

_QUESTION = re.compile(r"[?？؟][\"'”’)\s]*$")
_ASKING = re.compile(
    r"^(?:so |and |but )?(?:who|what|when|where|why|how|which|do|does|did|are|is|was|were|can|could|would|will|"
    r"have you|has)\s+(?:you|your|we|i|he|she|they|it|that|this|there|the|anyone|about)\b", re.I
)  # fmt: skip
_GREETING = re.compile(
    r"^(?:hi|hey|hello|yo|bye|goodbye|good (?:morning|night|evening|afternoon|luck|to (?:see|hear))|thanks|thank you|"
    r"congrats|congratulations|talk to you|see you|take care|have (?:fun|a (?:good|great|nice))|"
    r"you'?re welcome|nice to|keep (?:it|up)|let me know|sounds (?:good|great|like)|way to go|well done|"
    r"good (?:job|for you)|cheers|best of luck|great (?:to|job|work)|i (?:totally |really )?agree|same here|"
    r"me too|glad)\b", re.I
)  # fmt: skip
_WORD = re.compile(r"\w+")
_NAMED = re.compile(r"\b(?:i|i['’](?:m|ve|d|ll)|my|me|we|we['’](?:re|ve|d)|our)\b", re.I)
_CAPITAL = re.compile(  # not the first word, which has one anyway, unless something is theirs
    r"(?<=[a-z,;] )[A-Z]\w+|"
    r"^(?!(?:It|That|What|He|She|There|Here|Let|Who|This|Where|How|Every\w+)\b)[A-Z]\w+['’]s [a-z]"
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, without quoted memories (lines that begin with ">" or "[1] >")."""
    lines = [line for line in visible(text).split("\n") if not DATA_LINE.fullmatch(line)]
    found: list[str] = []
    for line in lines:
        start = 0
        for end in _END.finditer(line):
            if _ABBREVIATION.search(line[start : end.start()]):
                continue
            found.append(line[start : end.end()])
            start = end.end()
        found.append(line[start:])
    return [" ".join(each.split()) for each in found if each.strip()]


def idle(sentence: str) -> str:
    """Why a sentence is not worth a look; empty when it is. Cheap: words and punctuation only."""
    if len(sentence) > _LONGEST:
        return "longer than a sentence"
    if _QUESTION.search(sentence) or _ASKING.match(sentence):
        return "a question"
    if _GREETING.match(sentence):
        return "small talk"
    said = content(sentence)
    if max(len(_WORD.findall(sentence)), len(said)) < _FEWEST or not said:
        return "too short to say anything"
    if _is_english(sentence) and not _about_somebody(sentence):
        return "about nobody"
    return ""


def _is_english(sentence: str) -> bool:
    """Only then do these rules know who it is about; of another language a model may make something."""
    return bool(set(words(sentence)) & STOPWORDS)


def _about_somebody(sentence: str) -> bool:
    """It says I, my or we, or names somebody: at its beginning as who does it, or anywhere else."""
    return bool(_NAMED.search(sentence) or _CAPITAL.search(sentence)) or subject_of(sentence, "x") is not None
