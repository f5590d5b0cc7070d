"""The client against real servers on the loopback: good, slow, broken, lying and picky ones."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from mnemic.errors import InputError, ModelError
from mnemic.lm.chat import ChatModel
from mnemic.lm.exchange import complete_many, estimate

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where does Ana live?"}]
FACT = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "year": {"type": "integer", "minimum": 1900}},
    "required": ["city", "year"],
    "additionalProperties": False,
}
Server = Any  # see conftest.py


def said(text: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}}], **more}


def test_a_good_server_is_believed(server: Server) -> None:
    server.behave = lambda *_: (200, said("Lisbon.", usage={"prompt_tokens": 21, "completion_tokens": 3}))
    reply = server.model(api_key="sk-1").complete(ASK, max_tokens=7)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens, reply.measured) == ("Lisbon.", 21, 3, True)
    assert server.headers[0]["authorization"] == "Bearer sk-1"
    assert server.bodies == [{"model": "tiny", "messages": ASK, "max_tokens": 7, "temperature": 0.0, "seed": 0}]


def test_settings_of_other_programs_are_not_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "secret-of-another-program")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.example/v1")
    server.model().complete(ASK)
    assert "secret-of-another-program" not in str(server.headers)


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": "many"}, {"prompt_tokens": -3, "completion_tokens": 1}, [1, 2]]
)
def test_counts_that_are_missing_or_lies_are_estimated(server: Server, usage: Any) -> None:
    server.behave = lambda *_: (200, said("Lisbon.", usage=usage))
    reply = server.model().complete(ASK)
    assert not reply.measured
    assert (reply.prompt_tokens, reply.completion_tokens) == (8 + estimate("Be brief.Where does Ana live?"), 2)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, {"error": {"message": "bad key"}}, "refused the key .401.: set MNEMIC_LLM_API_KEY"),
        (403, b"no", "refused the key .403."),
        (404, {"error": {"message": "no such model"}}, 'no model "tiny" .*no such model.*MNEMIC_LLM_MODEL'),
        (429, {"error": {"message": "slow down"}}, "asked too much .429: .slow down"),
        (500, b"<html>boom</html>", "status 500 .*boom"),
        (503, {"detail": "loading"}, "status 503 .*loading"),
        (400, {"error": {"message": "context length exceeded"}}, "refused the question: .context length exceeded"),
        (200, b"<html>welcome</html>", "sent no answer but .<html>welcome.*ends in /v1"),
        (200, b"", "sent no answer but nothing"),
        (200, b"\xff\xfe\x00", "sent no answer"),
        (200, b"[" * 100_000, "sent no answer"),
        (200, {"choices": []}, "sent no answer"),
        (200, {"choices": [{"message": None}]}, "sent no answer"),
        (200, {"choices": [{"text": "an old completion server"}]}, "sent no answer"),
        (200, [1, 2], "sent no answer"),
        (200, said(None), "sent no answer"),
        (200, said("  \n"), "sent no answer"),
        (200, said({"text": "a mapping"}), "sent no answer"),
        (200, said(None, error="x") | {"choices": [{"message": {"refusal": "I would rather not"}}]}, "rather not"),
    ],
)
def test_failures_and_nonsense_are_one_sentence(server: Server, status: int, body: Any, sentence: str) -> None:
    server.behave = lambda *_: (status, body)
    with pytest.raises(ModelError, match=sentence) as caught:
        server.model().complete(ASK)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_server_that_is_down_is_named_with_what_to_set() -> None:
    with socket.socket() as unused:  # bound and not listening: a port that refuses
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(ModelError, match=f"no language model answers at {url} .*MNEMIC_LLM_BASE_URL"):
            ChatModel("tiny", base_url=url, retries=0).complete(ASK)


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.behave = lambda *_: (503, b"busy") if len(server.bodies) == 1 else (200, said("Lisbon."))
    assert server.model(retries=1).complete(ASK).text == "Lisbon."
    assert len(server.bodies) == 2


def test_a_server_that_fails_twice_is_waited_for_longer_each_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)  # what the client waits between its tries
    server.behave = lambda *_: (500, b"boom") if len(server.bodies) < 3 else (200, said("Lisbon."))
    assert server.model(retries=2).complete(ASK).text == "Lisbon."
    assert len(server.bodies) == 3
    assert 0 < waits[0] < waits[1]


def test_a_server_says_how_long_to_wait(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)

    def busy(_: Server, __: Any, handler: Any) -> Any:
        if len(server.bodies) > 2:
            return 200, said("Lisbon.")
        handler.send_response(429)
        handler.send_header("retry-after", "7")
        handler.send_header("content-length", "0")
        handler.end_headers()
        return None

    server.behave = busy
    assert server.model(retries=2).complete(ASK).text == "Lisbon."
    assert waits == [7.0, 7.0]


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_what_will_not_get_better_is_not_asked_again(server: Server, status: int) -> None:
    server.behave = lambda *_: (status, b"no")
    with pytest.raises(ModelError):
        server.model(retries=5).complete(ASK)
    assert len(server.bodies) == 1


def test_after_the_last_try_the_failure_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    server.behave = lambda *_: (503, b"busy")
    with pytest.raises(ModelError, match="status 503"):
        server.model(retries=2).complete(ASK)
    assert len(server.bodies) == 3


def test_a_slow_server_is_left_after_the_timeout(server: Server) -> None:
    released = threading.Event()

    def sleep(*_: Any) -> tuple[int, Any]:
        released.wait(10)
        return 200, said("late")

    server.behave = sleep
    with pytest.raises(ModelError, match=r"did not answer within 0.2 s: set MNEMIC_LLM_TIMEOUT"):
        server.model(timeout=0.2).complete(ASK)
    released.set()


def test_a_server_that_trickles_is_left_too(server: Server) -> None:
    """A byte now and then keeps every read within its timeout."""

    def trickle(_: Server, __: Any, handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            return

    server.behave = trickle
    with pytest.raises(ModelError, match=r"did not answer within 0.3 s"):
        server.model(timeout=0.3).complete(ASK)


def test_an_answer_that_breaks_off_is_reported(server: Server) -> None:
    def stop_halfway(_: Server, __: Any, handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices"')
        handler.close_connection = True

    server.behave = stop_halfway
    with pytest.raises(ModelError, match="broke off its answer"):
        server.model().complete(ASK)


def test_json_by_schema_is_passed_on_and_checked(server: Server) -> None:
    server.behave = lambda *_: (200, said('```json\n{"city": "Porto",\n "year": 2024}\n```'))
    assert server.model().complete(ASK, schema=FACT).text == '{"city": "Porto", "year": 2024}'
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == FACT


def test_a_server_that_refuses_schemas_is_told_in_words_and_only_asked_so_from_then_on(server: Server) -> None:
    def picky(_: Server, body: dict[str, Any], __: Any) -> tuple[int, Any]:
        if "response_format" in body:
            return 400, {"error": {"message": "response_format is not supported"}}
        return 200, said('{"city": "Porto", "year": 2024}')

    server.behave = picky
    model = server.model()
    model.complete(ASK, schema=FACT)
    model.complete(ASK, schema=FACT)
    assert ["response_format" in body for body in server.bodies] == [True, False, False]
    assert "additionalProperties" in server.bodies[1]["messages"][-1]["content"]


def test_a_server_that_ignores_schemas_is_asked_once_more_and_both_answers_are_paid_for(server: Server) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    server.behave = lambda _, body, __: (
        200,
        said("In Porto!" if "response_format" in body else '{"city": "Porto", "year": 2024}', usage=usage),
    )
    reply = server.model().complete(ASK, schema=FACT)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ('{"city": "Porto", "year": 2024}', 20, 4)


def test_json_that_never_comes_is_an_error(server: Server) -> None:
    server.behave = lambda *_: (200, said('{"city": "Porto"}'))
    with pytest.raises(ModelError, match=r"tiny answered JSON that breaks its schema: \$.year is missing"):
        server.model().complete(ASK, schema=FACT)
    assert len(server.bodies) == 2


def test_a_server_that_wants_other_words_gets_them(server: Server) -> None:
    def picky(_: Server, body: dict[str, Any], __: Any) -> tuple[int, Any]:
        for word, better in (("max_tokens", "max_completion_tokens"), ("temperature", "the default temperature")):
            if word in body:
                return 400, {"error": {"message": f"unsupported: {word}, use {better}"}}
        return 200, said("Lisbon.")

    server.behave = picky
    assert server.model().complete(ASK, max_tokens=9).text == "Lisbon."
    assert server.bodies[-1] == {"model": "tiny", "messages": ASK, "max_completion_tokens": 9, "seed": 0}


def test_many_at_once_keep_their_order_and_a_failure_is_its_own(server: Server) -> None:
    server.behave = lambda _, body, __: (
        (500, b"no") if body["messages"][0]["content"] == "2" else (200, said(body["messages"][0]["content"]))
    )
    replies = complete_many(server.model(), [[{"role": "user", "content": str(n)}] for n in range(5)], at_once=3)
    assert [reply if isinstance(reply, ModelError) else reply.text for reply in replies][:2] == ["0", "1"]
    assert isinstance(replies[2], ModelError)
    assert [reply.text for reply in replies[3:] if not isinstance(reply, ModelError)] == ["3", "4"]


def test_a_closed_client_opens_again(server: Server) -> None:
    model = server.model()
    model.complete(ASK)
    model.close()
    assert model.complete(ASK).text == "Lisbon."


def test_wrong_settings_are_refused_before_anything_is_sent() -> None:
    with pytest.raises(InputError, match="is no URL"):
        ChatModel("tiny", base_url="localhost:8080")
    with pytest.raises(InputError, match="MNEMIC_LLM_API_KEY"):
        ChatModel("tiny", api_key="sk-\n1")
