"""Which embedder makes the vectors: the one that ships inside, a server's, or sentence-transformers.

None, "minilm"                  all-MiniLM-L6-v2 in int8, in the process; also under the name that files keep
"openai:MODEL"                  the OpenAI-compatible server at MNEMIC_EMBED_BASE_URL
"sentence-transformers:MODEL"   when that package is installed
"hash-64"                       words only, no model at all (see lm/doubles.py)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mnemic.errors import InputError, ModelError
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.minilm import MiniLM
from mnemic.seams import Embedder, Vectors

if TYPE_CHECKING:
    from openai import OpenAI
    from sentence_transformers import SentenceTransformer

_CHARACTERS = 4  # of a token, about, in English
_AT_ONCE = 128  # texts of one request


def open_embedder(spec: str | None = None) -> Embedder:
    """An embedder by name; None looks at MNEMIC_EMBEDDER and takes the one that ships inside without it.

    Raises InputError for a name that nothing has. Nothing is loaded or called before the first text; then
    ModelError when the model or the server is not there.
    """
    name = spec or os.environ.get("MNEMIC_EMBEDDER", "").strip() or "minilm"
    if name in ("minilm", MiniLM.name):
        return MiniLM()
    kind, _, model = name.partition(":")
    if kind == "openai" and model:
        return ServerEmbedder(model)
    if kind == "sentence-transformers" and model:
        return LocalEmbedder(model)
    if name.startswith("hash-") and name[5:].isdecimal() and int(name[5:]) > 0:
        return HashEmbedder(int(name[5:]))
    raise InputError(f'no embedder is called "{name}": use "minilm", "openai:MODEL" or "sentence-transformers:MODEL".')


class ServerEmbedder:
    """Embeddings of an OpenAI-compatible server.

    base_url   None for MNEMIC_EMBED_BASE_URL, without it OpenAI's; the key is MNEMIC_EMBED_API_KEY
    window     tokens that the model takes in; longer texts are cut into windows
    """

    def __init__(self, model: str, *, base_url: str | None = None, window: int = 512, timeout: float = 60.0) -> None:
        self.name, self._model, self.window, self._timeout = f"openai:{model}", model, window, timeout
        self.base_url = base_url or os.environ.get("MNEMIC_EMBED_BASE_URL", "").strip() or "https://api.openai.com/v1"
        if not self.base_url.startswith(("http://", "https://")):
            raise InputError(f'the server "{self.base_url}" is no URL: write it like http://localhost:8080/v1.')

    @cached_property
    def _client(self) -> OpenAI:
        import openai

        key = os.environ.get("MNEMIC_EMBED_API_KEY", "").strip() or "none"  # local servers do not look at it
        return openai.OpenAI(base_url=self.base_url, api_key=key, timeout=self._timeout, max_retries=2)

    @cached_property
    def dimensions(self) -> int:
        return int(self._ask(["how many dimensions?"]).shape[1])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """[n texts] -> float32 [n d], rows of length 1. Raises ModelError when the server does not give them."""
        parts = [self._ask(texts[start : start + _AT_ONCE]) for start in range(0, len(texts), _AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), np.float32)

    def _ask(self, texts: Sequence[str]) -> Vectors:
        import openai

        at = f"the embedding server at {self.base_url}"
        try:
            answer = self._client.embeddings.create(model=self._model, input=list(texts), encoding_format="float")
            vectors = np.array(
                [item.embedding for item in sorted(answer.data, key=lambda item: item.index)], np.float32
            )
        except openai.APIConnectionError as error:
            raise ModelError(f"{at} does not answer ({error}): start it, or set MNEMIC_EMBED_BASE_URL.") from None
        except openai.APIStatusError as error:
            raise ModelError(
                f"{at} refused ({error.status_code}): check the model {self._model} and MNEMIC_EMBED_API_KEY."
            ) from None
        except (TypeError, ValueError, AttributeError):
            vectors = np.zeros(0, np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise ModelError(f"{at} sent no vectors for {len(texts)} texts: check that {self._model} is an embedder.")
        return _unit(vectors)

    def windows(self, text: str) -> list[tuple[int, int]]:
        """Spans of about `window` tokens, by length: a server does not tell how it cuts words."""
        size = self.window * _CHARACTERS * 3 // 4
        return [(start, min(start + size, len(text))) for start in range(0, max(len(text), 1), size)]

    def count(self, text: str) -> int:
        """An estimate."""
        return -(-len(text) // _CHARACTERS)


class LocalEmbedder:
    """Any model of sentence-transformers that is on this machine or can be downloaded by it."""

    def __init__(self, model: str) -> None:
        self.name, self._model_name = f"sentence-transformers:{model}", model

    @cached_property
    def _model(self) -> SentenceTransformer:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise ModelError("sentence-transformers is not installed: pip install sentence-transformers.") from None
        try:
            return SentenceTransformer(self._model_name)
        except Exception as error:  # a wrong name, no network, a broken file: it has no common type
            raise ModelError(f"sentence-transformers could not load {self._model_name}: {error}") from None

    @cached_property
    def dimensions(self) -> int:
        return int(self._model.get_sentence_embedding_dimension())

    @cached_property
    def window(self) -> int:
        return int(self._model.max_seq_length or 512)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """[n texts] -> float32 [n d], rows of length 1."""
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        return _unit(np.asarray(self._model.encode(list(texts), show_progress_bar=False), np.float32))

    def windows(self, text: str) -> list[tuple[int, int]]:
        """Spans of at most `window` tokens, by the model's own offsets."""
        offsets = self._model.tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
        step = self.window - 2
        starts = [0, *(int(offsets[at][0]) for at in range(step, len(offsets), step))]
        return list(zip(starts, [*starts[1:], len(text)], strict=True))

    def count(self, text: str) -> int:
        return len(self._model.tokenizer(text, add_special_tokens=False)["input_ids"])


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return unit
