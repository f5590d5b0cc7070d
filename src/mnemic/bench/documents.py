"""XQuAD: the paragraph of an encyclopedia that holds a question's answer, among 240.

Source   Artetxe, Ruder, Yogatama, "On the Cross-lingual Transferability of Monolingual Representations", ACL 2020,
         arXiv:1910.11856; the English part (data set "xquad"): 48 articles of five paragraphs, 1,190 questions
Measure  recall@k: the share of questions whose own paragraph is among the first k
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from mnemic import data
from mnemic.bench.multihop import Question, asked
from mnemic.memory import Memory

CUTS = (1, 5, 10)
METHODS = {"BM25": "lexical", "MiniLM": "dense", "hybrid": "hybrid"}


def run(*, limit: int | None = None) -> list[dict[str, Any]]:
    """A row for each method, on one file; `limit` keeps so many questions, evenly spread (all paragraphs stay).

    Raises DataMissing when the data set is not here.
    """
    paragraphs: list[tuple[str, str]] = []  # article, text
    questions: list[Question] = []
    for article in json.loads(data.read("xquad"))["data"]:
        for paragraph in article["paragraphs"]:
            questions += [Question(qa["question"], frozenset({len(paragraphs)})) for qa in paragraph["qas"]]
            paragraphs.append((article["title"], paragraph["context"]))
    if limit is not None:
        questions = questions[:: max(len(questions) // limit, 1)][:limit]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "documents.db"
        with Memory(file) as memory:
            memory.add_many(
                {"text": text, "source": title, "place": str(n)} for n, (title, text) in enumerate(paragraphs)
            )
        for name, retriever in METHODS.items():
            with Memory(file, retriever=retriever) as memory:
                memory.recall("warm up")
                scores = asked(memory, questions, CUTS)
            recalls = {f"recall@{cut}": scores.mean(cut) for cut in CUTS}
            rows.append({"method": name, **recalls, "query ms": scores.wait_ms})
    return rows
