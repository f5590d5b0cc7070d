"""Vectors in one byte a dimension."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.recall.packed import cosines, pack, quantise, unpack


def unit(seed: int, n: int, d: int = 384) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_codes_by_hand() -> None:
    codes, scale = quantise(np.array([[1.0, -0.5, 0.0], [0.0, 0.0, 0.0]], np.float32))
    assert codes.tolist() == [[127, -64, 0], [0, 0, 0]]  # -63.5 rounds to the even neighbour
    assert scale.tolist() == [pytest.approx(1 / 127), 1.0]


def test_windows_come_back_from_their_bytes() -> None:
    vectors = unit(0, 2, 8)
    windows = unpack(pack([(0, 5), (5, 9)], vectors), 8)
    assert windows[["start", "end"]].tolist() == [(0, 5), (5, 9)]
    assert np.allclose(windows["codes"] * windows["scale"][:, None], vectors, atol=float(windows["scale"].max()) / 2)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 20))
def test_cosines_are_off_by_at_most_two_thousandths(seed: int, n: int) -> None:
    vectors, question = unit(seed, n), unit(seed + 1, 1)[0]
    codes, scale = quantise(vectors)
    assert np.abs(cosines(codes, scale, question) - vectors @ question).max() <= 0.002


def test_no_rows_have_no_cosines() -> None:
    assert cosines(np.zeros((0, 8), np.int8), np.zeros(0, np.float32), unit(0, 1, 8)[0]).shape == (0,)
