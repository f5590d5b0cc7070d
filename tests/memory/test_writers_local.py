"""What rules read in sentences: by hand, then for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.writers.facts import Candidate, LocalExtractor, Passage
from mnemic.writers.facts.candidate import content, within
from mnemic.writers.facts.relations import functional
from mnemic.writers.facts.sentences import idle, sentences
from mnemic.writers.facts.times import dated


def read(text: str, speaker: str = "Ana", time: str | None = "2026-05-03") -> list[Candidate]:
    passage = Passage(tuple(each for each in sentences(text) if not idle(each)), speaker, time)
    return list(LocalExtractor().read([passage])[0].candidates)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("I live in Lisbon.", "Ana lives in Lisbon."),
        ("Well, I'm currently living in Lisbon with two cats.", "Ana lives in Lisbon."),
        ("We moved back to Lisbon, and it rains.", "Ana lives in Lisbon."),
        ("I've been working at the Bank of Spain as a clerk since 2020.", "Ana works at the Bank of Spain."),
        ("I got a new job as a nurse.", "Ana works as a nurse."),
        ("I was born in Porto.", "Ana was born in Porto."),
        ("I'm originally from Sweden.", "Ana is from Sweden."),
        ("I am married to Tom.", "Ana is married to Tom."),
        ("I'm single.", "Ana is single."),
        ("I turned 34 yesterday.", "Ana is 34 years old."),
        ("I'm a big fan of pottery!", "Ana is a fan of pottery."),
        ("My favourite colour is blue.", "Ana's favourite colour is blue."),
        ("My name is Ana Silva.", "Ana's name is Ana Silva."),
        ("My sister Maria lives in Porto.", "Ana's sister Maria lives in Porto."),
        ("My kids love dinosaurs.", "Ana's kids love dinosaurs."),
        ("Ben works at Tascam.", "Ben works at Tascam."),
        ("I went to a support group yesterday and it was so powerful.", "Ana went to a support group on 2 May 2026."),
        ("Last Friday, I passed the interviews!", "Ana passed the interviews on 1 May 2026."),
        ("Yeah, I painted that lake sunrise last year!", "Ana painted the lake sunrise in 2025."),
        ("I took my kids to a workshop.", "Ana took Ana's kids to a workshop."),
        ("I'm going to a conference next month.", "Ana is going to a conference in June 2026."),
    ],
)
def test_a_sentence_by_hand(text: str, fact: str) -> None:
    assert fact in [candidate.text for candidate in read(text)]


def test_one_sentence_may_hold_several_facts() -> None:
    facts = [candidate.text for candidate in read("I live in Berlin and work at Tascam, and my dog's name is Rex.")]
    assert facts == ["Ana lives in Berlin.", "Ana works at Tascam.", "Ana's dog's name is Rex."]


@pytest.mark.parametrize(
    "text",
    [
        "I'm so happy for you!", "I think it will rain.", "It was amazing.", "You've found the courage to go to Rome.",
        "Wish I was that brave too.", "I had a great time.", "She gave it to me.",
        "I hope to see Lisbon.", "That is so nice.", "Stay motivated and keep going.",
        "I am planning a few.",
        "Good luck with the move to Lisbon!", "Do you live in Lisbon?", "I moved on to better things.",
        "What a day in Lisbon.", "Everyone was glad in Lisbon.", "I'd love to live in Lisbon.", "I can't wait.",
    ],
)  # fmt: skip
def test_what_is_no_fact_yields_none(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    ("text", "becomes", "time"),
    [
        ("I ran yesterday", "I ran on 2 May 2026", "2026-05-02"),
        ("I ran two days ago", "I ran on 1 May 2026", "2026-05-01"),
        ("I ran last week", "I ran in the week of 20 April 2026", "2026-04"),  # 3 May 2026 is a Sunday
        ("I ran last weekend", "I ran in the weekend of 25 April 2026", "2026-04"),
        ("I ran last Friday", "I ran on 1 May 2026", "2026-05-01"),
        ("I ran last Sun", "I ran on 26 April 2026", "2026-04-26"),
        ("I ran last month", "I ran in April 2026", "2026-04"),
        ("I ran five months ago", "I ran in December 2025", "2025-12"),
        ("I ran last summer", "I ran in summer 2025", "2025"),
        ("I ran last May", "I ran in May 2025", "2025-05"),
        ("I ran this month", "I ran in May 2026", "2026-05"),
        ("I will run next month", "I will run in June 2026", None),  # a plan did not become true then
        ("I will run tomorrow", "I will run on 4 May 2026", None),
        ("I ran over the last year", "I ran over the last year", None),
        ("I ran 900 years ago", "I ran in 1126", "1126"),
        ("I ran 999 months ago and 999 weeks ago", "I ran in February 1943 and in the week of 5 March 2007", "1943-02"),
    ],
)
def test_times_count_from_the_day_it_was_said(text: str, becomes: str, time: str | None) -> None:
    assert (dated(text, "2026-05-03").text, dated(text, "2026-05-03").time) == (becomes, time)


@pytest.mark.parametrize("said", [None, "2026", "2026-05"])
def test_without_a_day_no_time_is_made_up(said: str | None) -> None:
    assert dated("I ran yesterday", said).text == "I ran yesterday"


def test_sentences_by_hand() -> None:
    text = "Dr. Silva came. I left! [1] > (no date) I live in Rome.\n[2] > (no date) I live in Rome.\n> more\nReally?"
    assert sentences(text) == ["Dr. Silva came.", "I left!", "[1] > (no date) I live in Rome.", "Really?"]


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("I live in Lisbon.", ""),
        ("Ben likes jazz.", ""),
        ("The shop of Ben is closed.", ""),
        ("J'aime le jazz.", ""),  # rules know English only: a model may read it
        ("我住在里斯本。", ""),
        ("Maria's grandma passed away.", ""),
        ("That's so cool and nice!", "about nobody"),
        ("Wow, that is so cool!", "about nobody"),
        ("You would be a great counselor!", "about nobody"),
        ("Hey Ben!", "small talk"),
        ("Where do I live?", "a question"),
        ("I see.", "too short to say anything"),
        ("I am " + "so " * 300, "longer than a sentence"),
    ],
)
def test_the_gate_by_hand(sentence: str, why: str) -> None:
    assert idle(sentence) == why


def test_words_in_order() -> None:
    assert within(content("I moved to Lisbon"), content("In May Ana moved to Lisbon"))
    assert not within(content("from Lisbon to Berlin"), content("from Berlin to Lisbon"))
    assert not within(content("I do not live in Lisbon"), content("I live in Lisbon"))


def test_what_has_one_value_at_a_time() -> None:
    assert functional("Ana", "lives in")
    assert functional("Ana's favourite colour", "is")
    assert not functional("Ana", "likes")
    assert not functional("Ana", "is")


@given(
    st.text(max_size=300), st.text(min_size=1, max_size=20), st.sampled_from([None, "2026", "2026-05-03", "0001-01-01"])
)
def test_any_text_can_be_read(text: str, speaker: str, time: str | None) -> None:
    read(text, speaker, time)


_WORDS = st.sampled_from(
    "I we my our you it Ana Lisbon live lives moved to in at a the work love cat yesterday last week and but , - . no "
    "longer not anymore am is was have has 34 years ago".split()
)


@given(st.lists(_WORDS, max_size=14).map(" ".join))
def test_no_fact_speaks_of_i_or_you(text: str) -> None:
    for candidate in read(text, "Eva"):
        words = {word.strip(".,'").lower() for word in candidate.text.split()}
        assert not words & {"i", "my", "our", "we", "you"}, candidate
        assert candidate.subject
        assert candidate.ended or candidate.object


@given(st.lists(_WORDS, max_size=14).map(" ".join))
def test_the_same_text_gives_the_same_facts(text: str) -> None:
    assert read(text) == read(text)
