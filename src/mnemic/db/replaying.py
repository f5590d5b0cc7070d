"""The log read again from its beginning: what each record should be by now, and whether each operation goes on
from the one before it. Kept as digests, so that a long log needs little memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from mnemic.db.rows import dumps
from mnemic.record import Operation

Key = tuple[str, str]  # space and id of a record
MASK = (1 << 64) - 1  # sums of hashes stay within 64 bits
Ends = tuple[str, str, str, str]  # space, head, relation and tail of a link that a person made


class Newest(NamedTuple):
    """What the newest operation of a record left: a digest of its state, None when it was gone, and of its links."""

    n: int
    state: bytes | None
    edges: int


class Replay:
    """The operations so far.

    newest   (space, id) -> what the newest operation left, links aside
    links    (space, head, relation, tail) -> weights, oldest first
    erased   ids: links with one of these went with it
    emptied  (space, id) -> n of an operation whose content was taken out: only an erase does that
    """

    def __init__(self) -> None:
        self.newest: dict[Key, Newest] = {}
        self.links: dict[Ends, list[float]] = {}
        self.erased: set[str] = set()
        self.emptied: dict[Key, int] = {}

    def see(self, operation: Operation, space: str) -> str:
        """Take in the next operation; returns what is wrong with it, or nothing."""
        if operation.kind in ("link", "unlink"):
            self._link(operation, space)
            return ""
        if not operation.target:  # the line that counts old evictions
            return ""
        key = (space, operation.target)
        _, was, links = self.newest.get(key, Newest(0, None, 0))
        before, after = operation.before, operation.after
        edges = sum_of((after or {}).get("edges", ()))
        self.newest[key] = Newest(operation.n, digest(after) if after else None, edges)
        if operation.kind == "erase":
            self._erase(operation.target)
        elif before is after is None and operation.kind != "evict":
            self.emptied[key] = operation.n
        if operation.kind == "insert" and was is not None:
            return "inserts a record that is there"
        if before is not None and digest(before) != was:
            return "does not go on from the operation before it"
        if before is not None and sum_of(before.get("edges", ())) != links and not self.erased:
            return "does not go on from the links that the operation before it left"  # an erase takes some along
        if before is None and after is not None and operation.kind != "insert":
            return "does not say what it changed"
        return ""

    def unexplained(self) -> list[int]:
        """n of operations that lost their content without an erase."""
        return sorted(n for (_, id), n in self.emptied.items() if id not in self.erased)

    def _link(self, operation: Operation, space: str) -> None:
        state = operation.after or operation.before
        if state is None:  # an end of it was erased
            return
        head, relation, tail, weight = state["edge"]
        weights = self.links.setdefault((space, head, relation, tail), [])
        if operation.kind == "link":
            weights.append(float(weight))
        elif weights:
            weights.pop(0)

    def _erase(self, id: str) -> None:
        self.erased.add(id)
        for ends in [ends for ends in self.links if id in (ends[1], ends[3])]:
            del self.links[ends]


def digest(state: Mapping[str, Any]) -> bytes:
    """Equal for two states that say the same of a record, links aside; a number may be whole or not."""
    plain = {name: value for name, value in state.items() if name != "edges"}
    if "importance" in plain:
        plain["importance"] = float(plain["importance"])
    return blake2b(dumps(plain).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def sum_of(edges: Iterable[Sequence[Any]]) -> int:
    """Equal for the same [head, relation, tail, weight] in any order, 0 for none; sums of parts add up."""
    return sum(_number(edge) for edge in edges) & MASK


def _number(edge: Sequence[Any]) -> int:
    head, relation, tail, weight = edge
    told = dumps([head, relation, tail, float(weight)]).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big")
