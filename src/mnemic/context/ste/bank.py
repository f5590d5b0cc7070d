"""The bank: trials as they were made, verdicts of the judge, and examples that came through, in one SQLite file.

An episode is written whole or not at all, and so are a verdict with its example and all paraphrases of an example:
whatever is killed goes on where it stopped, with the same result.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mnemic.errors import InputError, NotAMemory
from mnemic.meter import Used, disk_bytes

_APPLICATION = 0x73746562  # "steb": how a bank is told from any other SQLite file
_TABLES = """
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE trial (
    id INTEGER PRIMARY KEY, tool TEXT NOT NULL, episode INTEGER NOT NULL, slot INTEGER NOT NULL,
    query TEXT NOT NULL, steps TEXT NOT NULL, answer TEXT, solved INTEGER,
    UNIQUE (tool, episode, slot));
CREATE TABLE verdict (trial INTEGER PRIMARY KEY REFERENCES trial, kept INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE example (
    id INTEGER PRIMARY KEY, trial INTEGER NOT NULL REFERENCES trial, tool TEXT NOT NULL, query TEXT NOT NULL,
    args TEXT NOT NULL, observation TEXT NOT NULL, answer TEXT NOT NULL, of INTEGER REFERENCES example);
CREATE TABLE paraphrased (example INTEGER PRIMARY KEY REFERENCES example, refused INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class Step:
    """One reply of a trial and what came back.

    action   the API it called; empty when the reply could not be read
    error    why it could not be read
    """

    action: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    observation: str = ""
    error: str = ""


@dataclass(frozen=True)
class Trial:
    """One imagined query and what became of it.

    answer   the final answer; None when there was none
    solved   what the explorer thinks of it; None when it was not asked
    id       row in the bank; 0 before it is written
    """

    tool: str
    episode: int
    slot: int
    query: str
    steps: tuple[Step, ...]
    answer: str | None
    solved: bool | None
    id: int = 0

    @property
    def label(self) -> Step | None:
        """The last call that could be read: what an example teaches."""
        return next((step for step in reversed(self.steps) if step.action), None)


@dataclass(frozen=True)
class Example:
    """A record of the data set: this query, this call, what it gave, what was answered.

    of   id of the example that it is a paraphrase of
    """

    tool: str
    query: str
    args: Mapping[str, Any]
    observation: str
    answer: str
    trial: int
    id: int = 0
    of: int | None = None


class Bank:
    """A bank on disk; ":memory:" keeps it in RAM. Safe from several threads."""

    def __init__(self, path: str | Path = ":memory:") -> None:
        self.path = str(path)
        self._lock = threading.RLock()
        _refuse_foreign(self.path)
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA foreign_keys = ON")
        with self._transaction() as db:
            if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'trial'").fetchone():
                for statement in _TABLES.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION}")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # ---- what was tried

    def settings(self, wanted: Mapping[str, Any]) -> None:
        """Note how trials are made; refuse a bank that was filled in another way: its trials would not compare."""
        text = json.dumps(wanted, sort_keys=True)
        with self._transaction() as db:
            found = db.execute("SELECT value FROM setting WHERE key = 'exploration'").fetchone()
            if found and found[0] != text and db.execute("SELECT 1 FROM trial").fetchone():
                raise InputError(
                    f"{self.path} was explored with {found[0]}: explore with the same, or into a new file."
                )
            db.execute("INSERT OR REPLACE INTO setting VALUES ('exploration', ?)", (text,))

    def add_episode(self, trials: Sequence[Trial]) -> None:
        """All trials of an episode, in one transaction."""
        rows = [(t.tool, t.episode, t.slot, t.query, _dump([asdict(step) for step in t.steps]), t.answer, t.solved)
                for t in trials]  # fmt: skip
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO trial (tool, episode, slot, query, steps, answer, solved) VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def episodes(self, tool: str) -> int:
        """How many episodes of a tool are written."""
        return int(self._read("SELECT count(DISTINCT episode) FROM trial WHERE tool = ?", (tool,))[0][0])

    def trials(self, tool: str | None = None) -> list[Trial]:
        """In the order in which they were made, tool by tool."""
        where, values = ("WHERE tool = ?", (tool,)) if tool else ("", ())
        rows = self._read(
            f"SELECT tool, episode, slot, query, steps, answer, solved, id FROM trial {where} ORDER BY id", values
        )
        return [
            Trial(name, episode, slot, query, tuple(Step(**step) for step in json.loads(steps)), answer,
                  None if solved is None else bool(solved), id)
            for name, episode, slot, query, steps, answer, solved, id in rows
        ]  # fmt: skip

    def clear(self, tool: str) -> None:
        """Forget everything about a tool: its trials, verdicts and examples."""
        of = "(SELECT id FROM trial WHERE tool = ?)"
        with self._transaction() as db:
            db.execute("DELETE FROM paraphrased WHERE example IN (SELECT id FROM example WHERE tool = ?)", (tool,))
            db.execute("DELETE FROM example WHERE tool = ? AND of IS NOT NULL", (tool,))
            db.execute("DELETE FROM example WHERE tool = ?", (tool,))
            db.execute(f"DELETE FROM verdict WHERE trial IN {of}", (tool,))
            db.execute("DELETE FROM trial WHERE tool = ?", (tool,))

    # ---- what was kept

    def add_verdict(self, trial: Trial, kept: bool, reason: str) -> None:
        """What the judge said of a trial and, when it is kept, the example that it becomes."""
        with self._transaction() as db:
            db.execute("INSERT INTO verdict VALUES (?, ?, ?)", (trial.id, kept, reason))
            label = trial.label
            if kept and label:
                _insert(
                    db, Example(trial.tool, trial.query, label.args, label.observation, trial.answer or "", trial.id)
                )

    def verdicts(self) -> dict[int, tuple[bool, str]]:
        """Trial -> kept or not, and why."""
        return {trial: (bool(kept), reason) for trial, kept, reason in self._read("SELECT * FROM verdict")}

    def add_paraphrases(self, example: Example, queries: Iterable[str], refused: int) -> None:
        """New words for an example; call, observation and answer are copied."""
        with self._transaction() as db:
            for query in queries:
                _insert(db, Example(example.tool, query, example.args, example.observation, example.answer,
                                    example.trial, of=example.id))  # fmt: skip
            db.execute("INSERT INTO paraphrased VALUES (?, ?)", (example.id, refused))

    def paraphrased(self) -> dict[int, int]:
        """Examples that were paraphrased -> how many paraphrases the judge refused."""
        return dict(self._read("SELECT * FROM paraphrased"))

    def examples(self, tool: str | None = None, *, paraphrases: bool = True) -> list[Example]:
        """The data set, in the order of the trials; an example stands before its paraphrases."""
        conditions = ["1"] + ["tool = ?"] * (tool is not None) + ["of IS NULL"] * (not paraphrases)
        rows = self._read(
            "SELECT tool, query, args, observation, answer, trial, id, of FROM example "
            f"WHERE {' AND '.join(conditions)} ORDER BY trial, id",
            (tool,) if tool is not None else (),
        )
        return [Example(name, query, json.loads(args), *rest) for name, query, args, *rest in rows]

    def used(self) -> Used:
        """Bytes on disk (of the pages, for a bank in RAM)."""
        if self.path != ":memory:":
            return disk_bytes(self.path)
        pages, size = self._read("PRAGMA page_count")[0][0], self._read("PRAGMA page_size")[0][0]
        return Used(pages * size, "bytes", {"pages": pages * size})

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing of it; models are asked before it, never inside."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:  # Ctrl-C must not leave half an episode either
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _insert(db: sqlite3.Connection, example: Example) -> None:
    db.execute(
        "INSERT INTO example (trial, tool, query, args, observation, answer, of) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            example.trial,
            example.tool,
            example.query,
            _dump(example.args),
            example.observation,
            example.answer,
            example.of,
        ),
    )


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refuse_foreign(path: str) -> None:
    """Look at the file before SQLite may write to it."""
    if path == ":memory:" or not Path(path).exists() or not Path(path).stat().st_size:
        return
    head = Path(path).read_bytes()[:100] if Path(path).is_file() else b""
    if not head.startswith(b"SQLite format 3\x00") or int.from_bytes(head[68:72], "big") != _APPLICATION:
        raise NotAMemory(f"{path}: is no bank of trials; name another file, or a new one.")
