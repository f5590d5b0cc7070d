"""Names to parts: what `Memory(retriever="hybrid")` means. Nothing is imported before it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import Any, cast

from mnemic import catalog
from mnemic.errors import InputError
from mnemic.revision import Deriver
from mnemic.seams import Embedder, LanguageModel, Retriever, View, Writer

RetrieverChoice = str | Retriever | Callable[[Any], Retriever]

RETRIEVERS = {
    "hybrid": "mnemic.recall.hybrid:Hybrid",
    "dense": "mnemic.recall.dense:Dense",
    "lexical": "mnemic.recall.lexical:Lexical",
    "hipporag2": "mnemic.store.hipporag2:HippoRAG2",
}
WRITERS = {
    "verbatim": "mnemic.writers:Verbatim",
    "facts": "mnemic.writers.facts:open_facts",
    "facts_local": "mnemic.writers.facts:open_local",
}
DERIVERS = {"rules": "mnemic.rules:derive", "facts": "mnemic.writers.facts.revising:derive"}


def known_retriever(spec: RetrieverChoice) -> None:
    """Raises InputError for a name that nothing has."""
    if isinstance(spec, str):
        _dotted(spec, RETRIEVERS, "retriever")


def retriever(spec: RetrieverChoice, view: View) -> Retriever:
    """A retriever over a view: by name, made by a class or function of the view, or an object as it is."""
    if isinstance(spec, str):
        spec = _load(_dotted(spec, RETRIEVERS, "retriever"))
    if isinstance(spec, type) or not hasattr(spec, "search"):
        make = cast("Callable[[View], Retriever]", spec)
        return make(view)
    return cast(Retriever, spec)


def writer(spec: str | Writer, memory: Any) -> Writer:
    """A writer by name, made for a memory where it looks at one; an object is taken as it is."""
    if not isinstance(spec, str):
        return spec
    make = _load(_dotted(spec, WRITERS, "writer"))
    made: Writer = make(memory) if signature(make).parameters else make()
    return made


def deriver(name: Any) -> Deriver | None:
    """The deriver of a name that stands in a record; None for one that nothing here has."""
    return cast(Deriver, _load(DERIVERS[name])) if isinstance(name, str) and name in DERIVERS else None


def embedder(spec: str | Embedder | None) -> Embedder:
    """An embedder by name (see mnemic.lm.embedders); an object is taken as it is."""
    if spec is not None and not isinstance(spec, str):
        return spec
    from mnemic.lm.embedders import open_embedder

    return open_embedder(spec)


def language_model(spec: str | LanguageModel | None) -> LanguageModel | None:
    """A language model by name or from the environment (see mnemic.lm.models); None when none is configured."""
    from mnemic.lm.models import open_model

    return open_model(spec)


def _dotted(name: str, known: dict[str, str], what: str) -> str:
    if name in known:
        return known[name]
    planned = {system.slug for system in catalog.SYSTEMS if system.state != "built"}
    if name in planned:
        raise InputError(f'the {what} "{name}" is planned and not built yet: use one of {", ".join(known)}.')
    close = get_close_matches(name, known, 1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    raise InputError(f'no {what} is called "{name}": use one of {", ".join(known)}.{hint}')


def _load(dotted: str) -> Callable[..., Any]:
    module, _, name = dotted.partition(":")
    made: Callable[..., Any] = getattr(import_module(module), name)
    return made
