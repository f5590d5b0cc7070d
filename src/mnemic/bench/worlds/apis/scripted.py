"""Explorer, judge, paraphraser and solver without a language model: functions of the request, with no state.

They know how dates, countries or weights can be written, as a model would, and read everything else from the prompt:
documentation, errors, demonstrations. What they prove is the machinery, not the skill of a model.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mnemic.bench.worlds.apis.entities import OPTIONS, STYLES, Mention, mentions, write
from mnemic.bench.worlds.apis.requests import BY_NAME, Pattern, pattern_of, patterns, request
from mnemic.context.ste import prompts
from mnemic.context.ste.parsing import ACTION, ANSWER, INPUT, OBSERVATION, THOUGHT
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM

_SLIP = 0.05  # share of replies that break the format, so that the parser's corrections are needed too
_FORGETS = 0.15  # share of paraphrases that lose their end, so that the second judgement is needed too
_GAVE_UP = "I could not find this out."
_SCHEMA = re.compile(r"^API name: (\S+)\nDescription: (.*)\nArguments \(JSON schema\): (.*)$", re.MULTILINE)
_DEFAULT = re.compile(r"; (.+) if not given$")


def explorer(seed: int = 0) -> ScriptedLM:
    """Imagines requests, calls, corrects itself, looks back; answers every prompt of exploration and exploitation."""
    return ScriptedLM(lambda asked: _explorer_says(asked, seed), "scripted explorer")


def _explorer_says(asked: Request, seed: int) -> str:
    last, chat = asked.messages[-1]["content"], [dict(message) for message in asked.messages]
    rng = _randomness(seed, chat)
    if last.endswith(prompts.QUERY):
        return _imagine(chat, rng)
    if last.startswith(prompts.REFLECTION):
        answer = next((m["content"] for m in reversed(chat) if m["role"] == "assistant"), "")
        return "Yes." if ANSWER in answer and _GAVE_UP not in answer else "No."
    if last.startswith(prompts.JUDGE):
        return _judged(last)
    if last.endswith(prompts.PARAPHRASE):
        return _paraphrase(chat, rng)
    return _act(chat, rng)


def _randomness(seed: int, chat: Sequence[Mapping[str, str]]) -> np.random.Generator:
    """Random numbers that follow from the request: the same question gets the same answer."""
    said = "\n".join(message["content"] for message in chat)
    return np.random.default_rng([seed, int.from_bytes(hashlib.blake2b(said.encode(), digest_size=6).digest(), "big")])


# ---- documentation


@dataclass(frozen=True)
class Documented:
    """An argument as the documentation has it."""

    name: str
    style: str
    default: str = ""

    @property
    def kind(self) -> str:
        return STYLES[self.style][0]


def documented(schema: str) -> list[Documented]:
    found = []
    for name, about in json.loads(schema)["properties"].items():
        said = about["description"]
        default = _DEFAULT.search(said)
        style = said.split(", as ", 1)[1].split(";")[0]
        found.append(Documented(name, style, default[1] if default else ""))
    return found


def matched(slots: Sequence[Documented], found: Sequence[Mention]) -> list[tuple[Documented, Mention]]:
    """Each mention with the argument of its kind, in the order of the documentation."""
    left = list(slots)
    pairs = []
    for mention in found:
        slot = next((one for one in left if one.kind == mention.kind), None)
        if slot:
            left.remove(slot)
            pairs.append((slot, mention))
    return pairs


# ---- the explorer


def _imagine(chat: list[dict[str, str]], rng: np.random.Generator) -> str:
    """A request with details that were not tried, or not solved, before; later ones stay near the one before."""
    api = BY_NAME[_api(chat)[0]]
    before = [pattern_of(api, query) for query in _queries(chat)]
    remembered = [line for line in chat[-1]["content"].splitlines() if line.startswith("> ")]
    tried: dict[Pattern, int] = dict.fromkeys(patterns(api), 0)
    unsolved: set[Pattern] = set()
    for line in remembered:
        query, _, solved = line.removeprefix("> ").partition(" | Solved: ")
        pattern = pattern_of(api, query)
        tried[pattern] += 1
        unsolved = unsolved - {pattern} if solved == "Yes" else unsolved | ({pattern} if solved == "No" else set())
    for pattern in [] if remembered else before:
        tried[pattern] += 1
    least = min(tried.values())
    fresh = [pattern for pattern, times in tried.items() if not times]
    some = fresh or sorted(unsolved, key=sorted) or [pattern for pattern, times in tried.items() if times == least]
    if before:
        nearest = min(len(pattern ^ before[-1]) for pattern in some)
        some = [pattern for pattern in some if len(pattern ^ before[-1]) == nearest]
    return request(api, some[int(rng.integers(len(some)))], "bank", rng)[0]


def _api(chat: Sequence[Mapping[str, str]]) -> tuple[str, str]:
    """Name and schema from the first documentation in the chat."""
    found = next(match for message in chat if (match := _SCHEMA.search(message["content"])))
    return found[1], found[3]


def _queries(chat: Sequence[Mapping[str, str]]) -> list[str]:
    """Requests imagined so far in this chat: what was said after each question for one."""
    pairs = itertools.pairwise(chat)
    return [said["content"] for asked, said in pairs if asked["content"].endswith(prompts.QUERY)]


@dataclass
class Learned:
    """What errors have said about an API. Formats and lists hold for all arguments of a kind."""

    names: dict[str, str] = field(default_factory=dict)
    styles: dict[str, str] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    constants: dict[str, Any] = field(default_factory=dict)
    defaults: set[str] = field(default_factory=set)  # documented defaults that are not true

    def hear(self, said: str, kinds: Mapping[str, str]) -> None:
        """Read one error or note. kinds: documented argument -> kind"""
        kind_of = {self.names.get(name, name): kind for name, kind in kinds.items()}
        for name, real in re.findall(r'unknown argument "(\w+)": did you mean "(\w+)"', said):
            self.names[name] = real
        for style in re.findall(r'"\w+" cannot be .*: give the \w+ as (.+)$', said):
            self.styles[STYLES[style][0]] = style
        for name, place in re.findall(r'"(\w+)" belongs inside of the object "(\w+)"', said):
            self.inside[name] = place
        for name in re.findall(r'"(\w+)" must be a list', said):
            self.listed.add(kind_of[name])
        for name, value in re.findall(r'missing argument "(\w+)": use (\d+)', said):
            self.constants[name] = int(value)
        for value in re.findall(r"was not given: ([\w-]+) is assumed", said):
            self.defaults.update(kind for kind in kinds.values() if value in _words(kind))

    def call(self, slots: Sequence[Documented], found: Sequence[Mention]) -> dict[str, Any]:
        """Arguments after the documentation, with everything that was learned."""
        args: dict[str, Any] = dict(self.constants)
        for slot, mention in matched(slots, found):
            if mention.value == slot.default and slot.kind not in self.defaults:
                continue  # the documentation says that this is what happens anyway
            key = self.names.get(slot.name, slot.name)
            value = write(self.styles.get(slot.kind, slot.style), mention.value)
            place = args.setdefault(self.inside[key], {}) if key in self.inside else args
            place[key] = [value] if slot.kind in self.listed else value
        return args


def _words(kind: str) -> list[str]:
    return list(OPTIONS.get(kind, ()))


def _act(chat: list[dict[str, str]], rng: np.random.Generator) -> str:
    """Call, or answer once a result is there; everything that the chat has shown is used."""
    name, schema = _api(chat)
    slots, query = documented(schema), _queries(chat)[-1]
    kinds = {slot.name: slot.kind for slot in slots}
    learned = Learned()
    for said in _observations(chat):
        learned.hear(said if isinstance(said, str) else str(said.get("error") or said.get("note") or ""), kinds)
    last = _observation(chat[-1]["content"])
    args = learned.call(slots, mentions(query))
    before = _last_call(chat)
    if last is not None and not _failed(last) and (args == before or last == prompts.NOT_EXECUTED):
        said = "it is done." if isinstance(last, str) else json.dumps(last.get("result"), ensure_ascii=False)
        return f"{THOUGHT} I know enough\n{ANSWER} The result: {said}"
    if last is not None and args == before:
        return f"{THOUGHT} Nothing helps.\n{ANSWER} {_GAVE_UP}"
    if rng.random() < _SLIP:
        return f"{THOUGHT} I call it.\n{ACTION} {name}"
    return f"{THOUGHT} I call it.\n{ACTION} {name}\n{INPUT} {json.dumps(args, ensure_ascii=False)}"


def _observations(chat: Sequence[Mapping[str, str]]) -> Iterator[Any]:
    for message in chat:
        if (said := _observation(message["content"])) is not None:
            yield said


def _observation(content: str) -> Any:
    """A result, as an object where it is one; None for anything else, a correction of the parser too."""
    if not content.startswith(f"{OBSERVATION}\n> "):
        return None
    text = "\n".join(line.removeprefix("> ") for line in content.splitlines()[1:])
    try:
        return json.loads(text)
    except ValueError:
        return text


def _failed(result: Any) -> bool:
    return isinstance(result, dict) and "error" in result


def _last_call(chat: Sequence[Mapping[str, str]]) -> Any:
    """Arguments of the last call of the running trial, None before the first."""
    for message in reversed(chat):
        if message["role"] == "assistant" and INPUT in message["content"]:
            return json.loads(message["content"].split(INPUT, 1)[1])
        if message["content"].endswith(prompts.QUERY):
            return None
    return None


# ---- the judge and the paraphraser


def _judged(content: str) -> str:
    _, request_lines, call, result, answer = re.findall(r"(?:^> .*\n?)+|(?=^API name)", content, re.MULTILINE)[:5]
    query, said = _unquoted(request_lines), _unquoted(answer)
    args, observed = json.loads(_unquoted(call).splitlines()[1]), _unquoted(result)
    found = mentions(query)
    failed = '"error"' in observed or _GAVE_UP in said
    faithful = said.removeprefix("The result: ") in observed or observed == prompts.NOT_EXECUTED
    missing = [mention for mention in found if not _is_said(mention, args, content, observed)]
    extra = [leaf for path, leaf in leaves(args) if path != ("version",) and not _explained(leaf, found)]
    lines = [
        "1) No. It did not work." if failed else "1) Yes. The user gets it.",
        "2) Yes. The result says so." if faithful and not failed else "2) No. The result does not say so.",
        "3) No. The call says something else." if missing or extra else "3) Yes. All is in the call.",
    ]
    return "\n".join(lines)


def _is_said(mention: Mention, args: Any, content: str, observed: str) -> bool:
    """The call says it, or the documentation says that it is so anyway and the result does not deny it."""
    if any(_explained(leaf, [mention]) for _, leaf in leaves(args)):
        return True
    return f"{mention.value} if not given" in content and '"note"' not in observed


def _explained(leaf: Any, found: Sequence[Mention]) -> bool:
    return any(_style_of(leaf, mention) for mention in found)


def _style_of(leaf: Any, mention: Mention) -> str:
    """The style in which this argument says the mention, empty when it says something else."""
    fitting = (name for name, (kind, _) in STYLES.items() if kind == mention.kind)
    return next((name for name in fitting if _same(write(name, mention.value), leaf)), "")


def _same(written: Any, leaf: Any) -> bool:
    return bool(written == leaf) and isinstance(written, str) == isinstance(leaf, str)


def leaves(args: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Innermost values with the way to them."""
    inner = args.items() if isinstance(args, dict) else enumerate(args) if isinstance(args, list) else None
    if inner is None:
        yield path, args
    else:
        for key, value in inner:
            yield from leaves(value, (*path, key))


def _unquoted(block: str) -> str:
    return "\n".join(line.removeprefix("> ") for line in block.strip().splitlines())


_WRAPPERS = ("Please help: {}", "I would like to know this: {}", "Hello. {}", "Quick question: {}", "{} Thanks.",
             "Could you look this up? {}")  # fmt: skip


def _paraphrase(chat: list[dict[str, str]], rng: np.random.Generator) -> str:
    query = next(_unquoted(line) for line in chat[1]["content"].splitlines() if line.startswith("> "))
    said = sum(message["role"] == "assistant" for message in chat)
    if rng.random() < _FORGETS:
        query = " ".join(query.split()[:-3])
    return _WRAPPERS[said % len(_WRAPPERS)].format(query)
