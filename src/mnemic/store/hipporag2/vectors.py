"""Vectors of phrases and facts: made once, kept in a file that names them by a digest of their text.

The file is a cache. It never goes stale, since a text's vector does not change while the embedder is the same;
what it lacks is embedded again, what it has too much is left out when it is written next.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnemic.recall.packed import Codes, Floats, quantise
from mnemic.seams import Embedder
from mnemic.store.hipporag2.slots import Slot, Slots
from mnemic.store.hipporag2.synonyms import Synonyms

Encode = Callable[[Sequence[str]], tuple[Codes, Floats]]

_AT_ONCE = 8192  # texts embedded before their float vectors are packed: 12 MB of them
_DIGEST = 16  # bytes; two texts of a billion share one with a chance of 1 in 10^20


class Kept:
    """Vectors and synonyms that were worked out before.

    row     digest of a text -> row of codes [n d] and scale [n]
    pairs   rows of synonyms (a, b) [m] with their cosine [m]
    """

    def __init__(self, digests: Sequence[bytes], codes: Codes, scale: Floats, a: Slot, b: Slot,
                 cosine: npt.NDArray[np.float64]) -> None:  # fmt: skip
        self.row = {digest: row for row, digest in enumerate(digests)}
        self.codes, self.scale = codes, scale
        self.a, self.b, self.cosine = a, b, cosine

    def synonyms(self, phrases: Slots[str], into: Synonyms) -> npt.NDArray[np.bool_]:
        """Hand over the pairs of phrases that are here; returns which phrase slots need no comparing any more."""
        slot_of = np.full(len(self.row), -1, np.int64)
        known = np.zeros(len(phrases), np.bool_)
        for phrase, slot in phrases.of.items():
            row = self.row.get(digest(phrase))
            if row is not None:
                slot_of[row], known[slot] = slot, True
        a, b = slot_of[self.a], slot_of[self.b]
        both = (a >= 0) & (b >= 0)
        into.extend(a[both], b[both], self.cosine[both])
        return known


class Encoder:
    """Texts to packed vectors, each text embedded once: what `kept` has is taken from there.

    embedded    how many texts had to be embedded so far
    """

    def __init__(self, embedder: Embedder, kept: Kept | None = None) -> None:
        self.embedder, self.kept, self.embedded = embedder, kept, 0

    def __call__(self, texts: Sequence[str]) -> tuple[Codes, Floats]:
        """[n] -> int8 [n d], float32 [n]."""
        codes, scale = np.zeros((len(texts), self.embedder.dimensions), np.int8), np.zeros(len(texts), np.float32)
        rows = np.array([self.kept.row.get(digest(text), -1) if self.kept else -1 for text in texts], np.int64)
        if self.kept is not None:
            here = rows >= 0
            codes[here], scale[here] = self.kept.codes[rows[here]], self.kept.scale[rows[here]]
        missing = np.flatnonzero(rows < 0)
        for at in range(0, len(missing), _AT_ONCE):
            part = missing[at : at + _AT_ONCE]
            codes[part], scale[part] = quantise(self.embedder.embed([texts[n] for n in part.tolist()]))
        self.embedded += len(missing)
        return codes, scale


def digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


def write_kept(file: Path, embedder: str, shelves: Sequence[tuple[Sequence[str], Codes, Floats]],
               synonyms: tuple[Slot, Slot, npt.NDArray[np.float64]]) -> None:  # fmt: skip
    """Write vectors (texts, codes, scale) by shelf; synonyms are rows of the first shelf. All of the file or none."""
    digests = b"".join(digest(text) for texts, _, _ in shelves for text in texts)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as out:
            np.savez(
                out,
                embedder=np.array(embedder),
                digests=np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST),
                codes=np.concatenate([codes for _, codes, _ in shelves]),
                scale=np.concatenate([scale for _, _, scale in shelves]),
                a=synonyms[0].astype(np.int32),
                b=synonyms[1].astype(np.int32),
                cosine=synonyms[2],
            )
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def read_kept(file: Path, embedder: str, dimensions: int) -> Kept | None:
    """What was written for this embedder; None when there is nothing, or nothing that can be used."""
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as data:
            if str(data["embedder"]) != embedder or data["codes"].shape[1] != dimensions:
                return None
            digests = [row.tobytes() for row in data["digests"]]
            return Kept(digests, data["codes"], data["scale"], data["a"].astype(np.int64), data["b"].astype(np.int64),
                        data["cosine"])  # fmt: skip
    except Exception as error:  # of a damaged file zipfile and numpy raise a dozen kinds, RuntimeError among them
        warnings.warn(f"{file}: cannot be read ({error}): its vectors are made again.", stacklevel=2)
        return None
