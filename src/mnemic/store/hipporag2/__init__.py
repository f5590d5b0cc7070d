"""HippoRAG 2: what passages say as a graph of phrases, walked from the facts that a question is linked to.

Paper    Jiménez Gutiérrez, Shu, Qi, Zhou, Su, "From RAG to Memory: Non-Parametric Continual Learning for Large
         Language Models", ICML 2025, arXiv:2502.14802
Budget   bytes on disk: records, their vectors, triples (edges of the file), and a cache of phrase vectors beside it
Differs  letters of any script stay in phrases (reference code: A-Z, a-z, 0-9); runs of spaces become one; vectors
         are int8; without a language model a parser reads the triples and shared words filter them; the walk is
         pushed to a stated error instead of solved
Axes     p phrases, f facts (distinct triples), n nodes (phrases, then passages), d dimensions

    with Memory("library.db", retriever="hipporag2") as memory:
        memory.add("Ana Duarte founded Mar Alto.", metadata={"triples": [["Ana Duarte", "founded", "Mar Alto"]]})
        memory.add("Mar Alto builds wooden boats in Setúbal.")         # triples are read out of the text
        memory.recall("Where are the boats of Ana's company built?")

A passage is a record. Its triples are read before it is written, and written with it: by a language model when the
memory has one (two calls a passage), else by spaCy's parser, unless they are given as metadata. A memory that was
filled with another retriever is read by `Memory.index()` (`mnemic index`).
"""

from mnemic.store.hipporag2.filters import LLMFilter, TripleFilter, keep_all, keep_lexical
from mnemic.store.hipporag2.openie import LLMOpenIE
from mnemic.store.hipporag2.parsed import ParsedOpenIE
from mnemic.store.hipporag2.ranking import Settings
from mnemic.store.hipporag2.retriever import HippoRAG2
from mnemic.store.hipporag2.triples import Extractor, Passage, Reading, Triple

__all__ = [
    "Extractor",
    "HippoRAG2",
    "LLMFilter",
    "LLMOpenIE",
    "ParsedOpenIE",
    "Passage",
    "Reading",
    "Settings",
    "Triple",
    "TripleFilter",
    "keep_all",
    "keep_lexical",
]
