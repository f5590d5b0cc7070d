"""Other memories beside mnemic, each through its real package, on the same texts, weights and questions.

    python benchmarks/peers/run.py                        both tasks, all packages (about half an hour)
    python benchmarks/peers/run.py --task locomo --only mem0,chromadb --limit 1
    python benchmarks/peers/run.py --json out.json

Every package gets a virtual environment of its own below --envs and a process of its own per row. What cannot be
installed or run stands in the table with the reason. README.md beside this file has settings and versions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import envs
import tasks
from rich import box
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
OFFLINE = {
    "ANONYMIZED_TELEMETRY": "False",  # chromadb
    "MEM0_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else litellm fetches a price list on import
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Row:
    """One line of a table: a package with its settings."""

    name: str
    env: str
    adapter: str
    note: str
    options: dict[str, Any] = field(default_factory=dict)


BM25 = Row("bm25s", "bm25s", "bm25s", "BM25, English stems and stop words")
CHROMA = Row("chromadb", "chromadb", "chromadb", "vectors, cosine")
ROWS = {
    "locomo": [
        BM25,
        CHROMA,
        Row("mem0", "mem0", "mem0", "infer=False, plain install: vectors", {"hybrid": False}),
        Row("mem0 hybrid", "mem0", "mem0", "infer=False, [nlp] + fastembed: vectors and BM25", {"hybrid": True}),
        Row("engram-search", "engram-search", "engram", "hybrid pipeline, no cross-encoder"),
        Row("agentrecall-db", "agentrecall-db", "agentrecall", "core install: keywords", {"semantic": False}),
        Row("agentrecall-db hybrid", "agentrecall-db", "agentrecall", "keywords and vectors", {"semantic": True}),
        Row("mnemic", "mnemic", "mnemic", "defaults", {"retriever": "hybrid"}),
    ],
    "musique": [
        BM25,
        CHROMA,
        Row("hipporag", "hipporag", "hipporag", "ready triples, no filter", {"filter": "none"}),
        Row("hipporag lexical", "hipporag", "hipporag", "ready triples, lexical filter", {"filter": "lexical"}),
        Row("mnemic", "mnemic", "mnemic", "hipporag2, ready triples, lexical filter", {"retriever": "hipporag2"}),
    ],
}


def main() -> None:
    given = arguments()
    console = Console(width=200, markup=False, highlight=False)  # the tables are wide: into a pipe they go whole
    results: list[dict[str, Any]] = []
    with console.status("") as status:
        for name in ["locomo", "musique"] if given.task == "all" else [given.task]:
            task = tasks.load(name, given.limit)
            first = len(results)
            for row in chosen(name, given.only):
                results.append(measure(row, task, given.envs, given.timeout, status.update))
                if given.json:  # after each row: an hour's work must not hang on the last package
                    told = json.dumps({"machine": machine(), "rows": results}, indent=1)
                    given.json.write_text(told + "\n", encoding="utf-8")
            console.print(table(task, results[first:]))


def chosen(task: str, only: str) -> list[Row]:
    names = {name.strip() for name in only.split(",") if name.strip()}
    known = {name for rows in ROWS.values() for row in rows for name in (row.name, row.env)}
    if wrong := names - known:
        raise SystemExit(f"--only {', '.join(sorted(wrong))}: there are {', '.join(sorted(known))}.")
    return [row for row in ROWS[task] if not names or {row.name, row.env} & names]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["locomo", "musique", "all"], default="all")
    parser.add_argument("--only", default="", help="names of rows or packages, with commas between")
    parser.add_argument("--limit", type=int, help="only the first so many conversations")
    parser.add_argument("--envs", type=Path, default=Path.home() / ".cache" / "mnemic-peers")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--timeout", type=int, default=1800, help="seconds for one row")
    return parser.parse_args()


def measure(row: Row, task: tasks.Task, envs_home: Path, timeout: int, say: Any) -> dict[str, Any]:
    """Install what is missing, run one row, score it. An error is a result too."""
    result: dict[str, Any] = {"task": task.name, "name": row.name, "note": row.note, "options": row.options}
    try:
        model, graph = envs.weights(envs_home, say)
        python = envs.python_of(row.env, envs_home, say)
        say(f"{row.name}: {task.items} texts, {task.queries} questions")
        told = {"model": str(model), "weights": str(graph), "k": max(task.cuts), "options": row.options}
        answer = run(python, row.adapter, told | {"collections": task.collections}, timeout)
    except (envs.InstallError, RunError) as error:
        return result | {"error": str(error)}
    waits = sorted(answer["query_ms"])
    return result | {
        "versions": answer["versions"],
        "recall": tasks.recall(task, answer["found"]),
        "ingest_s_per_1000": 1000 * answer["ingest_s"] / task.items,
        "ingest_s": answer["ingest_s"],
        "query_ms": statistics.median(waits),
        "query_ms_p95": waits[int(0.95 * len(waits))],
        "peak_bytes": answer["peak_bytes"],
        "disk_bytes": answer["disk_bytes"],
    }


class RunError(Exception):
    """A package did not get through the task."""


def run(python: Path, adapter: str, task: dict[str, Any], timeout: int) -> dict[str, Any]:
    """One adapter in a process of its own, in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        home = Path(folder)
        (home / "task.json").write_text(json.dumps(task | {"folder": str(home / "store")}), encoding="utf-8")
        command = [str(python), str(HERE / f"adapter_{adapter}.py"), str(home / "task.json"), str(home / "result.json")]
        environment = {**os.environ, **OFFLINE, "HOME": str(home), "PYTHONPATH": ""}  # no settings of the person
        try:
            done = subprocess.run(
                command, cwd=home, env=environment, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise RunError(f"not done after {timeout} s: allow more with --timeout.") from None
        if done.returncode:
            raise RunError((done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1])
        return json.loads((home / "result.json").read_text(encoding="utf-8"))


def table(task: tasks.Task, rows: list[dict[str, Any]]) -> Table:
    """In Markdown, so that it can be pasted into README.md. Sizes are in MB, one million bytes."""
    title = f"{task.name}: {task.items:,} texts, {task.queries:,} questions"
    view = Table(title=title, title_justify="left", box=box.MARKDOWN)
    for head in ("package", "version", "settings"):
        view.add_column(head)
    for head in (*(f"R@{cut}" for cut in task.cuts), "ingest s/1,000", "query ms", "peak MB", "disk MB"):
        view.add_column(head, justify="right")
    for row in rows:
        view.add_row(*(cells(task, row) if "error" not in row else (row["name"], "", f"did not run: {row['error']}")))
    return view


def cells(task: tasks.Task, row: dict[str, Any]) -> list[str]:
    return [
        row["name"],
        next(iter(row["versions"].values())),
        row["note"],
        *(f"{row['recall']['all'][str(cut)]:.3f}" for cut in task.cuts),
        f"{row['ingest_s_per_1000']:.1f}",
        f"{row['query_ms']:.1f}",
        f"{row['peak_bytes'] / 1e6:,.0f}",
        f"{row['disk_bytes'] / 1e6:.1f}",
    ]


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return {"system": platform.platform(), "processor": cpu, "cores": os.cpu_count()}


if __name__ == "__main__":
    main()
