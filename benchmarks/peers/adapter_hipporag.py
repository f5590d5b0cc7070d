# ruff: noqa: E402  what stands above the imports must happen before them
"""hipporag, the official package of HippoRAG 2, with ready triples, MiniLM vectors and no language model.

Triples go in through the package's own cache of extraction results. Its language-model filter ("recognition
memory") is replaced once by none and once by a lexical one. Nothing else of it is changed.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import protocol

os.environ["OPENAI_API_KEY"] = "none"  # its client is made and never called
for absent, names in {"gritlm": ["GritLM"], "vllm": ["LLM", "SamplingParams"]}.items():
    sys.modules[absent] = ModuleType(absent)  # imported by an embedder and a language model that are not used here
    for name in names:
        setattr(sys.modules[absent], name, None)

from hipporag.embedding_model import BaseEmbeddingModel
from hipporag.utils.config_utils import BaseConfig
from sentence_transformers import SentenceTransformer

official = import_module("hipporag.HippoRAG")  # the module: the package gives its name to the class
EXTRACTOR = "ready"


class MiniLM(BaseEmbeddingModel):
    """all-MiniLM-L6-v2 for passages, phrases, facts and questions; it knows no instructions."""

    def __init__(self, global_config: BaseConfig, embedding_model_name: str) -> None:
        super().__init__(global_config=global_config)
        self.model = SentenceTransformer(embedding_model_name, device="cpu")
        self.embedding_dim = 384

    def batch_encode(self, texts: list[str] | str, **options: Any) -> np.ndarray:
        texts = [texts] if isinstance(texts, str) else texts
        return self.model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)


class Hippo:
    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        official._get_embedding_model_class = lambda embedding_model_name: MiniLM
        self.folder = folder
        self.rag = official.HippoRAG(
            BaseConfig(embedding_model_name=task["model"], llm_name=EXTRACTOR, llm_base_url="http://127.0.0.1:9/v1"),
            save_dir=str(folder),
        )
        self.rag.rerank_filter = {"none": keep_all, "lexical": keep_named}[task["options"]["filter"]]
        self.rag.embedding_model.batch_encode("warm up")

    def add(self, items: list[dict[str, Any]]) -> None:
        """Index, and prepare what its first question would prepare."""
        docs = [
            {"passage": i["text"], "extracted_entities": i["entities"], "extracted_triples": i["triples"]}
            for i in items
        ]
        ready = self.folder / f"openie_results_ner_{EXTRACTOR}.json"
        ready.write_text(json.dumps({"docs": docs}), encoding="utf-8")
        self.rag.index([item["text"] for item in items])
        self.rag.prepare_retrieval_objects()
        self.row = {item["text"]: n for n, item in enumerate(items)}

    def search(self, query: str, k: int) -> list[int]:
        return [self.row[text] for text in self.rag.retrieve([query], num_to_retrieve=k)[0].docs]

    def close(self) -> None:
        pass


def keep_all(query: str, facts: list[tuple], rows: list[int], len_after_rerank: int) -> tuple:
    return rows, facts, {"confidence": None}


def keep_named(query: str, facts: list[tuple], rows: list[int], len_after_rerank: int) -> tuple:
    """Facts of whose subject or object at least half of the words occur in the question."""
    asked = set(official.text_processing(query).split())

    def named(phrase: str) -> bool:
        words = phrase.split()
        return 2 * sum(word in asked for word in words) >= len(words) > 0

    kept = [n for n, (subject, _, object) in enumerate(facts) if named(subject) or named(object)]
    return [rows[n] for n in kept], [facts[n] for n in kept], {"confidence": None}


if __name__ == "__main__":
    protocol.main(Hippo, "hipporag", "python-igraph", "sentence-transformers", "transformers", "torch")
