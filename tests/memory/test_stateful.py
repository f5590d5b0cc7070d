"""Any sequence of calls leaves a memory that checks clean and equals a plain dictionary."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from mnemic.errors import InputError
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory

texts = st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and text.isprintable())
words = st.sampled_from(["boat", "Ana", "東京", "naïve", "don't", "x1"])
said = st.lists(words, min_size=1, max_size=6).map(" ".join) | texts
episodes = st.sampled_from([None, "e1", "e2"])


class MemoryMachine(RuleBasedStateMachine):
    records = Bundle("records")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.open()
        self.model: dict[str, str] = {}
        self.past: dict[int, dict[str, str]] = {0: {}}
        self.erased: set[str] = set()

    def open(self) -> None:
        path = Path(self.folder.name) / "life.db"
        self.memory = Memory(path, embedder=HashEmbedder(16), retriever="dense")

    def note(self) -> None:
        self.past[self.memory.position] = dict(self.model)

    @rule(target=records, text=said, episode=episodes)
    def add(self, text: str, episode: str | None) -> str:
        record = self.memory.add(text, episode=episode)
        self.model[record.id] = text
        self.note()
        return record.id

    @rule(target=records, text=said, source=records)
    def derive(self, text: str, source: str) -> str:
        record = self.memory.add(text, kind="fact", derived_from=[source])
        self.model[record.id] = text
        self.note()
        return record.id

    @rule(id=records, text=said, episode=episodes)
    def update(self, id: str, text: str, episode: str | None) -> None:
        if id in self.model:
            self.memory.update(id, text=text, episode=episode)
            self.model[id] = text
            self.note()

    @rule(id=records)
    def forget(self, id: str) -> None:
        if id in self.model:
            self.memory.forget(id)
            del self.model[id]
            self.note()

    @rule(id=consumes(records))
    def erase(self, id: str) -> None:
        if id not in self.erased:
            self.memory.erase(id)
            self.model.pop(id, None)
            self.erased.add(id)
            self.note()

    @rule(back=st.integers(0, 5))
    def undo(self, back: int) -> None:
        before = self.memory.position
        try:
            self.memory.undo(before - back)
        except InputError:
            assert self.memory.position == before
        else:
            self.model = {record.id: record.text for record in self.memory.records()}
            self.note()

    @rule()
    def reopen(self) -> None:
        self.memory.close()
        self.open()

    @rule(query=said)
    def recall(self, query: str) -> None:
        found = self.memory.recall(query, k=len(self.model) + 3)
        assert {hit.record.id for hit in found} == set(self.model)
        assert all(hit.passage == hit.record.text for hit in found)

    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        n = data.draw(st.sampled_from(sorted(self.past)))
        then = {id: text for id, text in self.past[n].items() if id not in self.erased}
        assert {record.id: record.text for record in self.memory.as_of(n).records()} == then

    @invariant()
    def rows_equal_the_model(self) -> None:
        assert {record.id: record.text for record in self.memory.records()} == self.model

    @invariant()
    def columns_equal_a_fresh_load(self) -> None:
        """What was patched in call by call gives the same neighbours and words as loading anew."""
        from mnemic.recall.store_corpus import StoreCorpus

        kept = self.memory.corpus
        fresh = StoreCorpus(self.memory.store, "default", self.memory.embedder)
        fresh.refresh()
        assert describe(kept) == describe(fresh)

    def teardown(self) -> None:
        assert self.memory.check().ok, self.memory.check()
        self.memory.close()
        self.folder.cleanup()


def describe(corpus: object) -> dict[int, tuple[int, tuple[int, ...]]]:
    """n -> words and the set of the others in its episode, for live rows."""
    c = corpus  # a StoreCorpus
    groups: dict[int, set[int]] = {}
    for row in range(c.size):  # type: ignore[attr-defined]
        if c.alive[row]:  # type: ignore[attr-defined]
            groups.setdefault(int(c.episode[row]), set()).add(int(c.n[row]))  # type: ignore[attr-defined]
            for near in (int(c.before[row]), int(c.after[row])):  # type: ignore[attr-defined]
                assert near == -1 or c.alive[near]  # type: ignore[attr-defined]
    return {
        int(c.n[row]): (int(c.length[row]), tuple(sorted(groups[int(c.episode[row])])))  # type: ignore[attr-defined]
        for row in range(c.size)  # type: ignore[attr-defined]
        if c.alive[row]  # type: ignore[attr-defined]
    }


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much],  # most rules wait for a record, and erase takes them away
)  # fmt: skip
