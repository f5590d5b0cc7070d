"""bm25s with Snowball stems: what plain keyword search gives, the control of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bm25s
import protocol
import Stemmer


class BM25:
    """Lucene's BM25 (k1 1.5, b 0.75), English stop words, English stems: the example of the package's README."""

    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        self.folder, self.stemmer = folder, Stemmer.Stemmer("english")

    def add(self, items: list[dict[str, Any]]) -> None:
        self.index = bm25s.BM25()
        self.index.index(self.tokens([item["text"] for item in items]), show_progress=False)
        self.index.save(self.folder, corpus=[item["text"] for item in items])

    def search(self, query: str, k: int) -> list[int]:
        rows, _ = self.index.retrieve(self.tokens([query]), k=k, show_progress=False)
        return rows[0].tolist()

    def tokens(self, texts: list[str]) -> Any:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self.stemmer, show_progress=False)

    def close(self) -> None:
        pass


if __name__ == "__main__":
    protocol.main(BM25, "bm25s", "PyStemmer")
