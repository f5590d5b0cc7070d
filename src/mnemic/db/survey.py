"""What the lines of an export say of each other: ids once, links from records, records as the log left them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mnemic.db.exported import Known, Line, bad_line, read
from mnemic.db.replaying import MASK, Ends, Replay, digest, sum_of
from mnemic.db.rows import state_of
from mnemic.errors import InputError
from mnemic.moment import shown
from mnemic.record import Edge, Operation, Record

_CUT = "(was the file cut off?)"
_SPACE = ""  # all lines are of one


@dataclass(frozen=True)
class Summary:
    """What a whole file holds. logged is False for one without operations: nothing tells how its records came."""

    records: int
    logged: bool


def survey(path: str | Path, space: str, *, taken: Callable[[str], str | None]) -> Summary:
    """Read the whole file and check what its lines say of each other: ids, sources of links, records against log.

    taken   id of a record -> the other space of the memory that holds it, or None

    Keeps digests of records, not their text. Raises InputError for the first line that cannot be right.
    """
    found = _Survey(path, taken)
    for line in read(path, space):
        found.see(line)
    found.compare()
    return Summary(len(found.records), bool(found.last))


class _Survey:
    """The lines so far.

    records   id -> (line, digest of its state)
    logged    id -> line of its newest operation
    edges     id -> sum of the links that were read in it (see replaying.sum_of)
    links     links that a person made, as Replay keeps them
    last      position of the newest operation, 0 before the first
    """

    def __init__(self, path: str | Path, taken: Callable[[str], str | None]) -> None:
        self.path, self.taken = path, taken
        self.records: dict[str, tuple[int, bytes]] = {}
        self.logged: dict[str, int] = {}
        self.edges: dict[str, int] = {}
        self.links: dict[Ends, list[float]] = {}
        self.files: set[str] = set()
        self.replay = Replay()
        self.last = 0

    def see(self, line: Line) -> None:
        match line.value:
            case Record() as record:
                self._see_record(line.number, record)
            case Operation() as operation:
                self._see_operation(line.number, operation)
            case Edge() as edge:
                self._see_edge(line.number, edge)
            case Known() as known:
                if known.source in self.files:
                    raise self._bad(line.number, f"the file {shown(known.source)} is in the ledger twice")
                self.files.add(known.source)

    def _see_record(self, number: int, record: Record) -> None:
        if record.id in self.records:
            raise self._bad(number, f"record {record.id} is there twice (line {self.records[record.id][0]})")
        if space := self.taken(record.id):
            raise InputError(f'{Path(self.path).name}:{number}: record {record.id} is in the space "{space}" of this '
                             "file already: load the export into another file.")  # fmt: skip
        self.records[record.id] = (number, digest(state_of(record)))

    def _see_operation(self, number: int, operation: Operation) -> None:
        if operation.n <= self.last:
            raise self._bad(number, f"operation {operation.n} comes after operation {self.last}")
        self.last = operation.n
        if wrong := self.replay.see(operation, _SPACE):
            raise self._bad(number, f"operation {operation.n} {wrong}")
        self.logged[operation.target] = number

    def _see_edge(self, number: int, edge: Edge) -> None:
        parts = (edge.head, edge.relation, edge.tail, edge.weight)
        if edge.source is None:
            self.links.setdefault((_SPACE, *parts[:3]), []).append(float(edge.weight))
        elif edge.source not in self.records:
            raise self._bad(number, f"the link was read from {edge.source}, which is no record above it")
        else:
            self.edges[edge.source] = (self.edges.get(edge.source, 0) + sum_of([parts])) & MASK

    def compare(self) -> None:
        """The log must have left what the lines of records and links say."""
        if not self.last:
            return
        for n in self.replay.unexplained():
            raise InputError(f"{Path(self.path).name}: operation {n} lost what it says, and nothing was erased {_CUT}.")
        for id, (number, state) in self.records.items():
            newest = self.replay.newest.get((_SPACE, id))
            if newest is None or newest.state is None:
                raise self._bad(number, f"record {id} is not in the log {_CUT}")
            if newest.state != state:
                raise self._bad(number, f"record {id} differs from what the log says {_CUT}")
            if newest.edges != self.edges.get(id, 0) and not self.replay.erased:  # these take links of others along
                raise self._bad(number, f"the links of record {id} differ from what the log says {_CUT}")
        for (_, id), newest in self.replay.newest.items():
            if newest.state is not None and id not in self.records:
                raise self._bad(self.logged[id], f"record {id} should be there by now, and no line holds it {_CUT}")
        for ends, weights in self.replay.links.items():
            if weights != self.links.get(ends, []):
                raise self._bad(self.logged[ends[1]], f"no line holds the link {shown(ends[1:])} {_CUT}")

    def _bad(self, number: int, what: str) -> InputError:
        return bad_line(self.path, number, what)
