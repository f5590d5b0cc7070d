from __future__ import annotations

from collections.abc import Iterator

import pytest

from mnemic import Memory
from mnemic.lm.doubles import HashEmbedder


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(":memory:", embedder=HashEmbedder(), lm="none") as opened:
        yield opened
