"""The graph: phrases and passages, joined by what triples say. It can take in and let go of passages at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mnemic.store.hipporag2.ppr import Mass, Walk, exact
from mnemic.store.hipporag2.slots import Slot, Slots
from mnemic.store.hipporag2.synonyms import Synonyms
from mnemic.store.hipporag2.triples import Triple, facts, spoken
from mnemic.store.hipporag2.vectors import Encode, Kept

_LAZY = ("walk", "spread_of")  # worked out again after a change, when somebody asks


class TripleGraph:
    """Nodes are phrases (0 <= node < len(phrases)) and, behind them, passages.

    uses      (passage, fact) slots, one row for each fact that a passage states, int32 [u 2]
    ends      phrase slots of a fact's subject and object, int32 [fact slots, 2]
    """

    def __init__(self, dimensions: int) -> None:
        self.phrases: Slots[str] = Slots(dimensions)
        self.facts: Slots[Triple] = Slots(dimensions)
        self.passages: Slots[str] = Slots()  # their vectors are elsewhere
        self.synonyms = Synonyms()
        self.uses: npt.NDArray[np.int32] = np.zeros((0, 2), np.int32)
        self.ends: npt.NDArray[np.int32] = np.zeros((0, 2), np.int32)
        self._everywhere: dict[float, Mass] = {}

    # ---- change

    def add(self, passages: Mapping[str, Iterable[Sequence[str]]], encode: Encode, kept: Kept | None = None) -> None:
        """Take in passages (id -> triples); ids that are here must have been removed before.

        encode   texts -> their vectors; called once, for phrases and facts that are new, before anything changes
        kept     synonyms known from before, for the first add to an empty graph only
        """
        stated = {id: facts(triples) for id, triples in passages.items()}
        new_facts = self.facts.new(fact for some in stated.values() for fact in some)
        new_phrases = self.phrases.new(phrase for s, _, o in new_facts for phrase in (s, o))
        codes, scale = encode([*new_phrases, *map(spoken, new_facts)])
        self._forget_lazy()
        cut = len(new_phrases)
        joined = self.phrases.take(new_phrases, codes[:cut], scale[:cut])
        slots = self.facts.take(new_facts, codes[cut:], scale[cut:])
        self._note_ends(new_facts, slots)
        homes = self.passages.take(list(stated)).tolist()
        uses = [(home, self.facts.of[fact]) for home, some in zip(homes, stated.values(), strict=True) for fact in some]
        self.uses = np.concatenate([self.uses, np.array(uses, np.int32).reshape(-1, 2)])
        known = kept.synonyms(self.phrases, self.synonyms) if kept else np.zeros(len(self.phrases), np.bool_)
        self.synonyms.join(self.phrases, joined[~known[joined]])

    def remove(self, ids: Iterable[str]) -> None:
        """Let passages go, and the facts and phrases that no other passage supports; unknown ids are passed over."""
        slots = [self.passages.of[id] for id in dict.fromkeys(ids) if id in self.passages.of]
        if not slots:
            return
        self._forget_lazy()
        stays = ~np.isin(self.uses[:, 0], slots)
        self.uses = self.uses[stays]
        self.passages.drop(slots)
        stated = np.bincount(self.uses[:, 1], minlength=len(self.facts)) > 0
        gone_facts = np.flatnonzero(self.facts.live & ~stated)
        named = np.bincount(self.ends[stated].ravel(), minlength=len(self.phrases)) > 0
        gone_phrases = self.phrases.live & ~named
        self.facts.drop(gone_facts.tolist())
        self.phrases.drop(np.flatnonzero(gone_phrases).tolist())
        self.synonyms.part(gone_phrases)

    def _note_ends(self, new: Sequence[Triple], slots: Slot) -> None:
        ends = np.zeros((len(self.facts), 2), np.int32)
        ends[: len(self.ends)] = self.ends
        ends[slots] = np.array([(self.phrases.of[s], self.phrases.of[o]) for s, _, o in new], np.int32).reshape(-1, 2)
        self.ends = ends

    def _forget_lazy(self) -> None:
        for name in _LAZY:
            self.__dict__.pop(name, None)
        self._everywhere.clear()

    # ---- look

    def triples(self) -> dict[str, list[Triple]]:
        """What every passage states: id -> facts."""
        found: dict[str, list[Triple]] = {id: [] for id in self.passages.of}
        for home, fact in self.uses.tolist():
            id, key = self.passages.keys[home], self.facts.keys[fact]
            assert id is not None
            assert key is not None
            found[id].append(key)
        return found

    def __len__(self) -> int:
        """Nodes."""
        return len(self.phrases) + len(self.passages)

    def _mentions(self) -> tuple[Slot, Slot]:
        """Which passage names which phrase, each pair once: [c], [c]."""
        pairs = np.repeat(self.uses[:, 0].astype(np.int64), 2) * len(self.phrases) + self.ends[self.uses[:, 1]].ravel()
        distinct = np.unique(pairs)
        wide = max(len(self.phrases), 1)
        return distinct // wide, distinct % wide

    @cached_property
    def spread_of(self) -> npt.NDArray[np.int64]:
        """In how many passages a phrase stands, [phrase slots]."""
        return np.bincount(self._mentions()[1], minlength=len(self.phrases))

    @cached_property
    def walk(self) -> Walk:
        """The weighted graph (paper, section 3; reference code):

        context   passage - phrase: 1
        relation  subject - object: how often passages state it, counted from both ends, so twice
        synonym   phrase - phrase: the cosine, from each end that looks for synonyms; it takes the place of the
                  relation weight counted from that end
        """
        home, phrase = self._mentions()
        a, b, weight = self._phrase_edges()
        ones = np.ones(len(home))
        return Walk.of(
            len(self),
            np.concatenate([home + len(self.phrases), a]),
            np.concatenate([phrase, b]),
            np.concatenate([ones, weight]),
        )

    def _phrase_edges(self) -> tuple[Slot, Slot, Mass]:
        """Directed edges between phrases: synonyms, and the relations that no synonym takes the place of."""
        wide = max(len(self.phrases), 1)
        ends = self.ends[self.uses[:, 1]].astype(np.int64)  # [u 2]
        both_ways = np.concatenate([ends[:, 0] * wide + ends[:, 1], ends[:, 1] * wide + ends[:, 0]])
        related, count = np.unique(both_ways, return_counts=True)
        source, target, cosine = self.synonyms.edges(self.phrases)
        plain = ~np.isin(related, source * wide + target)
        related, count = related[plain], count[plain]
        return (
            np.concatenate([related // wide, source]),
            np.concatenate([related % wide, target]),
            np.concatenate([count.astype(np.float64), cosine]),
        )

    def everywhere(self, damping: float) -> Mass:
        """The exact vector of a reset of 1 at every passage, [nodes]: the same for all questions."""
        if damping not in self._everywhere:
            reset = np.concatenate([np.zeros(len(self.phrases)), self.passages.live.astype(np.float64)])
            self._everywhere[damping] = exact(self.walk, reset, damping)
        return self._everywhere[damping]
