"""The embedder that ships inside, in int8, beside the same network in float32: how near, how quick, how large.

python scripts/build_embedder.py --fp32 minilm-fp32.onnx    (in the environment that the script names)
python benchmarks/embedder.py --fp32 minilm-fp32.onnx
python benchmarks/embedder.py                                    int8 alone
python benchmarks/embedder.py --conversations 1                  not all seven
python benchmarks/embedder.py --json

On the turns and questions of the data set locomo. "cosine" is that of a turn's int8 vector with its float32 vector;
"alone" that of a turn embedded by itself with the same turn in a batch. Throughput is the median of alternating
rounds. Exit code 1 when dense recall@10 is further than 0.01 from that of float32.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession
from rich.console import Console
from rich.table import Table

import mnemic.lm
from mnemic import data
from mnemic.bench.locomo import evidence_of, share
from mnemic.lm.minilm import MiniLM

WITHIN, CUT = 0.01, 10
ROUNDS, TEXTS, ALONE = 5, 600, 100


class Float32(MiniLM):
    """The same tokenizer and batches, another network."""

    name = "all-MiniLM-L6-v2-fp32"
    file: Path

    @cached_property
    def _session(self) -> InferenceSession:
        return InferenceSession(self.file.read_bytes(), providers=["CPUExecutionProvider"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fp32", type=Path, metavar="FILE", help="the float32 network")
    parser.add_argument("--conversations", type=int, default=7, help="that are embedded and asked")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    samples = json.loads(data.read("locomo"))[: given.conversations]
    arms: dict[str, MiniLM] = {"int8, ships inside": MiniLM()}
    if given.fp32:
        other = Float32()
        other.file = given.fp32
        arms["float32"] = other
    rows = measured(samples, arms)
    if given.fp32:
        rows["int8, ships inside"]["bytes"] = (Path(mnemic.lm.__file__).parent / "weights/minilm.onnx").stat().st_size
        rows["float32"]["bytes"] = given.fp32.stat().st_size
    print(json.dumps(rows, indent=1)) if given.json else show(rows)
    recalls = [row["recall@10"] for row in rows.values()]
    return int(max(recalls) - min(recalls) > WITHIN)


def measured(samples: list[dict[str, Any]], arms: Mapping[str, MiniLM]) -> dict[str, dict[str, Any]]:
    texts = [text for sample in samples for text in turns(sample).values()]
    some = texts[:: max(len(texts) // TEXTS, 1)][:TEXTS]
    first = next(iter(arms.values())).embed(some)
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    waits: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(ROUNDS):
        for name, embedder in arms.items():
            start = time.perf_counter()
            embedder.embed(some)
            seconds[name].append(time.perf_counter() - start)
            for sample in samples:
                start = time.perf_counter()
                embedder.embed([sample["qa"][0]["question"]])
                waits[name].append(time.perf_counter() - start)
    rows: dict[str, dict[str, Any]] = {}
    for name, embedder in arms.items():
        together, alone = embedder.embed(some), np.concatenate([embedder.embed([text]) for text in some[:ALONE]])
        near, company = (first * together).sum(axis=1), (alone * together[:ALONE]).sum(axis=1)
        rows[name] = {
            "recall@10": recall(samples, embedder), "cosine": float(near.mean()), "least": float(near.min()),
            "alone": float(company.min()), "texts_s": len(some) / statistics.median(seconds[name]),
            "question_ms": 1000 * statistics.median(waits[name]),
        }  # fmt: skip
    return rows


def turns(sample: Mapping[str, Any]) -> dict[str, str]:
    """Name of a turn -> who says what."""
    sessions = [value for value in sample["conversation"].values() if isinstance(value, list)]
    return {turn["dia_id"]: f"{turn['speaker']}: {turn['text']}" for session in sessions for turn in session}


def recall(samples: list[dict[str, Any]], embedder: MiniLM) -> float:
    """Dense evidence recall@10, a float32 cosine with every turn."""
    shares = []
    for sample in samples:
        named = turns(sample)
        row = {name: n for n, name in enumerate(named)}
        vectors = embedder.embed(list(named.values()))
        asked = [(qa["question"], {row[name] for name in evidence_of(qa) if name in row}) for qa in sample["qa"]]
        asked = [(question, evidence) for question, evidence in asked if evidence]
        scores = embedder.embed([question for question, _ in asked]) @ vectors.T  # [questions turns]
        ranked = np.argsort(-scores, axis=1, kind="stable")
        shares += [share(order, frozenset(evidence), CUT) for order, (_, evidence) in zip(ranked, asked, strict=True)]
    return statistics.fmean(shares)


def show(rows: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table("weights", "dense recall@10", "cosine to the first row", "least", "alone, least", "texts/s",
                  "question ms", "MB")  # fmt: skip
    for name, row in rows.items():
        table.add_row(name, f"{row['recall@10']:.3f}", f"{row['cosine']:.4f}", f"{row['least']:.4f}",
                      f"{row['alone']:.4f}", f"{row['texts_s']:.0f}", f"{row['question_ms']:.2f}",
                      f"{row['bytes'] / 1e6:.1f}" if "bytes" in row else "")  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
