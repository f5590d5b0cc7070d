"""all-MiniLM-L6-v2 in float32 on onnxruntime, for packages that take an embedder of one's own and bring none.

The graph is the one that scripts/build_embedder.py writes before quantisation: mean pooling and scaling to length 1
are in it. Runs in the package's environment (numpy, onnxruntime, tokenizers).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

WINDOW = 256  # tokens, as sentence-transformers has it for this model
BATCH = 32


class MiniLM:
    """Texts to vectors of length 1."""

    dim = 384

    def __init__(self, weights: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        self.session = onnxruntime.InferenceSession(weights / "fp32.onnx", options, ["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
        self.tokenizer.enable_truncation(WINDOW)
        self.tokenizer.enable_padding()  # to the longest of its batch
        self.embed(["warm up"])

    def embed(self, texts: list[str]) -> np.ndarray:
        """[n texts] -> float32 [n 384], batched by length."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.empty((len(texts), self.dim), np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            tokens = self.tokenizer.encode_batch([texts[i] for i in rows])
            ids = np.array([t.ids for t in tokens], np.int64)  # [b s]
            mask = np.array([t.attention_mask for t in tokens], np.int64)  # [b s]
            vectors[rows] = self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return vectors
