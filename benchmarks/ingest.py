"""What remembering adds to embedding: texts a second into a memory, beside the embedder alone on the same texts.

python benchmarks/ingest.py                          LoCoMo turns, Pepys days, a folder of files; without MNEMIC_DATA
                                                     the demo's turns
python benchmarks/ingest.py --texts 2000 --rounds 9
python benchmarks/ingest.py --json

"embedder" is one call with all pieces, cut beforehand: the best it can do. "memory" is Memory.add_many, or for the
folder Memory.ingest with its reading of the files, into a new file each time; cutting, indexing, the log and waiting
for the disk are all in it. The two take turns in one process and each round gives a ratio, so that a busy machine slows
both; medians are printed, of wall time and of processor time. Exit code 1 when a median is below 0.8.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _records
from rich.console import Console
from rich.table import Table

from mnemic import Memory, data
from mnemic.demo import conversation
from mnemic.errors import DataMissing
from mnemic.lm.minilm import MiniLM
from mnemic.record import Chunk

BAR = 0.8


@dataclass(frozen=True)
class Case:
    """Something to remember, and how."""

    name: str
    remember: Callable[[Memory], object]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1000, help="turns of one case; a twelfth as many days")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    embedder = MiniLM()
    embedder.embed(["the first text loads the model"])
    with tempfile.TemporaryDirectory() as folder, Console(stderr=True).status("ingest") as status:
        rows = []
        for case in cases(given.texts, Path(folder)):
            status.update(case.name)
            rows.append(paired(case, embedder, given.rounds))
    print(json.dumps({"rows": rows, "load": os.getloadavg()}, indent=1)) if given.json else show(rows)
    return int(any(row["ratio"] < BAR for row in rows))


def cases(texts: int, folder: Path) -> list[Case]:
    try:
        talks = json.loads(data.read("locomo"))
        days = [json.loads(line) for line in data.read("pepys").splitlines()]
    except DataMissing as error:
        print(f"only the demo's turns: {error}", file=sys.stderr)
        turns = [chunk.text for chunk in conversation()]
        return [of_texts("demo turns", turns[:texts])]
    turns = [turn for talk in talks for turn in _records.turns_of(talk)]
    some = days[:: max(1, len(days) // max(1, texts // 12))]
    write_folder(folder, turns[:texts], some)
    return [
        of_texts("LoCoMo turns", turns[:texts]),
        Case("Pepys days", lambda memory: memory.add_many([Chunk(day["text"], time=day["date"]) for day in some])),
        Case("folder of files", lambda memory: list(memory.ingest([folder]))),
    ]


def of_texts(name: str, texts: Sequence[str]) -> Case:
    return Case(name, lambda memory: memory.add_many([Chunk(text, place=str(n)) for n, text in enumerate(texts)]))


def write_folder(folder: Path, turns: Sequence[str], days: Sequence[dict[str, str]]) -> None:
    """A chat, a Markdown file for each year of the diary, and a text file for every second day."""
    chat = (json.dumps({"role": ("user", "assistant")[n % 2], "content": text}) for n, text in enumerate(turns))
    (folder / "chat.jsonl").write_text("\n".join(chat), encoding="utf-8")
    for n, day in enumerate(days):
        if n % 2:
            (folder / f"{day['date']}.txt").write_text(day["text"], encoding="utf-8")
        else:
            with open(folder / f"diary {day['date'][:4]}.md", "a", encoding="utf-8") as out:
                out.write(f"## {day['date']}\n\n{day['text']}\n\n")


def paired(case: Case, embedder: MiniLM, rounds: int) -> dict[str, Any]:
    """Medians over the rounds; who goes first changes each time."""
    texts = remembered(case, embedder)
    pieces = [text[start:end] for text in texts for start, end in embedder.windows(text)]
    arms = {"embedder": lambda: embedder.embed(pieces), "memory": lambda: remembered(case, embedder)}
    taken: dict[str, list[tuple[float, float]]] = {"embedder": [], "memory": []}
    for n in range(rounds):
        for arm in sorted(arms, reverse=bool(n % 2)):
            taken[arm].append(clocked(arms[arm]))
    ratios = [[alone[clock] / whole[clock] for alone, whole in zip(taken["embedder"], taken["memory"], strict=True)]
              for clock in (0, 1)]  # fmt: skip
    seconds = {arm: statistics.median(wall for wall, _ in times) for arm, times in taken.items()}
    return {"case": case.name, "texts": len(texts), "pieces": len(pieces), "rounds": rounds,
            "embedder_per_s": len(texts) / seconds["embedder"], "memory_per_s": len(texts) / seconds["memory"],
            "ratio": statistics.median(ratios[0]), "least": min(ratios[0]), "most": max(ratios[0]),
            "cpu_ratio": statistics.median(ratios[1])}  # fmt: skip


def remembered(case: Case, embedder: MiniLM) -> list[str]:
    """Remember it all in a new file; the texts that are records then."""
    with tempfile.TemporaryDirectory() as folder, Memory(Path(folder) / "life.db", embedder=embedder) as memory:
        case.remember(memory)
        return [text for (text,) in memory.store.read("SELECT text FROM record ORDER BY n")]


def clocked(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall time and of processor time, all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def show(rows: list[dict[str, Any]]) -> None:
    console = Console(width=130)
    table = Table("", "texts", "pieces", "embedder /s", "memory /s", "ratio", "least-most", "cpu ratio",
                  title=f"bar: ratio {BAR}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
                  title_justify="left")  # fmt: skip
    for row in rows:
        table.add_row(row["case"], f"{row['texts']:,}", f"{row['pieces']:,}", f"{row['embedder_per_s']:.0f}",
                      f"{row['memory_per_s']:.0f}", f"{row['ratio']:.2f}{'' if row['ratio'] >= BAR else ' MISSED'}",
                      f"{row['least']:.2f}-{row['most']:.2f}", f"{row['cpu_ratio']:.2f}")  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
