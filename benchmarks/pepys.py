"""Ten years of a diary: Samuel Pepys, 1660 to 1669, remembered through the command line and asked by meaning.

python benchmarks/pepys.py                  all days through `mnemic add`, ten questions through `mnemic recall`
python benchmarks/pepys.py --keep FOLDER    leave the memory there; the next run has only to ask
python benchmarks/pepys.py --drawn          39 other questions, to judge a change by: the ten are asked at its end
python benchmarks/pepys.py --json

Exit code 1 when a day is missing or the day of one of the ten is not among the first five. Needs the data set pepys
(MNEMIC_DATA).

The ten events are what people know of Pepys's life. The day of each was looked up in the diary by one rare word of
it, then the question was written in words of today and fixed, before any of them was asked: what is missed stays in
the list. Common names of the thing itself (tea, cheese, dogs, a title) are kept, his other words are not.

The drawn ones (pepys_drawn.json) are about one event each of 39 days of 150 to 900 words, drawn by chance and read, and
were written the same way before any was asked. They are harder: nobody knows these days.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mnemic import data
from mnemic.errors import DataMissing

WITHIN, LOOKED = 5, 50
DRAWN = Path(__file__).with_name("pepys_drawn.json")
QUESTIONS = {
    "When did he first taste tea?": "1660-09-25",
    "When did he go to watch a general being executed?": "1660-10-13",
    "On which day was Charles the Second crowned?": "1661-04-23",
    "What did he think of A Midsummer Night's Dream?": "1662-09-29",
    "When did he first see the sign of the plague painted on people's homes?": "1665-06-07",
    "When did London start to burn?": "1666-09-02",
    "When did he bury his cheese in the ground to save it from the flames?": "1666-09-04",
    "When did he first hear of a blood transfusion between two dogs?": "1666-11-14",
    "When did his wife catch him hugging the maid?": "1668-10-25",
    "Why did he stop writing his diary?": "1669-05-31",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, help="only the first so many days")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the memory here and leave it")
    parser.add_argument("--drawn", action="store_true", help="ask the questions to days drawn by chance")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    questions = json.loads(DRAWN.read_text(encoding="utf-8")) if given.drawn else QUESTIONS
    try:
        lines = data.read("pepys").splitlines()[: given.days]
    except DataMissing as error:
        print(error, file=sys.stderr)
        return error.exit_code
    with tempfile.TemporaryDirectory() as folder, Console(stderr=True).status("pepys") as status:
        found = measure(lines, questions, given.keep or Path(folder), status.update)
    print(json.dumps(found, indent=1)) if given.json else show(found)
    missed = [one for one in found["questions"] if one["rank"] is None or one["rank"] > WITHIN]
    judged = given.days is None and not given.drawn
    return int(found["remembered"] != len(lines) or (judged and bool(missed)))


def measure(lines: list[str], questions: dict[str, str], folder: Path, watch: Callable[[str], None]) -> dict[str, Any]:
    """Add the lines to a memory in a folder, and ask."""
    folder.mkdir(parents=True, exist_ok=True)
    diary, db = folder / "pepys.jsonl", folder / "pepys.db"
    content = "\n".join(lines) + "\n"
    if not diary.exists() or diary.read_text(encoding="utf-8") != content:
        diary.write_text(content, encoding="utf-8")
    watch(f"remembering {len(lines):,} days")
    start = time.perf_counter()
    added = mnemic("add", diary, "--db", db)
    seconds = time.perf_counter() - start
    asked = []
    for question, day in questions.items():
        watch(question)
        asked.append({"question": question, "day": day,
                      "rank": rank(mnemic("recall", question, "-k", LOOKED, "--db", db), day)})  # fmt: skip
    return {"days": len(lines), "words": sum(len(json.loads(line)["text"].split()) for line in lines),
            "remembered": added["added"] + added["unchanged"], "added": added["added"], "seconds": seconds,
            "bytes": db.stat().st_size, "questions": asked}  # fmt: skip


def mnemic(*words: object) -> Any:
    """One call of the command line, as a person makes it."""
    command = [sys.executable, "-m", "mnemic", *map(str, words), "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def rank(answer: Any, day: str) -> int | None:
    """Place of the day among the hits, from 1."""
    times = [hit["record"]["time"] for hit in answer["hits"]]
    return next((n for n, time in enumerate(times, 1) if time and time.startswith(day)), None)


def show(found: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{found['remembered']:,} of {found['days']:,} days ({found['words']:,} words) are in: "
                  f"{found['added']:,} added in {found['seconds']:.0f} s, {found['bytes'] / 1e6:.1f} MB")  # fmt: skip
    table = Table("question", "day", "rank")
    for one in found["questions"]:
        table.add_row(one["question"], one["day"], str(one["rank"] or f"beyond {LOOKED}"))
    console.print(table)
    within = sum(one["rank"] is not None and one["rank"] <= WITHIN for one in found["questions"])
    console.print(f"{within} of {len(found['questions'])} days are among the first {WITHIN}")


if __name__ == "__main__":
    sys.exit(main())
