"""The embedder that ships inside: the real weights, on real text."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.demo import conversation
from mnemic.lm.minilm import MiniLM


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM(threads=1)


@pytest.fixture(scope="module")
def turns() -> list[str]:
    return [chunk.text for chunk in conversation()][:60]


def test_the_weights_are_those_that_the_build_wrote() -> None:
    folder = files("mnemic.lm") / "weights"
    origin = json.loads((folder / "origin.json").read_text())
    for name, digest in origin["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_vectors_have_length_one(minilm: MiniLM, turns: list[str]) -> None:
    vectors = minilm.embed(turns)
    assert vectors.shape == (len(turns), 384)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert minilm.embed([]).shape == (0, 384)


def test_meaning_is_nearer_than_words(minilm: MiniLM) -> None:
    question, right, wrong = minilm.embed(
        ["What pet did she adopt?", "She took home a puppy from the shelter.", "What colour did she paint the wall?"]
    )
    assert question @ right > question @ wrong


def test_the_same_call_gives_the_same_vectors(minilm: MiniLM, turns: list[str]) -> None:
    assert np.array_equal(minilm.embed(turns), minilm.embed(turns))
    assert np.array_equal(minilm.embed(turns), MiniLM(threads=2).embed(turns))


def test_company_changes_a_vector_a_little(minilm: MiniLM, turns: list[str]) -> None:
    """Activations are quantised by the range of their batch: the docstring says how far that goes."""
    together = minilm.embed(turns)
    alone = np.concatenate([minilm.embed([text]) for text in turns])
    assert (together * alone).sum(axis=1).min() > 0.96


def test_what_is_beyond_the_window_is_not_seen(minilm: MiniLM) -> None:
    long = "tea " * 400
    assert minilm.count(long) == 400
    assert np.array_equal(minilm.embed([long]), minilm.embed([long + "boats and harbours"]))


words = st.lists(st.sampled_from(["tea", "boat.", "Pneumonoultramicroscopic", "\n", "née", "!", "東京", "x" * 40]))


@settings(max_examples=100)
@given(text=words.map(" ".join) | words.map(lambda some: " ".join(some * 12)) | st.text(max_size=600))
def test_windows_cover_the_text_and_fit(minilm: MiniLM, text: str) -> None:
    spans = minilm.windows(text)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(before[1] == after[0] and before[0] < before[1] for before, after in pairwise(spans))
    assert all(minilm.count(text[start:end]) + 2 <= minilm.window for start, end in spans)
    assert len(spans) == 1 or minilm.count(text) + 2 > minilm.window


def test_windows_end_at_sentences(minilm: MiniLM) -> None:
    text = "The boat came late and nobody was there to meet it. " * 40
    assert all(text[start:end].endswith("it. ") for start, end in minilm.windows(text))
