"""What `mnemic audit` finds of errors that were put into a real conversation's memory, and what it finds without them.

python benchmarks/audit.py [--each 30] [--seed 0] [--json]

The memory: a conversation of LoCoMo with the facts that the writer "facts_local" reads in it. The errors, `each` of a
kind: facts whose name or number is another one (fabricated), sources forgotten under their facts (stale), a second
value of a relation that has one at a time (contradictory), turns said again from elsewhere (duplicate), answers of
the memory itself and noise (junk), sources that are named and are not there (orphaned).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mnemic import data
from mnemic.audit import KINDS, audit
from mnemic.errors import DataMissing
from mnemic.memory import Memory
from mnemic.record import Record

_PLACES = ("Reykjavik", "Montevideo", "Tashkent", "Windhoek", "Ljubljana", "Asuncion", "Vientiane", "Nuuk")
_NOISE = ("### === --- ***", "ok", "The memory holds nothing about this.", "haha yes", "aGVsbG8" * 12)


@dataclass
class Faults:
    """Puts errors into a memory, each into a record that no other error touches; the ids of what should be found."""

    memory: Memory
    rng: random.Random
    each: int

    def __post_init__(self) -> None:
        facts = [r for r in self.memory.records({"kind": "fact"}) if len(r.derived_from) == 1]
        once = {r.derived_from[0]: r for r in facts}
        self.facts = self.rng.sample(list(once.values()), len(once))
        bearing = {id for r in facts for id in r.derived_from}
        self.turns = [r for r in self.memory.records({"kind": "episode"}) if r.id not in bearing and len(r.text) > 60]
        self.rng.shuffle(self.turns)

    def fabricated(self) -> list[str]:
        return [self._fact(f"{fact.text.rstrip('.')} in {self.rng.choice(_PLACES)}.", fact) for fact in self._some()]

    def _fact(self, text: str, fact: Record) -> str:
        return self.memory.add(text, kind="fact", derived_from=fact.derived_from, time=fact.time).id

    def stale(self) -> list[str]:
        ids = []
        for fact in self._some():
            self.memory.forget(fact.derived_from[0])
            ids += [r.id for r in self.memory.records({"stale": True}) if fact.derived_from[0] in r.derived_from]
        return ids

    def contradictory(self) -> list[str]:
        ids = []
        for n in range(self.each):
            for year, place in enumerate(self.rng.sample(_PLACES, 2), 2020):
                about = {"subject": f"Person {n}", "relation": "lives in", "object": place}
                added = self.memory.add(f"Person {n} lives in {place}.", kind="fact", metadata=about, time=str(year))
                ids += [added.id] if year == 2020 else []
        return ids

    def duplicate(self) -> list[str]:
        return [self.memory.add(turn.text.upper(), speaker=turn.speaker, time=turn.time, source="elsewhere").id
                for turn in self._turns()]  # fmt: skip

    def junk(self) -> list[str]:
        return [self.memory.add(self.rng.choice(_NOISE), source=f"noise {n}").id for n in range(self.each)]

    def orphaned(self) -> list[str]:
        turns = enumerate(self._turns())
        return [self.memory.add(f"They said: {turn.text}", kind="note", derived_from=[f"gone {n}", turn.id]).id
                for n, turn in turns]  # fmt: skip

    def _some(self) -> list[Record]:
        return [self.facts.pop() for _ in range(min(self.each, len(self.facts)))]

    def _turns(self) -> list[Record]:
        return [self.turns.pop() for _ in range(min(self.each, len(self.turns)))]


def measured(each: int, seed: int) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder, Memory(":memory:", writer="facts_local") as memory:
        file = Path(folder) / "conversation.json"
        file.write_text(json.dumps(json.loads(data.read("locomo"))[:1]), encoding="utf-8")
        list(memory.ingest([file]))
        before = audit(memory)
        faults = Faults(memory, random.Random(seed), each)
        put: dict[str, set[str]] = {}
        for kind in KINDS:
            make: Callable[[], list[str]] = getattr(faults, kind)
            put[kind] = set(make())
        report = audit(memory)
        rows: list[dict[str, object]] = []
        for kind in KINDS:
            found = {finding.records[0] for finding in report.findings if finding.kind == kind}
            alarms = len(found - set().union(*put.values()))
            rows.append({"kind": kind, "put in": len(put[kind]), "found": len(found & put[kind]), "also": alarms,
                         "before": before.counts[kind]})  # fmt: skip
        return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    try:
        rows = measured(given.each, given.seed)
    except DataMissing as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps(rows, indent=1))
        return 0
    table = Table("kind", "put in", "found", "found beside them", "found before")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
