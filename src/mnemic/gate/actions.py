"""What an agent can do: tools with the functions behind them, and the ones that a memory offers by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnemic.errors import InputError
from mnemic.gate.trust import UNTRUSTED, Level
from mnemic.lm.exchange import Tool
from mnemic.record import Hit, Operation, Record
from mnemic.seams import View

_MOST = 20  # records that one call of recall shows


@dataclass(frozen=True)
class Action:
    """A tool and what it does.

    run       arguments -> what came of it, as text or as hits of the memory
    reads     True when it changes nothing and sends nothing out of this process: then no grant is needed. A tool that
              opens an address is none of these: what it asks for can carry anything away
    returns   how far a text that it returns is trusted; hits are trusted as their records are
    """

    tool: Tool
    run: Callable[[Mapping[str, Any]], str | Sequence[Hit]]
    reads: bool = False
    returns: Level = UNTRUSTED


@dataclass(frozen=True)
class Write:
    """A tool that changes the memory: it proposes operations, which are sifted and committed."""

    tool: Tool
    propose: Callable[[Mapping[str, Any]], Sequence[Operation]]


def memory_actions(memory: View) -> list[Action | Write]:
    """The tools of a memory: recall (free to call), remember, correct, forget (each wants a grant)."""
    text = {"type": "string", "minLength": 1}

    def recall(arguments: Mapping[str, Any]) -> Sequence[Hit]:
        return memory.recall(arguments["query"], k=min(_MOST, arguments.get("k", 5)))

    def remember(arguments: Mapping[str, Any]) -> list[Operation]:
        return [Operation("insert", "", after={"kind": "fact", "text": arguments["text"]}, why="remember")]

    def correct(arguments: Mapping[str, Any]) -> list[Operation]:
        old, new = arguments["old"], arguments["new"]
        found = [record for record in _holding(memory, old) if old in record.text]
        return [Operation("update", record.id, after={"text": record.text.replace(old, new)}, why="correct")
                for record in found]  # fmt: skip

    def forget(arguments: Mapping[str, Any]) -> list[Operation]:
        return [Operation("delete", record.id, why="forget") for record in _holding(memory, arguments["about"])]

    return [
        Action(Tool("recall", "Find memories.", _object(query=text, k={"type": "integer", "minimum": 1})), recall,
               reads=True),
        Write(Tool("remember", "Keep a new memory.", _object(text=text)), remember),
        Write(Tool("correct", "Replace words in every memory that holds them.", _object(old=text, new=text)),
              correct),
        Write(Tool("forget", "Let every memory go that holds these words.", _object(about=text)), forget),
    ]  # fmt: skip


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    needed = [name for name in properties if name != "k"]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def _holding(memory: View, words: str) -> list[Record]:
    """Records that hold the words, in any case; those that have ended left out."""
    wanted = " ".join(words.split()).casefold()
    if not wanted:
        raise InputError("say which memories: give at least one word.")
    current = memory.records({"current": True})
    return [record for record in current if wanted in " ".join(record.text.split()).casefold()]
