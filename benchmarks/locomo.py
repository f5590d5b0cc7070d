"""Evidence recall on LoCoMo: the default recall without a language model, beside its controls.

python benchmarks/locomo.py                 all 1,345 questions of locomo_dev (about two minutes on two cores)
python benchmarks/locomo.py --limit 200     so many, spread over the conversations
python benchmarks/locomo.py --json

"hybrid, shipped weights" was fitted on these very conversations; "hybrid, held out" is the number to quote: for each
conversation the weights are fitted anew on the other six. Exit code 1 when that falls below recall@10 0.78 or
multi-hop 0.45. Needs the data set locomo (MNEMIC_DATA).
"""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table

from mnemic.bench.locomo import Study, study
from mnemic.errors import DataMissing
from mnemic.recall.hybrid import WEIGHTS

BARS = {"recall@10": 0.78, "multi-hop": 0.45}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, help="so many questions, spread over the conversations")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    try:
        with Console(stderr=True).status("locomo") as status:
            found = study(limit=given.limit, watch=status.update)
    except DataMissing as error:
        print(error, file=sys.stderr)
        return error.exit_code
    rows = found.rows()
    weights = {name or "all": dict(zip(WEIGHTS, map(float, w), strict=True)) for name, w in found.weights.items()}
    if given.json:
        print(
            json.dumps({"rows": rows, "weights": weights, "shipped": WEIGHTS, "questions": len(found.asked)}, indent=1)
        )
    else:
        show(found, rows)
    held_out = rows[-1]
    return int(any(held_out[name] < bar for name, bar in BARS.items()))


def show(found: Study, rows: list[dict[str, object]]) -> None:
    console = Console(width=170)
    table = Table(*rows[0], title=f"{len(found.asked):,} questions; by category: recall@10", title_justify="left")
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)
    weights = Table("weights", *WEIGHTS, title="fitted on all, on all but one, and shipped", title_justify="left")
    for name, fitted in found.weights.items():
        weights.add_row(f"without {name}" if name else "all seven", *(f"{weight:.2f}" for weight in fitted))
    weights.add_row("shipped", *(f"{weight:.2f}" for weight in WEIGHTS.values()))
    console.print(weights)
    console.print(f"a recall took {found.wait_ms:.1f} ms (median, embedding included)")


if __name__ == "__main__":
    sys.exit(main())
