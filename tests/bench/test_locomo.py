"""The LoCoMo benchmark: its measure by hand, its fit, and that the held-out number is held out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mnemic.bench import locomo
from mnemic.bench.locomo import Asked, evidence_of, fit, share, with_held_out
from mnemic.errors import DataMissing
from mnemic.recall.hybrid import WEIGHTS


def test_recall_by_hand() -> None:
    assert share(np.array([4, 2, 9, 1]), frozenset({2, 1, 7}), 3) == pytest.approx(1 / 3)
    assert share(np.array([4, 2, 9, 1]), frozenset({2, 1, 7}), 4) == pytest.approx(2 / 3)


def test_evidence_is_read_as_the_data_has_it() -> None:
    assert evidence_of({"evidence": ["D1:3", "D8:6; D9:17", "D"]}) == ["D1:3", "D8:6", "D9:17"]
    assert evidence_of({}) == []


def talks(seed: int, truth: Sequence[float], names: str = "abc", each: int = 40) -> list[Asked]:
    """Made-up questions: of 30 turns, the evidence is the one that some true weights rank first."""
    rng = np.random.default_rng(seed)
    asked = []
    for n in range(each * len(names)):
        features = rng.normal(size=(30, len(WEIGHTS)))
        evidence = frozenset({int((features @ truth + rng.gumbel(size=30)).argmax())})
        asked.append(
            Asked(names[n % len(names)], f"question {n}", "single-hop", evidence, {"BM25": np.arange(20)}, features)
        )
    return asked


TRUTH = np.array([2.0, -1.0, 0.5, 0, 0, 1.0, 0, 0, 3.0])


def test_the_fit_finds_the_weights_that_made_the_evidence() -> None:
    assert fit(talks(0, TRUTH, each=300)) == pytest.approx(TRUTH, abs=0.35)


def test_the_fit_stands_where_the_gradient_is_zero() -> None:
    asked = talks(1, TRUTH)
    w = fit(asked)
    gradient = np.zeros(len(w))
    for one in asked:  # the equation, one question at a time
        likely = np.exp(one.features @ w)
        likely /= likely.sum()
        target = np.isin(np.arange(30), list(one.evidence)) / len(one.evidence)
        gradient += one.features.T @ (likely - target)
    assert gradient + w == pytest.approx(np.zeros(len(w)), abs=1e-4)  # the ridge is 1


def test_multi_hop_questions_count_three_times() -> None:
    asked = talks(2, TRUTH, each=10)
    heavy = [Asked(o.conversation, o.text, "multi-hop", o.evidence, o.ranked, o.features) for o in asked[:5]]
    assert fit(heavy + asked[5:]) == pytest.approx(fit(asked[:5] * 3 + asked[5:]), abs=1e-5)


def test_a_conversation_is_ranked_by_weights_that_never_saw_it() -> None:
    first, second = talks(3, TRUTH), talks(3, TRUTH)
    changed = [
        Asked(o.conversation, o.text, o.category, frozenset({0}), o.ranked, o.features) if o.conversation == "a" else o
        for o in second
    ]
    before, after = with_held_out(first, 0.0).weights, with_held_out(changed, 0.0).weights
    assert (before["a"] == after["a"]).all()
    assert not np.allclose(before["b"], after["b"])


def test_the_control_falls() -> None:
    """With evidence that has nothing to do with the features, held-out recall is that of chance."""
    asked, rng = talks(4, TRUTH), np.random.default_rng(4)
    shuffled = [
        Asked(o.conversation, o.text, o.category, frozenset({int(rng.integers(30))}), dict(o.ranked), o.features)
        for o in asked
    ]
    real = with_held_out(asked, 0.0).recall("hybrid, held out", 5).mean()
    control = with_held_out(shuffled, 0.0).recall("hybrid, held out", 5).mean()
    assert real > 0.8
    assert control < 0.35  # 5 of 30 by chance


def beginning(talk: dict[str, Any], sessions: int = 6) -> dict[str, Any]:
    """The first sessions of a conversation, and the questions that these answer."""
    said = talk["conversation"]
    kept = {f"session_{n + 1}" for n in range(sessions)}
    turns = {turn["dia_id"] for name in kept for turn in said[name]}
    return {**talk, "conversation": {name: of for name, of in said.items() if name in kept or isinstance(of, str)},
            "qa": [qa for qa in talk["qa"] if evidence_of(qa) and turns.issuperset(evidence_of(qa))]}  # fmt: skip


def test_on_two_real_conversations(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        samples = [beginning(talk) for talk in json.loads(locomo.data.read("locomo"))[:2]]
    except DataMissing as error:
        pytest.skip(str(error))
    monkeypatch.setattr(locomo.data, "read", lambda name: json.dumps(samples))
    found = locomo.study(limit=60)
    rows = {row["method"]: row for row in found.rows()}
    assert list(rows) == ["BM25", "MiniLM", "rank fusion", "trial's formula", "hybrid, shipped weights",
                          "hybrid, held out"]  # fmt: skip
    assert rows["hybrid, shipped weights"]["recall@10"] > rows["BM25"]["recall@10"]
    weights = np.array(list(WEIGHTS.values()))
    for one in found.asked:  # the features are those that the retriever ranks by
        mine = (-(one.features @ weights)).argsort(kind="stable")[:10]
        assert one.features[mine] @ weights == pytest.approx(
            one.features[one.ranked["hybrid, shipped weights"][:10]] @ weights, abs=1e-3
        )
