"""The document benchmark, on made-up paragraphs and on the real ones."""

from __future__ import annotations

import json

import pytest

from mnemic.bench import documents
from mnemic.errors import DataMissing


def test_recall_is_of_the_questions_own_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    def paragraph(text: str, *questions: str) -> dict[str, object]:
        return {"context": text, "qas": [{"question": question} for question in questions]}

    animals = [paragraph("The otter sleeps holding hands.", "Which animal sleeps holding hands?"),
               paragraph("The heron fishes at dusk.", "When does the heron fish?", "Which animal sleeps?")]  # fmt: skip
    task = {"data": [{"title": "Animals", "paragraphs": animals}]}
    monkeypatch.setattr(documents.data, "read", lambda name: json.dumps(task))
    rows = {row["method"]: row for row in documents.run()}
    assert list(rows) == ["BM25", "MiniLM", "hybrid"]
    assert rows["BM25"]["recall@1"] == pytest.approx(2 / 3)  # the last question is asked of the wrong paragraph
    assert rows["BM25"]["recall@5"] <= rows["hybrid"]["recall@5"] == 1
    assert documents.run(limit=1)[0]["recall@1"] == 1


def test_hybrid_serves_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        articles = json.loads(documents.data.read("xquad"))["data"][::3]
    except DataMissing as error:
        pytest.skip(str(error))
    monkeypatch.setattr(documents.data, "read", lambda name: json.dumps({"data": articles}))
    rows = {row["method"]: row for row in documents.run(limit=100)}
    assert rows["hybrid"]["recall@1"] >= max(rows["BM25"]["recall@1"], rows["MiniLM"]["recall@1"], 0.9)
