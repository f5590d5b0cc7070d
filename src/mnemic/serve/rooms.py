"""A space of a memory as one session sees it: a Memory that keeps silent about all other spaces of the file.

Spaces share a file, so the file as a whole tells of all of them: the numbers of its operations, its size. A room counts
its own operations, 1, 2, ... in this space, and tells sizes only to who may know the whole file.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mnemic.commit import Committer
from mnemic.db.erasing import Erasure
from mnemic.db.rows import operation_of
from mnemic.db.store import OPERATION
from mnemic.errors import InputError, NotFound
from mnemic.limits import checked_count
from mnemic.memory import Memory, Where
from mnemic.meter import Unit, Used
from mnemic.moment import Time, moment
from mnemic.record import Operation, Outcome
from mnemic.seams import LanguageModel
from mnemic.serve.access import PERSON, Denied, Session

if TYPE_CHECKING:
    from mnemic.db.checking import Report
    from mnemic.serve.pool import Pool
    from mnemic.snapshot import Snapshot

_NUMBER = re.compile(r"(operation |#)(\d+)")
_ELSEWHERE = re.compile(r' is in the space ".*" of this file')
_WHOLE_FILE = ("path", "bytes", "on_disk")
_PAGE = 50  # operations whose numbers are looked up together


class Room(Memory):
    """A Memory of one space, shared by all requests; `seen_by` gives it to one session.

    session   who asks; None for the shared one, which only the library itself uses
    """

    session: Session | None = None
    _pool: Pool | None = None

    def prepare(self, pool: Pool) -> None:
        """Make once what all requests share."""
        self._pool = pool
        _ = self.writer, self.retriever, self._corpus, self._committer

    def seen_by(self, session: Session) -> Self:
        mine = copy(self)
        mine.session = session
        mine.__dict__["_committer"] = _Signed(self._committer, mine.who)
        return mine

    @property
    def who(self) -> str:
        """How the log names who asks."""
        return "person" if self.session is None or self.session is PERSON else f"principal:{self.session.name}"

    @property
    def lm(self) -> LanguageModel | None:
        return self._pool.lm if self._pool else None

    @property
    def whole(self) -> bool:
        """May the file as a whole be told of?"""
        return self.session is None or self.session.owner

    # ---- numbers of operations: those of this space alone

    @property
    def newest(self) -> int:
        """Number of the newest operation of the space."""
        return int(self.store.read("SELECT coalesce(max(m), 0) FROM operation WHERE space = ?", (self.space,))[0][0])

    def log(self, *, record: str | None = None, last: int | None = None, after: int = 0, where: Where = None,
            during: Any = None) -> Iterator[Operation]:  # fmt: skip
        if self.session is None:
            return super().log(record=record, last=last, after=after, where=where, during=during)
        beyond = self._reached(after) if after else 0
        return self._numbered(super().log(record=record, last=last, after=beyond, where=where, during=during))

    def operation(self, n: int) -> Operation:
        """One operation of the log; raises NotFound."""
        found = self.store.operation(self._in_file(n), self.space)
        assert found is not None
        return next(self._numbered([found]))

    def operations(self, *, record: str | None = None, after: int = 0, start: int | None = None, newest: bool = False,
                   limit: int = 100) -> list[Operation]:  # fmt: skip
        """A page of the log: numbers above `after`, going on behind `start`, forwards or from the newest backwards."""
        condition = "space = ? AND m > ?"
        parameters: list[Any] = [self.space, after]
        if start is not None:
            condition, parameters = f"{condition} AND m {'<' if newest else '>'} ?", [*parameters, start]
        if record is not None:
            condition, parameters = f"{condition} AND target = ?", [*parameters, record]
        sql = f"SELECT {OPERATION} FROM operation WHERE {condition} ORDER BY m {'DESC' if newest else ''} LIMIT ?"
        rows = self.store.read(sql, [*parameters, limit])
        return list(self._numbered(operation_of(row) for row in rows))

    def undo(self, operation: int | Operation) -> list[Operation]:
        n = operation.n if isinstance(operation, Operation) else operation
        checked_count("operation", n)
        if self.session is None:
            return super().undo(n)
        inner = self._in_file(n)
        with_numbers = self._told(inner, lambda: super(Room, self).undo(inner))
        return list(self._numbered(with_numbers))

    def as_of(self, time: Time | int) -> Snapshot:
        if self.session is None or not isinstance(time, int) or isinstance(time, bool) or not 0 < time < 2**63:
            return super().as_of(time)
        return super().as_of(self._reached(time))

    def reached(self, when: Time | int) -> int:
        """n, in the file, of the newest operation of the space when a time had passed; 0 before the first.

        when   an int is the number of an operation of this space
        """
        if isinstance(when, int):
            return self._reached(when)
        # Times never fall along a log, so the place is found by halving.
        end, low, high = moment(when).end, 0, self.newest
        while low < high:
            middle = (low + high + 1) // 2
            sql = "SELECT at_s FROM operation WHERE space = ? AND m >= ? ORDER BY m LIMIT 1"
            at = self.store.read(sql, (self.space, middle))[0][0]
            low, high = (middle, high) if at < end else (low, middle - 1)
        return self._reached(low)

    def erase(self, id: str, *, why: str = "erase") -> Erasure:
        """As Memory.erase; what is kept to answer a repeated request goes too."""
        with self.store.transaction() as db:
            db.execute("DELETE FROM answered WHERE space = ? AND (answer IS NULL OR answer LIKE '%' || ? || '%')",
                       (self.space, id if isinstance(id, str) else ""))  # fmt: skip
        receipt = super().erase(id, why=why if self.who == "person" else f"{why} (asked for by {self.who})")
        return replace(receipt, operation=self._numbers([receipt.operation])[receipt.operation])

    def _numbered(self, operations: Iterable[Operation]) -> Iterator[Operation]:
        """The same operations with the numbers of this space."""
        rest = iter(operations)
        while page := list(islice(rest, _PAGE)):
            numbers = self._numbers([n for each in page for n in (each.n, each.undoes, *_named(each.why)) if n])
            for each in page:
                yield replace(each, n=numbers[each.n], undoes=numbers.get(each.undoes) if each.undoes else None,
                              why=_renumbered(each.why, numbers) if each.undoes else each.why)  # fmt: skip

    def _numbers(self, ns: Sequence[int]) -> dict[int, int]:
        found: dict[int, int] = {}
        wanted = sorted(set(ns))
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            sql = f"SELECT n, m FROM operation WHERE n IN ({marks}) AND space = ?"
            found.update(self.store.read(sql, [*part, self.space]))
        return found

    def _in_file(self, m: int) -> int:
        rows = self.store.read("SELECT n FROM operation WHERE space = ? AND m = ?", (self.space, m)) \
            if isinstance(m, int) and 0 < m < 2**63 else []  # fmt: skip
        if not rows:
            raise NotFound(f"no operation {m} in the log of this space: the log shows what there is.")
        return int(rows[0][0])

    def _reached(self, m: int) -> int:
        """n of the newest operation up to number m."""
        m = min(m, 2**62)
        sql = "SELECT coalesce(max(n), 0) FROM operation WHERE space = ? AND m = (SELECT max(m) FROM operation " \
              "WHERE space = ? AND m <= ?)"  # fmt: skip
        return int(self.store.read(sql, (self.space, self.space, m))[0][0])

    def _told(self, n: int, act: Callable[[], list[Operation]]) -> list[Operation]:
        """What goes wrong is said in numbers of this space."""
        try:
            return act()
        except InputError as error:
            numbers = self._numbers([n, *_named(str(error))])
            raise type(error)(_renumbered(str(error), numbers)) from None

    # ---- what tells of the whole file

    def stats(self) -> dict[str, Any]:
        told = super().stats()
        if self.session is not None:
            told["spaces"] = [space for space in told["spaces"] if self.session.knows(space)]
            told["embedder"] = self.embedder.name  # None until anybody has written
        if not self.whole:
            for name in _WHOLE_FILE:
                told.pop(name)
        return told

    def used(self, unit: Unit | None = None) -> Used:
        if self.whole:
            return super().used(unit)
        used = super().used("records")
        return replace(used, parts={"records": used.amount})

    def check(self, *, repair: bool = False) -> Report:
        if not self.whole:
            raise Denied(403, "checking looks at the whole file: it needs the right to administer every space.")
        return super().check(repair=repair)

    def export(self, path: str | Path) -> int:
        if self.session is None:
            return super().export(path)
        folder = Path(path).parent
        handle, beside = tempfile.mkstemp(dir=folder, prefix=".export")
        os.close(handle)
        try:
            count = super().export(beside)
            with open(beside, encoding="utf-8") as lines, open(path, "w", encoding="utf-8") as file:
                for page in iter(lambda: list(islice(lines, _PAGE)), []):
                    file.writelines(self._lines(page))
            return count
        finally:
            os.unlink(beside)

    def _lines(self, page: Sequence[str]) -> Iterator[str]:
        told = [json.loads(line) for line in page]
        logged = [line["operation"] for line in told if "operation" in line]
        numbers = self._numbers([n for o in logged for n in (o["n"], o["undoes"], *_named(o["why"])) if n])
        for line in told:
            if "mnemic" in line:
                line["embedder"] = self.embedder.name
            if o := line.get("operation"):
                o["n"], o["undoes"] = numbers[o["n"]], numbers.get(o["undoes"])
                o["why"] = _renumbered(o["why"], numbers) if o["undoes"] else o["why"]
            yield json.dumps(line, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"

    def load(self, path: str | Path) -> list[Outcome]:
        try:
            return super().load(path)
        except InputError as error:
            raise type(error)(_ELSEWHERE.sub(" cannot be loaded here, its id is taken", str(error))) from None


class _Signed:
    """A committer that writes into the log who asked."""

    def __init__(self, committer: Committer, who: str) -> None:
        self._committer, self._who = committer, who

    def commit(self, operations: Sequence[Operation], *, who: str, **rest: Any) -> list[Outcome]:
        return self._committer.commit(operations, who=self._who if who == "person" else who, **rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._committer, name)


def _named(text: str) -> list[int]:
    return [int(n) for _, n in _NUMBER.findall(text) if len(n) < 18]


def _renumbered(text: str, numbers: Mapping[int, int]) -> str:
    return _NUMBER.sub(lambda found: found[1] + str(numbers.get(int(found[2]), "?")), text)
