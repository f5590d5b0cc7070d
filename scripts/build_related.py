"""Make the table of related words that hybrid recall reads: src/mnemic/recall/related.npz, about 1 MB.

python -m venv build-env && build-env/bin/pip install . pyspellchecker==0.9.1
build-env/bin/python scripts/build_related.py

Which English words exist and how common they are comes from the word list of pyspellchecker (MIT). How near
two of them are is the cosine of their vectors from the embedder that ships inside. Words of one stem are one
entry: the mean of their vectors, weighted by log frequency.
"""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from pathlib import Path

import numpy as np

from mnemic.lm.minilm import MiniLM
from mnemic.recall.terms import STOPWORDS, terms

TARGET = Path(__file__).parents[1] / "src" / "mnemic" / "recall" / "related.npz"
RARE = 100  # occurrences in the word list's corpus: what is rarer is mostly misspelt
NEAR, MOST = 0.5, 24  # the least cosine, and the most related words an entry keeps


def main() -> None:
    frequency = json.loads(gzip.decompress((files("spellchecker") / "resources" / "en.json.gz").read_bytes()))
    words = [word for word, count in frequency.items() if count >= RARE and wanted(word)]
    vectors = MiniLM().embed(words) * np.log([frequency[word] for word in words])[:, None]
    members: dict[str, list[int]] = {}
    for i, word in enumerate(words):
        members.setdefault(terms(word)[0], []).append(i)
    stems = sorted(members)
    mean = np.stack([vectors[members[stem]].sum(axis=0) for stem in stems])  # [s d]
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    start, related, cosine = nearest(mean)
    np.savez_compressed(TARGET, stems=np.array("\n".join(stems)), start=start, related=related, cosine=cosine)
    print(f"{len(stems):,} stems, {len(related):,} relations, {TARGET.stat().st_size:,} bytes")


def wanted(word: str) -> bool:
    return word.isascii() and word.isalpha() and len(word) > 2 and word not in STOPWORDS


def nearest(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For row i, related[start[i]:start[i + 1]] best first; cosine in 255ths of the way from NEAR to 1."""
    counts, related, cosine = [0], [], []
    for i, vector in enumerate(vectors):
        scores = vectors @ vector
        scores[i] = 0
        top = np.argpartition(-scores, MOST)[:MOST]
        top = top[np.argsort(-scores[top], kind="stable")]
        top = top[scores[top] > NEAR]
        counts.append(len(top))
        related.append(top)
        cosine.append(np.rint((scores[top] - NEAR) / (1 - NEAR) * 255))
    return (np.cumsum(counts).astype(np.int32), np.concatenate(related).astype(np.uint16),
            np.concatenate(cosine).astype(np.uint8))  # fmt: skip


if __name__ == "__main__":
    main()
