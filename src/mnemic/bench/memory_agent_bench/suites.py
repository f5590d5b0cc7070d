"""Contexts of all four skills in one go, by size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mnemic.bench.memory_agent_bench.conflicts import factconsolidation
from mnemic.bench.memory_agent_bench.contexts import Context
from mnemic.bench.memory_agent_bench.diary import inserted, whole
from mnemic.bench.memory_agent_bench.examples import banking77, stream, trec
from mnemic.bench.memory_agent_bench.relations import POOL
from mnemic.errors import NotFound


@dataclass(frozen=True)
class Size:
    """Tokens of each context and how many questions; shots of each class, how many classes of
    BANKING77, shots of TREC's six.

    chunk   tokens of a chunk, so that ten of them stay below a fifth of the shortest context
    """

    diary: int
    whole: int
    pools: tuple[int, ...]
    shots: int
    classes: int | None
    trec: int
    questions: int
    chunk: int


SUITES: Mapping[str, Size] = {
    "smoke": Size(diary=12_000, whole=10_000, pools=(10_000,), shots=12, classes=12, trec=40, questions=24, chunk=96),
    "mini": Size(diary=30_000, whole=30_000, pools=(16_000,), shots=30, classes=20, trec=80, questions=60, chunk=128),
    "laptop": Size(
        diary=200_000, whole=100_000, pools=(32_000, 64_000), shots=77, classes=None, trec=86, questions=100, chunk=512
    ),
}


@dataclass(frozen=True)
class Suite:
    """Contexts and how they are cut: examples one by one, all else in chunks."""

    contexts: tuple[Context, ...]
    chunk_size: Mapping[str, int]


def suite(name: str, seed: int) -> Suite:
    """The contexts of a size; NotFound names the sizes there are, DataMissing says which data is needed."""
    if name not in SUITES:
        raise NotFound(f'there is no suite "{name}": there are {", ".join(SUITES)}.')
    size = SUITES[name]
    asked = size.questions
    pools = [
        context for tokens in size.pools for context in factconsolidation(tokens, seed, questions=asked, relations=POOL)
    ]
    contexts = (
        inserted(size.diary, seed, questions=asked),
        stream("banking77", *banking77(), seed, shots=size.shots, classes=size.classes, questions=asked),
        stream("trec_coarse", *trec(), seed, shots=size.trec, questions=asked),
        whole(size.whole, seed, questions=asked),
        *pools,
    )
    return Suite(contexts, {"TTL": 1, "*": size.chunk})
