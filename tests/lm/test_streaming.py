"""An answer piece by piece: from a server, from the model inside the process, from any other model in one piece."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mnemic.errors import ModelError
from mnemic.lm.cache import Cached
from mnemic.lm.exchange import Reply
from mnemic.lm.local import LocalModel
from mnemic.lm.scripted import ScriptedLM
from mnemic.lm.streaming import stream

ASK = [{"role": "user", "content": "Where does Ana live?"}]
USAGE = {"prompt_tokens": 11, "completion_tokens": 3}


def taken(pieces: Generator[str, None, Reply]) -> tuple[list[str], Reply]:
    found: list[str] = []
    while True:
        try:
            found.append(next(pieces))
        except StopIteration as end:
            return found, end.value


def chunk(text: str | None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}], **more}


def sends(*events: Any, done: bool = True, every: float = 0.0) -> Callable[..., None]:
    """A server that streams events: JSON, or bytes as they are."""

    def behave(_: Any, __: Any, handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        try:
            for event in (*events, *([b"data: [DONE]\n\n"] if done else [])):
                handler.wfile.write(event if isinstance(event, bytes) else f"data: {json.dumps(event)}\n\n".encode())
                handler.wfile.flush()
                time.sleep(every)
        except OSError:
            return

    return behave


def test_the_pieces_come_as_the_server_sends_them_and_the_costs_last(server: Any) -> None:
    server.behave = sends(chunk(""), b": still there\n\n", chunk("Li"), chunk("sbon."), chunk(None, "stop"),
                          {"choices": [], "usage": USAGE})  # fmt: skip
    pieces, reply = taken(stream(server.model(), ASK, max_tokens=7))
    assert pieces == ["Li", "sbon."]
    assert reply == Reply("Lisbon.", 11, 3)
    assert (server.bodies[0]["stream"], server.bodies[0]["max_tokens"]) == (True, 7)


def test_the_first_piece_is_there_before_the_last_is_sent(server: Any) -> None:
    go = threading.Event()

    def behave(_: Any, __: Any, handler: Any) -> None:
        sends(chunk("Li"), done=False)(_, __, handler)
        go.wait(5)
        handler.wfile.write(f"data: {json.dumps(chunk('sbon.', 'stop'))}\n\ndata: [DONE]\n\n".encode())

    server.behave = behave
    pieces = stream(server.model(), ASK)
    assert next(pieces) == "Li"
    go.set()
    assert taken(pieces)[0] == ["sbon."]


def test_whoever_goes_away_closes_the_connection(server: Any) -> None:
    left = threading.Event()

    def behave(_: Any, __: Any, handler: Any) -> None:
        sends(*[chunk("word ")] * 2000, every=0.005)(_, __, handler)
        left.set()

    server.behave = behave
    pieces = stream(server.model(), ASK)
    assert next(pieces) == "word "
    pieces.close()
    assert left.wait(5)


def test_a_server_that_does_not_stream_says_all_at_once(server: Any) -> None:
    pieces, reply = taken(stream(server.model(), ASK))
    assert (pieces, reply.text) == (["Lisbon."], "Lisbon.")


def test_a_server_is_not_sent_again_what_it_refused(server: Any) -> None:
    def picky(_: Any, body: Any, __: Any) -> Any:
        for word in ("stream_options", "stream"):
            if word in body:
                return 400, {"error": {"message": f"unknown field {word}"}}
        return 200, {"choices": [{"message": {"content": "Lisbon."}}]}

    server.behave = picky
    model = server.model()
    for _ in range(2):
        assert taken(stream(model, ASK))[0] == ["Lisbon."]
    assert [("stream_options" in body, "stream" in body) for body in server.bodies] == [
        (True, True), (False, True), (False, False), (False, False)]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([chunk("Lis")], "broke off its answer: ask again"),
        ([chunk("Lis"), {"error": {"message": "out of memory"}}], "out of memory"),
        ([chunk("Lis"), b"data: {nonsense\n\n"], "broke off its answer"),
        ([chunk(None, "stop")], "sent no answer"),
        ([b"data: " + b"x" * 17_000_000], "does not stop answering"),
    ],
    ids=["ends in the middle", "says an error", "no JSON", "says nothing", "never ends"],
)
def test_an_answer_that_is_none_is_an_error(server: Any, events: list[Any], sentence: str) -> None:
    server.behave = sends(*events, done=False)
    with pytest.raises(ModelError, match=sentence):
        taken(stream(server.model(), ASK))


def test_a_stream_that_only_keeps_the_connection_open_is_left(server: Any) -> None:
    server.behave = sends(*[b": wait\n\n"] * 100, every=0.02)
    with pytest.raises(ModelError, match=r"did not answer within 0.2 s"):
        taken(stream(server.model(timeout=0.2), ASK))


def test_our_own_reader_may_be_slow(server: Any) -> None:
    server.behave = sends(chunk("Li"), chunk("sbon."), chunk(None, "stop"))
    pieces = stream(server.model(timeout=0.2), ASK)
    assert next(pieces) == "Li"
    time.sleep(0.3)
    assert taken(pieces)[0] == ["sbon."]


def test_a_model_that_wraps_another_is_not_passed_by(tmp_path: Path) -> None:
    inner = ScriptedLM(lambda request: "Lisbon it is.")
    kept = Cached(inner, tmp_path / "answers.db")
    for _ in range(2):
        assert "".join(taken(stream(kept, ASK))[0]) == "Lisbon it is."
    assert len(inner.requests) == 1
    kept.close()


def test_a_scripted_model_says_words_or_its_own_pieces() -> None:
    pieces, reply = taken(ScriptedLM(lambda request: "In Lisbon, now. ").stream(ASK))
    assert pieces == ["In", " Lisbon,", " now.", " "]
    assert reply == ScriptedLM(lambda request: "In Lisbon, now. ").complete(ASK)
    closed: list[bool] = []

    def slowly(_: Any) -> Iterator[str]:
        try:
            yield from ["In ", "Lis", "bon"]
        finally:
            closed.append(True)

    assert taken(ScriptedLM(slowly).stream(ASK))[0] == ["In ", "Lis", "bon"]
    assert ScriptedLM(slowly).complete(ASK).text == "In Lisbon"
    begun = ScriptedLM(slowly).stream(ASK)
    next(begun)
    begun.close()
    assert len(closed) == 3


def test_the_model_inside_the_process_says_the_same_token_by_token(local_model: LocalModel) -> None:
    pieces, reply = taken(local_model.stream(ASK, max_tokens=12))
    assert len(pieces) > 3
    assert reply == local_model.complete(ASK, max_tokens=12)


def test_closing_it_stops_the_model_inside_the_process(local_model: LocalModel) -> None:
    pieces = local_model.stream([{"role": "user", "content": "Count to a thousand."}], max_tokens=2000)
    next(pieces)
    pieces.close()
    assert local_model.complete(ASK, max_tokens=3).text  # it waits for no two thousand tokens


def test_a_prompt_that_is_too_long_is_an_error_in_a_stream_too(local_model: LocalModel) -> None:
    with pytest.raises(ModelError, match="its context holds"):
        taken(local_model.stream([{"role": "user", "content": "word " * 9000}]))
