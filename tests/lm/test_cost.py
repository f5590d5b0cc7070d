"""What models cost: by hand, over threads, failures too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.errors import InputError, ModelError
from mnemic.lm.cost import Ledger, Metered, Price, Spent
from mnemic.lm.exchange import Reply, Request, Tool, ToolCall
from mnemic.lm.scripted import ScriptedLM

ASK = [{"role": "user", "content": "Where does Ana live?"}]


def test_money_by_hand() -> None:
    # 1,000 x 2 / 1,000,000 + 200 x 10 / 1,000,000 = 0.002 + 0.002
    lm = Metered(ScriptedLM(lambda request: Reply("Lisbon.", 1000, 200)), price=Price(prompt=2.0, completion=10.0))
    assert lm.complete(ASK).text == "Lisbon."
    assert lm.spent == Spent(calls=1, prompt_tokens=1000, completion_tokens=200, money=0.004)
    assert str(lm.spent) == "1 calls, 1,000 + 200 tokens, 0.004000"
    assert (lm.spent.used.amount, lm.spent.used.parts) == (1200, {"prompt": 1000, "completion": 200})


def test_without_a_price_tokens_are_counted_all_the_same() -> None:
    lm = Metered(ScriptedLM(lambda request: Reply("Lisbon.", 7, 2, measured=False)))
    lm.complete(ASK)
    assert lm.spent == Spent(calls=1, prompt_tokens=7, completion_tokens=2, estimated=9, unpriced=1)
    assert str(lm.spent) == "1 calls, 7 + 2 tokens"


def test_a_failed_call_is_counted_and_raised() -> None:
    def down(request: Request) -> str:
        raise ModelError("down")

    lm = Metered(ScriptedLM(down), price=Price(1, 1))
    with pytest.raises(ModelError, match="down"):
        lm.complete(ASK)
    assert lm.spent == Spent(failed=1)
    assert str(lm.spent) == "0 calls, 0 + 0 tokens, 1 failed"


def test_several_models_share_a_ledger_from_several_threads() -> None:
    ledger = Ledger()
    cheap = Metered(ScriptedLM(lambda request: Reply("a", 10, 1), "cheap"), price=Price(1, 1), ledger=ledger)
    dear = Metered(ScriptedLM(lambda request: Reply("b", 10, 1), "dear"), price=Price(100, 100), ledger=ledger)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: (cheap if n % 2 else dear).complete(ASK), range(400)))
    assert {name: spent.calls for name, spent in ledger.by_model.items()} == {"cheap": 200, "dear": 200}
    assert (ledger.spent.prompt_tokens, ledger.spent.completion_tokens) == (4000, 400)
    assert ledger.spent.money == pytest.approx(200 * 11 * 101 / 1_000_000)


def test_a_metered_model_is_a_model() -> None:
    lm = Metered(ScriptedLM(lambda request: ToolCall("clock") if request.tools else "Ana lives in Lisbon [1]."))
    assert lm.complete(ASK, tools=[Tool("clock", "")]).calls == (ToolCall("clock"),)
    assert (lm.name, lm.count("two words"), len(lm.requests)) == ("scripted", 2, 1)
    with pytest.raises(AttributeError):
        _ = lm.nothing_of_the_kind
    with Memory(":memory:", lm=lm) as memory:
        memory.add("Ana lives in Lisbon.")
        answer = memory.ask("Where does Ana live?")
    assert lm.spent.calls == 2
    assert answer.used.amount < lm.spent.tokens


@pytest.mark.parametrize("price", [(-1, 0), (0, float("nan")), (float("inf"), 1)])
def test_a_price_that_is_none(price: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="give money for a million tokens"):
        Price(*price)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=8))
def test_the_sum_does_not_depend_on_the_order(pairs: list[tuple[int, int]]) -> None:
    each = [Spent(calls=1, prompt_tokens=p, completion_tokens=c) for p, c in pairs]
    assert sum(each, Spent()) == sum(reversed(each), Spent())
    assert sum(each, Spent()).tokens == sum(p + c for p, c in pairs)
