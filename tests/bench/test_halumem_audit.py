"""HaluMem's runner, scores and diagnosis."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mnemic.bench.halumem import (
    Audit,
    Empty,
    Extractor,
    Fault,
    Found,
    MemoryPoint,
    Misreader,
    Oracle,
    Question,
    RuleReader,
    Session,
    SlotWorld,
    Turn,
    User,
    Verbatim,
    evaluate,
)  # fmt: skip
from mnemic.bench.halumem.audit import slot_query, within
from mnemic.bench.halumem.cases import Cases, MemoryCase, PointCase, QuestionCase, UpdateCase
from mnemic.bench.halumem.diagnosis import STAGES, lowest, nearest, shuffled, stage_scores
from mnemic.bench.halumem.faults import KINDS, STAGE_OF, tuned
from mnemic.bench.halumem.index import Index
from mnemic.bench.halumem.report import Report, harmonic, rates
from mnemic.bench.halumem.trial import at_equal_accuracy
from mnemic.claims.halumem import spearman
from mnemic.errors import BudgetError, InputError
from mnemic.meter import Budget

OSLO = MemoryPoint("Martin Mark's home city is Oslo.", "Persona Memory")
LIMA = MemoryPoint(
    "Martin Mark's home city is Lima now, no longer Oslo.", "Persona Memory", "system", True, (OSLO.text,)
)


@pytest.fixture(scope="module")
def users() -> list[User]:
    return SlotWorld(users=2, sessions=10).build()


# ---- scores by hand


def point(score: int | None, source: str = "primary", weight: float = 1.0, *, update: bool = False) -> PointCase:
    return PointCase("u", 0, f"p{score}{source}{weight}{update}", "Persona Memory", source, weight, update, score)  # type: ignore[arg-type]


def memory(score: int | None, included: bool) -> MemoryCase:
    return MemoryCase("u", 0, "m", score, included)  # type: ignore[arg-type]


def test_extraction_scores_by_hand() -> None:
    cases = Cases(
        points=[point(2, weight=1.0), point(1, weight=0.5), point(0, weight=0.25), point(None, weight=0.25),
                point(2, update=True), point(0, "interference"), point(1, "interference")],
        memories=[memory(2, True), memory(1, True), memory(0, False), memory(None, False)],
    )  # fmt: skip
    every, valid = Report(cases).extraction, Report(cases).extraction_valid
    assert (every.recall, valid.recall) == (1 / 4, 1 / 3)
    assert (every.weighted_recall, valid.weighted_recall) == (1.25 / 2, 1.25 / 1.75)
    assert every.target_precision == 0.75
    assert (every.accuracy, valid.accuracy) == (1.5 / 4, 1.5 / 3)
    assert every.fmr == 0.5
    assert every.f1 == pytest.approx(2 * 0.75 * 0.25 / 1.0)
    assert (every.gold, every.interference, every.extracted, every.included) == (4, 2, 4, 2)


def test_what_is_undefined_is_nan_and_no_score() -> None:
    empty = Report(Cases())
    assert all(math.isnan(value) for value in empty.row().values())
    assert empty.diagnose().stage == ""
    assert math.isnan(harmonic(math.nan, 1.0))
    assert harmonic(0.0, 0.0) == 0.0


def test_rates_count_the_unreadable_in_all_and_leave_it_out_of_valid() -> None:
    said = ["Correct", "Other", None, "Omission"]
    assert rates(said).correct == 0.25  # type: ignore[arg-type]
    assert rates(said, valid=True).correct == 1 / 3  # type: ignore[arg-type]
    assert rates(said).n == 4  # type: ignore[arg-type]


def test_types_share_one_denominator_of_extractions_and_updates() -> None:
    update = UpdateCase("u", 0, "x", "Persona Memory", {"new": "Correct"}, {"new": 1})
    assert Report(Cases(points=[point(2), point(0)], updates=[update])).by_memory_type == {"Persona Memory": 2 / 3}


# ---- the runner


class Silent:
    """A memory that takes all and returns nothing."""

    def add(self, dialogue: Sequence[Turn], time: str) -> None: ...
    def session_memories(self) -> list[str] | None:
        return None

    def search(self, query: str, k: int) -> list[Found]:
        return []


def test_an_update_that_finds_nothing_is_an_omission(users: list[User]) -> None:
    report = evaluate(Silent, users)
    assert report.update.omission == 1.0
    assert report.update.n == sum(
        point.update for user in users for session in user.sessions for point in session.points
    )


def test_a_system_that_does_not_tell_has_no_extraction_scores(users: list[User]) -> None:
    report = evaluate(Silent, users[:1])
    assert math.isnan(report.extraction.recall)
    assert math.isnan(report.extraction.fmr)


def test_the_gold_itself_scores_one_and_loses_nothing(users: list[User]) -> None:
    report = evaluate(lambda: Oracle(users), users)
    row = report.row()
    assert {name for name, value in row.items() if value == 1.0} >= {"recall", "F1", "FMR", "update C", "QA C"}
    assert report.diagnose().stage == ""


def test_an_empty_memory_resists_all_and_has_no_f1(users: list[User]) -> None:
    report = evaluate(Empty, users)
    assert report.extraction.fmr == 1.0
    assert math.isnan(report.extraction.f1)
    assert report.diagnose().stage == "missing"
    boundary = report.qa.by_type.get("Memory Boundary")
    assert boundary is None or boundary.correct == 1.0


def test_both_speakers_are_kept_with_all_that_the_assistant_made_up(users: list[User]) -> None:
    both = evaluate(lambda: Verbatim(("user", "assistant")), users)
    user = evaluate(Verbatim, users)
    assert both.extraction.recall >= user.extraction.recall > 0.9
    assert both.extraction.fmr < 0.1 < 0.8 < user.extraction.fmr
    assert both.diagnose().stage == "invented"
    assert "kept though false" in str(both.diagnose())


def test_overwriting_keeps_one_memory_per_field_and_appending_all(users: list[User]) -> None:
    over, append = Extractor(), Extractor(overwrite=False)
    for session in users[0].sessions:
        over.add(session.dialogue, session.start)
        append.add(session.dialogue, session.start)
    assert len(over.index) < len(append.index)
    assert over.kept_bytes() < append.kept_bytes()


def test_a_full_extractor_keeps_the_newest(users: list[User]) -> None:
    small = Extractor(capacity=5)
    for session in users[0].sessions:
        small.add(session.dialogue, session.start)
        assert len(small.index) <= 5
    with pytest.raises(InputError, match="at least 1"):
        Extractor(capacity=0)


def test_filler_is_remembered_and_never_scored(users: list[User]) -> None:
    seen: list[str] = []

    class Watched(Empty):
        def add(self, dialogue: Sequence[Turn], time: str) -> None:
            seen.append(time)

    filler = Session("2025-01-02", "2025-01-02", (Turn("user", "Hm."),), (OSLO,), filler=True)
    report = evaluate(Watched, [User("u", "", (filler,))])
    assert seen == ["2025-01-02"]
    assert report.cases.points == []


def test_an_update_is_searched_by_its_new_text_its_old_text_and_what_both_share() -> None:
    asked: list[tuple[str, int]] = []

    class Asked(Silent):
        def search(self, query: str, k: int) -> list[Found]:
            asked.append((query, k))
            return []

    session = Session("2025-01-02", "2025-01-02", (Turn("user", "I live in Lima."),), (LIMA,), (Question("?", "Lima"),))
    evaluate(Asked, [User("u", "", (session,))], k_update=7, k_qa=9)
    assert asked == [(LIMA.text, 7), (OSLO.text, 7), ("Martin Mark's home city is", 7), ("?", 9)]
    assert slot_query(MemoryPoint("now in Lima he lives", original=("he lives in Oslo",))) == "in he lives"


def test_a_prompt_stays_within_its_tokens() -> None:
    found = [Found(f"I live in Oslo for {n} years.", "2025-01-01") for n in range(9)]
    kept, used = within(found, "Where do I live?", Budget(60, "tokens"))
    assert 0 < len(kept) < 9
    assert kept == found[: len(kept)]
    assert used <= 60
    with pytest.raises(BudgetError, match="the question alone"):
        within(found, "Where do I live?", Budget(2, "tokens"))
    with pytest.raises(BudgetError, match="2000 tokens"):
        Audit(Empty, budget="2 MB")
    with pytest.raises(InputError, match="new among them"):
        Audit(Empty, queries=("old",))
    with pytest.raises(InputError, match="at least one memory"):
        Audit(Empty, k_qa=0)


def test_a_saved_audit_goes_on_with_the_next_user(users: list[User], tmp_path: Path) -> None:
    first = Audit(Extractor)
    first.add(users[0])
    first.save(tmp_path / "a.json")
    second = Audit(lambda: pytest.fail("the first user is there already"))
    second.load(tmp_path / "a.json")
    second.add(users[0])
    assert second.cases == first.cases
    assert second.report().row() == first.report().row()
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(InputError, match=r"Audit\.save"):
        second.load(tmp_path / "b.json")
    with pytest.raises(InputError, match=r"Audit\.save"):
        second.load(tmp_path / "none.json")


# ---- faults and diagnosis


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_named_at_sixty_percent_right_answers(kind: Any) -> None:
    trial = at_equal_accuracy(kind, SlotWorld(users=2, seed=1).build(), 0)
    assert lowest(stage_scores(trial.cases)) == trial.stage == STAGE_OF[kind]
    assert 0.55 <= trial.accuracy <= 0.65


def test_a_higher_rate_strikes_wherever_a_lower_one_did() -> None:
    places = [str(n) for n in range(500)]
    low = {place for place in places if Fault("drop", 0.3).strikes("drop", place)}
    high = {place for place in places if Fault("drop", 0.6).strikes("drop", place)}
    assert low < high
    assert 100 < len(low) < 200 < len(high) < 400
    assert not any(Fault("drop", 1.0).strikes("skip", place) for place in places)
    with pytest.raises(InputError, match="rate from 0 to 1"):
        Fault("drop", 1.5)


def test_the_rate_is_found_by_halving() -> None:
    assert tuned(lambda rate: 1 - rate, 0.6) == pytest.approx(0.4, abs=0.005)
    assert tuned(lambda rate: 0.6 if rate > 0.9 else 1.0, 0.6) > 0.9


def test_a_misreader_answers_otherwise_or_says_it_does_not_know() -> None:
    reader = Misreader(RuleReader(), Fault("misread", 1.0))
    for text, found in (("What is my home city?", [Found("I live in Oslo.")]), ("What is Nora's pet?", []),
                        ("Which supply would suit Nora's pet?", [Found("Nora has a beagle.")])):  # fmt: skip
        assert reader.answer(text, found) != RuleReader().answer(text, found)
    assert Misreader(RuleReader(), Fault("none", 1.0)).answer("What is my diet?", [Found("I eat vegan.")]) == "vegan"


def test_an_early_error_is_not_charged_to_a_later_stage() -> None:
    cases = Cases(
        points=[point(0), point(2), PointCase("u", 0, "new", "", "system", 1.0, True, 0)],
        memories=[memory(2, True)],
        updates=[UpdateCase("u", 0, "new", "", {"new": "Omission"}, {"new": 0})],
        questions=[QuestionCase("u", 0, "?", "", "x", "unknown", "Omission", {"new": False}),
                   QuestionCase("u", 0, "!", "", "y", "y", "Correct", {"p2primary1.0False": True})],
    )  # fmt: skip
    scores = stage_scores(cases)
    assert scores["missing"] == 0.5
    assert math.isnan(scores["update"])  # no update was extracted
    assert (scores["search"], scores["answer"]) == (1.0, 1.0)


def test_without_the_operations_no_stage_is_named() -> None:
    assert lowest(dict.fromkeys(STAGES, math.nan)) == ""
    assert lowest(dict.fromkeys(STAGES, 1.0)) == ""
    assert lowest({"update": 0.5, "search": 0.4, "answer": math.nan}) == "search"
    scores = dict(zip(STAGES, range(6), strict=True))
    assert sorted(shuffled(scores, random.Random(0)).values()) == [0, 1, 2, 3, 4, 5]


def test_answers_alone_are_put_to_the_nearest_mean() -> None:
    known = {"missing": [(0.6, 0.1, 0.3), (0.6, 0.2, 0.2)], "wrong": [(0.6, 0.4, 0.0)]}
    assert nearest((0.6, 0.18, 0.22), known) == "missing"
    assert nearest((0.6, 0.35, 0.05), known) == "wrong"


def test_rank_correlation_by_hand() -> None:
    assert spearman([1, 2, 3], [10, 20, 30]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6)  # 1 - 6 * 4 / (4 * 15)
    assert spearman([1, 1, 2], [1, 2, 3]) == pytest.approx(math.sqrt(3) / 2)  # ties share their rank


def test_the_index_finds_what_a_person_expects() -> None:
    index = Index()
    index.set("a", "Nora has a beagle")
    index.set("b", "Ben lives in Oslo")
    assert index.search("Where does Ben live?", 5) == ["b"]
    index.set("b", "Ben has a parrot")
    assert index.search("Oslo", 5) == []
    index.drop("a")
    assert index.search("beagle", 5) == []
    assert len(index) == 1
