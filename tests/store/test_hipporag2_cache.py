"""The cache beside the file: vectors of phrases and facts are made once, and it may go or break at any time."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnemic import Memory
from mnemic.lm.doubles import HashEmbedder
from mnemic.store.hipporag2.vectors import read_kept

QUESTION = "Who rows the red boat?"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A memory of 30 passages, searched once."""
    with opened(tmp_path / "x.db") as memory:
        fill(memory, range(30))
        memory.recall(QUESTION)
    return tmp_path / "x.db"


def opened(file: Path, **options: Any) -> Memory:
    return Memory(file, **{"retriever": "hipporag2", "embedder": HashEmbedder(), **options})


def fill(memory: Memory, numbers: range) -> None:
    memory.add_many({"text": f"Guest {n} rowed.", "metadata": {"triples": [[f"guest {n}", "rowed", f"red boat {n}"]]}}
                    for n in numbers)  # fmt: skip


def caches(file: Path) -> list[Path]:
    return sorted(file.parent.glob("x.db.hipporag2-*.cache"))


def embedded(memory: Memory) -> int:
    """Phrases and facts that had to be embedded."""
    memory.recall(QUESTION)
    count: int = memory.retriever._encoder.embedded  # type: ignore[attr-defined]
    return count


def found(memory: Memory) -> list[tuple[str, float]]:
    return [(hit.record.id, round(hit.score, 6)) for hit in memory.recall(QUESTION, k=30)]


def test_it_is_written_beside_the_file_and_used(file: Path) -> None:
    assert len(caches(file)) == 1
    with opened(file) as memory:
        assert embedded(memory) == 0
        with_cache = found(memory)
        pairs = len(memory.retriever._graph.synonyms.a)  # type: ignore[attr-defined]
    caches(file)[0].unlink()
    with opened(file) as memory:
        assert embedded(memory) == 90  # 60 phrases, 30 facts
        assert found(memory) == with_cache
        assert len(memory.retriever._graph.synonyms.a) == pairs > 0  # type: ignore[attr-defined]


def test_only_what_it_lacks_is_embedded(file: Path) -> None:
    with opened(file) as memory:
        fill(memory, range(30, 32))
        assert embedded(memory) == 6


def test_it_is_written_again_when_more_than_a_tenth_is_not_in_it(file: Path) -> None:
    before = caches(file)[0].read_bytes()
    with opened(file) as memory:
        embedded(memory)
        fill(memory, range(30, 32))
        embedded(memory)
        assert caches(file)[0].read_bytes() == before  # 6 of 96
        fill(memory, range(32, 36))
        embedded(memory)
        assert caches(file)[0].read_bytes() != before  # 18 of 108
    with opened(file) as memory:
        assert embedded(memory) == 0


def test_a_broken_one_warns_and_is_made_again(file: Path) -> None:
    with opened(file) as memory:
        whole = found(memory)
    content = caches(file)[0].read_bytes()
    for broken in (b"", b"nonsense", content[: len(content) // 2], content[:200] + b"\x00" * 200 + content[400:]):
        caches(file)[0].write_bytes(broken)
        with opened(file) as memory:
            with pytest.warns(UserWarning, match=r"cannot be read .* made again"):
                assert embedded(memory) == 90
            assert found(memory) == whole
        with opened(file) as memory:
            assert embedded(memory) == 0


def test_whatever_byte_is_wrong_it_is_used_whole_or_not_at_all(file: Path) -> None:
    content = bytearray(caches(file)[0].read_bytes())
    with opened(file) as memory:
        name, good = memory.embedder.name, read_kept(caches(file)[0], memory.embedder.name, 64)
    assert good is not None
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for at in rng.integers(0, len(content), 400).tolist():
            old, content[at] = content[at], int(rng.integers(256))
            caches(file)[0].write_bytes(content)
            kept = read_kept(caches(file)[0], name, 64)
            assert kept is None or (kept.row == good.row and (kept.codes == good.codes).all())
            content[at] = old


def test_one_of_another_embedder_is_ignored(file: Path) -> None:
    class Other(HashEmbedder):
        def __init__(self) -> None:
            super().__init__(seed=7)
            self.name = "other-64"

    with opened(file, retriever="dense") as memory:
        list(memory.reembed(Other()))
    with opened(file, embedder=Other()) as memory:
        assert embedded(memory) == 90
    with opened(file, embedder=Other()) as memory:
        assert embedded(memory) == 0  # it took the place of the old one


def test_one_that_cannot_be_written_warns_and_answers(tmp_path: Path) -> None:
    with opened(tmp_path / "x.db") as memory:
        fill(memory, range(3))
        memory.retriever._cache.mkdir()  # type: ignore[attr-defined]
        with pytest.warns(UserWarning, match="cannot be (read|written)"):
            assert len(memory.recall(QUESTION)) == 3
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_it_holds_digests_not_texts(file: Path) -> None:
    with np.load(caches(file)[0], allow_pickle=False) as data:
        assert data["digests"].shape == (90, 16)
        assert data["codes"].shape == (90, 64)
    assert b"guest" not in caches(file)[0].read_bytes().lower()


def test_erasing_deletes_it(file: Path) -> None:
    with opened(file) as memory:
        memory.erase(next(iter(memory.records())).id)
        assert caches(file) == []
        assert len(memory.recall(QUESTION, k=30)) == 29


def test_each_space_has_its_own(file: Path) -> None:
    with opened(file, space="other") as memory:
        fill(memory, range(5))
        memory.recall(QUESTION)
    assert len(caches(file)) == 2
    with opened(file) as memory:
        assert embedded(memory) == 0


def test_a_memory_in_ram_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Memory(":memory:", retriever="hipporag2", embedder=HashEmbedder()) as memory:
        fill(memory, range(3))
        assert len(memory.recall(QUESTION)) == 3
    assert list(tmp_path.iterdir()) == []
