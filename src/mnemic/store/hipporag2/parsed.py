"""Open information extraction without a language model: triples from spaCy's dependency parse.

Of every clause: who does it, what it does, to whom or what, and the same with each preposition ("moved to"). Of
every noun: what it is called or also is (apposition), whose it is, and what its prepositions hang on it.
"I" is the speaker, other pronouns the thing last named as a subject, or the passage's heading.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mnemic.errors import MissingExtra
from mnemic.store.hipporag2.triples import Passage, Reading, Triple, pieces

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span, Token

_LONGEST = 100_000  # characters parsed at once: spaCy needs about a gigabyte for a million
_HEADING = 80  # a first line of at most so many characters is what the passage is about
_CHAIN = (
    30  # links of a chain that are followed, "wants to try to help to ...": lists without a full stop have thousands
)

_SUBJECTS = {"nsubj", "nsubjpass", "csubj", "expl"}
_OBJECTS = {"dobj", "obj", "attr", "oprd", "dative", "acomp"}
_NOUNS = {"NOUN", "PROPN", "NUM", "PRON"}
_SELF = {"i", "me", "my", "mine", "myself", "we", "us", "our", "ours"}
_RELATIVE = {"who", "whom", "whose", "which", "that"}
_OTHER = {"he", "she", "it", "they", "him", "her", "them", "his", "its", "their", "this"} | _RELATIVE
_OUTSIDE = {"relcl", "acl", "appos", "prep", "cc", "conj", "det", "punct", "poss", "case", "advcl"}  # not of the name


class ParsedOpenIE:
    """Extractor: an English pipeline of spaCy, the one named or the first `en_core_web_*` that is installed.

    Raises MissingExtra when spaCy is not installed, or has no English pipeline.
    """

    def __init__(self, model: str = "") -> None:
        self._model = model

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        cut = [(n, piece) for n, passage in enumerate(passages) for piece in pieces(passage.text, _LONGEST)]
        found: list[dict[Triple, None]] = [{} for _ in passages]
        for (n, _), doc in zip(cut, self._pipeline.pipe(text for _, text in cut), strict=True):
            read = _Reader(doc, passages[n].speaker).triples()
            found[n].update(dict.fromkeys(triple for triple in read if all(triple)))  # "the" and "'s" name nothing
        return [Reading(tuple(triples)) for triples in found]

    @cached_property
    def _pipeline(self) -> Language:
        try:
            import spacy
        except ModuleNotFoundError:
            raise MissingExtra("reading triples without a language model", "nlp") from None
        names = [self._model] if self._model else sorted(spacy.util.get_installed_models())
        name = next((name for name in names if self._model or name.startswith("en_core_web")), "")
        if not name or not spacy.util.is_package(name):
            error = MissingExtra("reading triples without a language model", "nlp")
            error.args = (f"{error.args[0]} Then `python -m spacy download en_core_web_sm` for its English pipeline.",)
            raise error
        return spacy.load(name, exclude=["lemmatizer"])


class _Reader:
    """One parsed text on its way to triples."""

    def __init__(self, doc: Doc, speaker: str | None) -> None:
        self.doc, self.speaker = doc, speaker
        first, _, rest = doc.text.partition("\n")
        self.topic = first.strip() if rest and len(first) <= _HEADING else ""
        self.entity = {token.i: span for span in doc.ents for token in span}

    def triples(self) -> Iterator[Triple]:
        for sentence in self.doc.sents:
            for token in sentence:
                if token.pos_ in ("VERB", "AUX"):
                    yield from self._clause(token)
                elif token.pos_ in _NOUNS:
                    yield from self._noun(token)

    # ---- clauses

    def _clause(self, verb: Token) -> Iterator[Triple]:
        subjects = [phrase for token in _subjects(verb) for phrase in self._phrases(token)]
        said = _relation(verb)
        for subject in subjects:
            for relation, target in self._targets(verb, said):
                if target and target != subject:
                    yield subject, relation, target
        for token in _subjects(verb):
            if token.pos_ == "PROPN" or token.i in self.entity or self._called(token):
                self.topic = self._name(token)

    def _targets(self, verb: Token, said: str) -> Iterator[tuple[str, str]]:
        """What a verb leads to: relation and phrase."""
        if said.count(" ") > _CHAIN:
            return
        for child in verb.children:
            if child.dep_ in _OBJECTS:
                for phrase in self._phrases(child):
                    yield said, phrase
                yield from self._hanging(child, said)
            elif child.dep_ in ("prep", "agent"):
                yield from self._through(child, said)
            elif child.dep_ in ("npadvmod", "advmod") and child.i in self.entity:
                yield said, self._name(child)
            elif child.dep_ in ("xcomp", "ccomp") and not _own_subjects(child):
                yield from self._targets(child, f"{said} {_relation(child)}")

    def _through(self, preposition: Token, said: str) -> Iterator[tuple[str, str]]:
        relation = f"{said} {preposition.lower_}"
        if relation.count(" ") > _CHAIN:
            return
        for child in preposition.children:
            if child.dep_ == "pobj":
                for phrase in self._phrases(child):
                    yield relation, phrase
                yield from self._hanging(child, relation)
            elif child.dep_ == "prep":
                yield from self._through(child, relation)

    def _hanging(self, noun: Token, said: str) -> Iterator[tuple[str, str]]:
        """What prepositions hang on an object: "is the capital" + "of France"."""
        for child in noun.children:
            if child.dep_ == "prep":
                yield from self._through(child, f"{said} {self._name(noun)}")

    # ---- nouns

    def _noun(self, noun: Token) -> Iterator[Triple]:
        name = self._name(noun)
        for child in noun.children:
            if child.dep_ == "appos" and child is self._called(noun):
                yield name, "is", self._described(noun)
            elif child.dep_ == "appos" and noun.i not in self._entity_of(child):
                yield from ((name, "is", phrase) for phrase in self._phrases(child) if phrase != name)
            elif child.dep_ == "poss":
                yield from ((owner, "has", name) for owner in self._phrases(child) if owner != name)
            elif child.dep_ == "prep" and noun.pos_ != "PRON" and noun.i not in self._entity_of(child):
                for relation, phrase in self._through(child, ""):
                    yield name, relation.strip(), phrase

    def _entity_of(self, token: Token) -> range:
        span: Span | None = self.entity.get(token.i)
        return range(span.start, span.end) if span is not None else range(0)

    def _phrases(self, token: Token) -> list[str]:
        """A noun and what is joined to it by "and"; nothing for a pronoun that stands for nobody known."""
        names = [self._name(one) for one in (token, *token.conjuncts)]
        return [name for name in dict.fromkeys(names) if name]

    def _name(self, token: Token) -> str:
        """What a noun is called: the entity it is in, else it and the words that describe it."""
        if token.pos_ == "PRON" or (token.lower_ in _SELF | _OTHER and token.dep_ == "poss"):
            return self._stood_for(token)
        if token.i in self.entity:
            return _bare(self.entity[token.i].text)
        called = self._called(token)
        return self._name(called) if called is not None else self._described(token)

    def _called(self, noun: Token) -> Token | None:
        """The name beside a noun that has none itself: Tom in "her brother Tom"."""
        if noun.i in self.entity or noun.pos_ != "NOUN":
            return None
        return next((child for child in noun.children if child.dep_ == "appos" and child.i in self.entity), None)

    def _described(self, token: Token) -> str:
        kept = [token.i, *(word.i for child in token.children if child.dep_ not in _OUTSIDE for word in child.subtree)]
        words = [self.doc[i] for i in sorted(kept) if token.i - 8 <= i <= token.i + 8]
        return _bare(" ".join(word.text for word in words))

    def _stood_for(self, pronoun: Token) -> str:
        if pronoun.lower_ in _SELF:
            return self.speaker or ""
        if pronoun.lower_ in _RELATIVE:
            clause = next((word for word in pronoun.ancestors if word.dep_ == "relcl"), None)
            if clause is not None and clause.head.pos_ in _NOUNS - {"PRON"}:
                return self._name(clause.head)
        return self.topic if pronoun.lower_ in _OTHER else ""


def _subjects(verb: Token) -> list[Token]:
    """Who does it: a verb joined to another by "and" takes over its subject; a participle says it of its noun."""
    for _ in range(_CHAIN):
        own = _own_subjects(verb)
        if own:
            return own
        if verb.dep_ != "conj" or verb.head.pos_ not in ("VERB", "AUX"):
            break
        verb = verb.head
    return [verb.head] if verb.dep_ == "acl" and verb.head.pos_ in _NOUNS else []


def _own_subjects(verb: Token) -> list[Token]:
    return [child for child in verb.children if child.dep_ in _SUBJECTS]


def _relation(verb: Token) -> str:
    """The verb with its auxiliaries, negation and particle, as they stand: "was not born", "set up"."""
    parts = [child for child in verb.children if child.dep_ in ("aux", "auxpass", "neg", "prt")]
    return " ".join(token.lower_ for token in sorted([*parts, verb], key=lambda token: token.i))


def _bare(text: str) -> str:
    """Without an article before it and an ending after it."""
    words: list[Any] = text.split()
    while words and words[0].lower() in ("the", "a", "an"):
        words = words[1:]
    plain = " ".join(words)
    return plain.removesuffix("'s").removesuffix("’s").strip(" ,;:.\"'")
