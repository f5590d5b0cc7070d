"""A language model behind any OpenAI-compatible server: llama.cpp, Ollama, vLLM, a hosted one.

The `openai` client does the talking (retries with backoff among it); the bytes of the answer are read here,
so that a server that trickles, never ends or answers something else is noticed and said in one sentence.
An answer may be taken whole (`complete`) or piece by piece as it is said (`stream`).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from mnemic.errors import InputError, ModelError
from mnemic.lm.exchange import (
    Message,
    Reply,
    Request,
    Tool,
    ToolCall,
    estimate,
    estimate_messages,
    estimate_tools,
)
from mnemic.lm.schema import shown, valid_json
from mnemic.lm.tools import calls_schema, checked_tools, read, told

if TYPE_CHECKING:
    import openai

OPENAI = "https://api.openai.com/v1"

_LONGEST = 16_000_000  # bytes of an answer: more is no answer
_NO_KEY = "none"  # the client insists on one; local servers do not look at it
_REFUSALS = (400, 422)  # the server does not like what it was asked

# What servers refuse, by a word of their complaint -> what is left out or said otherwise from then on.
_COMPLAINTS = {
    "max_completion_tokens": "max_tokens",
    "response_format": "response_format",
    "json_schema": "response_format",
    "temperature": "temperature",
    "seed": "seed",
    "tool": "tools",
    "stream_options": "stream_options",
    "stream": "stream",
}


class ChatModel:
    """A model of a server, by name. Safe to use from several threads.

    base_url   the server, with its /v1
    api_key    None for a server that wants none
    timeout    seconds to wait for an answer; a server that is busy or down is asked again, `retries` times
    seed       passed on; a server may honour it
    tools      "server": as the server takes them, in words once it refuses them; "words": for one that ignores them
    """

    def __init__(self, model: str, *, base_url: str = OPENAI, api_key: str | None = None, timeout: float = 60.0,
                 retries: int = 2, seed: int = 0, tools: Literal["server", "words"] = "server") -> None:  # fmt: skip
        if not base_url.startswith(("http://", "https://")):
            raise InputError(f'the server "{base_url}" is no URL: write it like http://localhost:8080/v1.')
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise InputError("the API key holds a character that no key has: copy it again into MNEMIC_LLM_API_KEY.")
        self.name, self.base_url = model, base_url.rstrip("/")
        self.timeout, self.retries, self.seed = timeout, retries, seed
        self._key = api_key or _NO_KEY
        self._refused = {"tools"} if tools == "words" else set()  # what this server has refused so far
        self._opening = threading.Lock()
        self._client: openai.OpenAI | None = None

    def complete(self, messages: Sequence[Message], *, max_tokens: int = 512, schema: Mapping[str, Any] | None = None,
                 temperature: float = 0.0, tools: Sequence[Tool] = ()) -> Reply:  # fmt: skip
        """Raises ModelError when the server is down, slow or answers something that is no answer.

        With a schema the text is JSON that keeps it. A server that refuses schemas, or ignores them, is told in
        words and asked once more; one that refuses tools is told them in words, and answers JSON by schema.
        """
        offered = checked_tools(tools, schema)
        if not offered:
            return self._by_schema(messages, max_tokens, schema, temperature)
        try:
            return self._ask(Request(tuple(messages), max_tokens, None, temperature, offered))
        except _NoTools:
            return read(self._by_schema(told(messages, offered), max_tokens, calls_schema(offered), temperature))

    def stream(self, messages: Sequence[Message], *, max_tokens: int = 512, temperature: float = 0.0
               ) -> Generator[str, None, Reply]:  # fmt: skip
        """The answer in pieces as the server says them; the generator returns all of it, with what it cost.

        A server that does not stream says everything in one piece. Raises ModelError as `complete` does, and for an
        answer that breaks off; `timeout` counts for each piece. Closing the generator closes the connection.
        """
        request = Request(tuple(messages), max_tokens, None, temperature)
        while "stream" not in self._refused:
            body = {**self._body(request, in_words=False), "stream": True}
            if "stream_options" not in self._refused:
                body["stream_options"] = {"include_usage": True}
            try:
                return (yield from self._pieces(body))
            except _Refused as refusal:
                self._give_up(str(refusal), body)
        reply = self._ask(request)
        yield reply.text
        return reply

    @property
    def identity(self) -> str:
        """What tells this model from others, where answers are kept (see mnemic.lm.cache)."""
        return f"{self.name} at {self.base_url}"

    def _by_schema(self, messages: Sequence[Message], max_tokens: int, schema: Mapping[str, Any] | None,
                   temperature: float) -> Reply:  # fmt: skip
        request = Request(tuple(messages), max_tokens, schema, temperature)
        reply = self._ask(request)
        if schema is None:
            return reply
        try:
            return self._as_json(reply, schema)
        except ModelError:
            if "response_format" in self._refused:  # it was told in words already
                raise
        again = self._ask(request, in_words=True)
        return self._as_json(again, schema, before=reply)

    def count(self, text: str) -> int:
        """Tokens of the text, estimated: a server does not tell before it is asked."""
        return estimate(text)

    def close(self) -> None:
        """Close the connections; the next request opens them again."""
        with self._opening:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _as_json(self, reply: Reply, schema: Mapping[str, Any], before: Reply | None = None) -> Reply:
        text = valid_json(reply.text, schema, self.name)
        if before is None:
            return Reply(text, reply.prompt_tokens, reply.completion_tokens, reply.measured)
        prompt, completion = (before.prompt_tokens + reply.prompt_tokens,
                              before.completion_tokens + reply.completion_tokens)  # fmt: skip
        return Reply(text, prompt, completion, reply.measured and before.measured)

    def _ask(self, request: Request, *, in_words: bool = False) -> Reply:
        while True:  # each round leaves out one thing more that the server refuses: at most four
            if request.tools and "tools" in self._refused:
                raise _NoTools
            body = self._body(request, in_words)
            try:
                return self._reply(self._send(body), body["messages"], request.tools)
            except _Refused as refusal:
                self._give_up(str(refusal), body)

    def _body(self, request: Request, in_words: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.name, "messages": [dict(message) for message in request.messages]}
        body["max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"] = request.max_tokens
        if "temperature" not in self._refused:
            body["temperature"] = request.temperature
        if "seed" not in self._refused:
            body["seed"] = self.seed
        if request.schema is not None:
            if in_words or "response_format" in self._refused:
                body["messages"] = _told(body["messages"], request.schema)
            else:
                form = {"name": "answer", "schema": dict(request.schema)}
                body["response_format"] = {"type": "json_schema", "json_schema": form}
        if request.tools:
            body["tools"] = [
                {"type": "function",
                 "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)}}
                for tool in request.tools
            ]  # fmt: skip
        return body

    def _give_up(self, complaint: str, body: Mapping[str, Any]) -> None:
        """Leave out from now on what the server complains about; raises ModelError when it is none of these."""
        for word, field in _COMPLAINTS.items():
            if word in complaint and field in body:
                self._refused.add(field)
                return
        raise ModelError(f"the language model at {self.base_url} refused the question: {complaint}")

    def _send(self, body: dict[str, Any]) -> bytes:
        with self._answering(body) as response:
            return self._read(response)

    def _pieces(self, body: dict[str, Any]) -> Generator[str, None, Reply]:
        with self._answering(body) as response:
            if "event-stream" not in response.headers.get("content-type", ""):
                reply = self._reply(self._read(response), body["messages"])
                yield reply.text
                return reply
            said: list[str] = []
            usage: Any = None
            for event in self._events(response):
                usage = event.get("usage") or usage
                if piece := _said(event):
                    said.append(piece)
                    yield piece
        whole = {"choices": [{"message": {"content": "".join(said)}}], "usage": usage}
        return self._reply(json.dumps(whole).encode(), body["messages"])

    @contextmanager
    def _answering(self, body: dict[str, Any]) -> Iterator[Any]:
        """The server's answer while it comes in; what goes wrong with it is said in one sentence."""
        import openai

        at = f"the language model at {self.base_url}"
        try:
            with self._opened().chat.completions.with_streaming_response.create(**body) as response:
                yield response
        except openai.APITimeoutError:
            raise ModelError(f"{at} {self._too_slow}") from None
        except openai.APIConnectionError as error:
            raise ModelError(
                f"no language model answers at {self.base_url} ({error.__cause__ or error}): start the server, "
                "or set MNEMIC_LLM_BASE_URL to where it is."
            ) from None
        except openai.APIStatusError as error:
            raise self._status(error.status_code, _words(error)) from None
        except ModelError:
            raise
        except Exception as error:  # the client lets errors of its transport through while an answer is read
            slow = "Timeout" in type(error).__name__
            said = self._too_slow if slow else f"broke off its answer ({error or type(error).__name__}): ask again."
            raise ModelError(f"{at} {said}") from None

    def _events(self, response: Any) -> Iterator[Mapping[str, Any]]:
        """The events of a stream until it says that it is done; raises ModelError when it ends before that."""
        rest, size, ended, until = bytearray(), 0, False, time.monotonic() + self.timeout
        for piece in response.iter_bytes():
            size += len(piece)
            self._within(until, size)
            rest += piece
            if b"\n" not in piece:
                continue
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if not line.startswith(b"data:"):
                    continue  # a comment that keeps the connection open, or the end of an event
                if line[5:].strip() == b"[DONE]":
                    return
                event = self._event(line[5:])
                ended = ended or _finished(event)
                yield event
                until = time.monotonic() + self.timeout  # the time that our reader takes is not the server's
        if not ended:
            raise ModelError(f"the language model at {self.base_url} broke off its answer: ask again.")

    def _event(self, data: bytearray) -> Mapping[str, Any]:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict) or event.get("error"):
            said = event.get("error") if isinstance(event, dict) else data.decode("utf-8", "replace")
            raise ModelError(f"the language model at {self.base_url} broke off its answer ({shown(str(said))}): "
                             "ask again, or look into its log.")  # fmt: skip
        return event

    @property
    def _too_slow(self) -> str:
        return f"did not answer within {self.timeout:g} s: set MNEMIC_LLM_TIMEOUT higher, or use a smaller model."

    def _read(self, response: Any) -> bytes:
        """The answer's bytes, within the time and of a sane length."""
        data, until = bytearray(), time.monotonic() + self.timeout
        for piece in response.iter_bytes():
            data += piece
            self._within(until, len(data))
        return bytes(data)

    def _within(self, until: float, size: int) -> None:
        if time.monotonic() > until:  # a byte now and then would keep any read timeout from striking
            raise ModelError(f"the language model at {self.base_url} {self._too_slow}")
        if size > _LONGEST:
            raise ModelError(f"the language model at {self.base_url} does not stop answering: use another one.")

    def _status(self, status: int, said: str) -> ModelError | _Refused:
        at = f"the language model at {self.base_url}"
        if status in _REFUSALS or (status in (500, 501) and "tools" in said):  # llama.cpp without --jinja says 500
            return _Refused(said)
        if status in (401, 403):
            return ModelError(f"{at} refused the key ({status}): set MNEMIC_LLM_API_KEY to one that it knows.")
        if status == 404:
            return ModelError(
                f'{at} has no model "{self.name}" (404: {said}): set MNEMIC_LLM_MODEL to one that it has; '
                "MNEMIC_LLM_BASE_URL mostly ends in /v1."
            )
        if status == 429:
            return ModelError(f"{at} is asked too much (429: {said}): wait a while, or raise your quota there.")
        return ModelError(f"{at} failed with status {status} ({said}): look into its log, or use another one.")

    def _reply(self, data: bytes, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> Reply:
        try:
            answer = json.loads(data)
            message = answer["choices"][0]["message"]
            text = message.get("content")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            text, message = None, {}
        calls = self._calls(message.get("tool_calls") or []) if tools else ()
        if calls and not isinstance(text, str):
            text = ""
        if not isinstance(text, str) or not (text.strip() or calls):
            said = message.get("refusal") or data.decode("utf-8", "replace")
            raise ModelError(
                f"the language model at {self.base_url} sent no answer but {shown(str(said))}: check that "
                "MNEMIC_LLM_BASE_URL is a chat server (mostly it ends in /v1) and MNEMIC_LLM_MODEL a chat model."
            )
        prompt, completion = _counted(answer.get("usage"))
        if prompt and completion is not None:
            return Reply(text, prompt, completion, calls=calls)
        prompt, completion = estimate_messages(messages) + estimate_tools(tools), estimate(text)
        completion += sum(estimate(json.dumps([call.name, dict(call.arguments)])) for call in calls)
        return Reply(text, prompt, completion, measured=False, calls=calls)

    def _calls(self, sent: Any) -> tuple[ToolCall, ...]:
        """The calls of an answer; raises ModelError for what is none."""
        calls = []
        for call in sent if isinstance(sent, list) else [sent]:
            try:
                name, arguments = call["function"]["name"], call["function"].get("arguments")
                if isinstance(arguments, str):
                    arguments = json.loads(arguments) if arguments.strip() else {}
                if not isinstance(name, str) or not isinstance(arguments or {}, dict):
                    raise ValueError("no name or no object")
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise ModelError(
                    f"{self.name} called a tool in a way that cannot be read ({shown(json.dumps(call))}): ask again, "
                    'or open the model with tools="words".'
                ) from None
            calls.append(ToolCall(name, arguments or {}, str(call.get("id") or "")))
        return tuple(calls)

    def _opened(self) -> openai.OpenAI:
        with self._opening:
            if self._client is None:
                import openai

                client = openai.OpenAI(
                    base_url=self.base_url, api_key=self._key, timeout=self.timeout, max_retries=self.retries
                )
                client.organization = client.project = None  # it takes them from variables that are not ours
                self._client = client
            return self._client


class _NoTools(Exception):
    """The server refuses tools: they have to be told in words."""


class _Refused(Exception):
    """The server does not take the request as it is; the text is its complaint."""


def _choice(event: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _said(event: Mapping[str, Any]) -> str:
    """What an event of a stream adds to the answer; empty for one that adds nothing."""
    delta = _choice(event).get("delta")
    piece = delta.get("content") if isinstance(delta, dict) else None
    return piece if isinstance(piece, str) else ""


def _finished(event: Mapping[str, Any]) -> bool:
    return _choice(event).get("finish_reason") is not None


def _told(messages: Sequence[Message], schema: Mapping[str, Any]) -> list[Message]:
    """The messages with the schema as a sentence at the end of the last one."""
    *others, last = messages
    told = f"{last['content']}\n\nAnswer only with JSON that keeps this schema:\n{json.dumps(schema)}"
    return [*others, {**last, "content": told}]


def _words(error: openai.APIStatusError) -> str:
    """A server's own words about an error."""
    body = error.body
    said = body.get("message") or body.get("detail") or body.get("error") if isinstance(body, dict) else body
    return shown(str(said or error.response.text or "no reason given"))


def _counted(usage: Any) -> tuple[int | None, int | None]:
    """Prompt and completion tokens of a server's answer; None for what is missing or cannot be."""
    counts = [usage.get(name) if isinstance(usage, dict) else None for name in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (n if isinstance(n, int) and not isinstance(n, bool) and n >= 0 else None for n in counts)
    return prompt, completion
