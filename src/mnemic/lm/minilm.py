"""The embedder that ships inside: all-MiniLM-L6-v2 in int8, on onnxruntime, with no download.

Source   Reimers and Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
         arXiv:1908.10084; weights sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), quantised by
         scripts/build_embedder.py
Axes     n texts, b texts of a batch, s tokens, d = 384

Some activations are quantised by the range of their batch, so the same text in other company has a slightly other
vector (cosine of at least 0.997 on 100 chat turns: benchmarks/embedder.py). What is stored is never compared bit by
bit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from mnemic.seams import Vectors

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_SPECIAL = 2  # [CLS] and [SEP] stand around every text
_BATCH_TOKENS = 2048  # padded tokens of one run: more is no faster on few cores and needs more memory
_PIECE = 126  # tokens of a window when a text needs several: a vector of fewer sentences says more about each
_SENTENCE = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*\s+|\n+")


class MiniLM:
    """Text to 384 numbers; English above all.

    threads   of one call; None is one per core
    """

    name = "all-MiniLM-L6-v2-int8"
    dimensions = 384
    window = 256

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads

    @cached_property
    def _session(self) -> InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False  # the arena keeps the largest batch ever seen
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        weights = files("mnemic.lm") / "weights" / "minilm.onnx"
        return onnxruntime.InferenceSession(weights.read_bytes(), options, providers=["CPUExecutionProvider"])

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        made: Tokenizer = Tokenizer.from_str((files("mnemic.lm") / "weights" / "tokenizer.json").read_text("utf-8"))
        made.no_padding()
        made.no_truncation()
        return made

    def embed(self, texts: Sequence[str]) -> Vectors:
        """[n texts] -> float32 [n d], rows of length 1; what is beyond `window` tokens of a text is not seen."""
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        ids = [self._ids(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        for rows in _batches([len(tokens) for tokens in ids]):
            longest = len(ids[rows[0]])
            padded = np.zeros((len(rows), longest), np.int64)  # [b s]
            mask = np.zeros_like(padded)
            for line, row in enumerate(rows):
                padded[line, : len(ids[row])] = ids[row]
                mask[line, : len(ids[row])] = 1
            vectors[rows] = self._session.run(["vectors"], {"input_ids": padded, "attention_mask": mask})[0]
        return vectors

    def _ids(self, tokens: list[int]) -> list[int]:
        """At most `window` tokens, the closing one kept."""
        return tokens if len(tokens) <= self.window else [*tokens[: self.window - 1], tokens[-1]]

    def windows(self, text: str) -> list[tuple[int, int]]:
        """Spans that together cover the text: one if it fits, else of at most 126 tokens, ended at sentences."""
        if len(text) + _SPECIAL <= self.window:  # a token has at least one character
            return [(0, len(text))]
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        if len(offsets) + _SPECIAL <= self.window:
            return [(0, len(text))]
        starts = [0, *(offsets[token][0] for token in _cuts(text, offsets))]
        return list(zip(starts, [*starts[1:], len(text)], strict=True))

    def count(self, text: str) -> int:
        """Word pieces of the text, uncut."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of like length together, longest first, so that little is padded."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _cuts(text: str, offsets: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Tokens at which a new window starts: the last sentence in reach, or the last word, or wherever it must be."""
    begins = {match.end() for match in _SENTENCE.finditer(text)}
    sentence = [i for i, (start, _) in enumerate(offsets) if start in begins]
    pieces = -(-len(offsets) // _PIECE)
    even = -(-len(offsets) // pieces)  # so that the last one is not a scrap
    at, seen = 0, 0
    while len(offsets) - at > _PIECE:
        while seen < len(sentence) and sentence[seen] <= at + min(even + _PIECE // 8, _PIECE):
            seen += 1
        best = sentence[seen - 1] if seen else 0
        if best <= at + even // 2:
            best = _word_start(text, offsets, at + even)
        at = best
        yield at


def _word_start(text: str, offsets: Sequence[tuple[int, int]], token: int) -> int:
    """The first token of the word that a token is in, unless the word is very long."""
    for back in range(token, max(token - 16, 0), -1):
        if offsets[back - 1][1] < offsets[back][0]:
            return back
    return token
