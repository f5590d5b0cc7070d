"""Words as the lexical index knows them: lower case, without accents, stemmed.

Snowball's English stemmer through PyStemmer; scripts without spaces (Chinese, Japanese, Korean, Thai)
become overlapping pairs of characters, which is what works without a dictionary.
"""

from __future__ import annotations

import re
import threading
import unicodedata

import Stemmer

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_LONGEST = 64  # a word of more characters is a key or noise; it is cut so that it cannot swell the index
_local = threading.local()  # a stemmer holds state: one per thread

# Words that stand in almost every sentence: never worth a look-up.
STOPWORDS = frozenset(
    """a about all also am an and any are as at be because been being but by can could did do does doing don for from
    had has have having he her here hers him his how i if in into is it its just let ll me mine my no nor not of off on
    once or our ours out over own re s same shall she should so some such t than that the their theirs them then there
    these they this those to too up upon us ve very was we were what when where which while who whom whose why will
    with would you your yours""".split()
)


def words(text: str) -> list[str]:
    """Lower-case words without accents, in order; a possessive ending is dropped ("Ana's" -> "ana")."""
    plain = text.lower()
    if not plain.isascii():
        bare = (c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
        plain = unicodedata.normalize("NFC", "".join(bare))
    found: list[str] = []
    for word in _WORD.findall(plain):
        word = re.sub(r"['\u2019](s|ll|re|ve|d|m|t)$", "", word).replace("'", "").replace("\u2019", "")
        if _UNSPACED.search(word):
            found += _pairs(word)
        elif word:
            found.append(word[:_LONGEST])
    return found


def terms(text: str) -> list[str]:
    """Stemmed words of a text, in order, stop words included (positions and lengths stay true)."""
    stemmed: list[str] = _stemmer().stemWords(words(text))
    return stemmed


def query_terms(text: str) -> list[str]:
    """Distinct stemmed words of a query without stop words; all of them when nothing else is left."""
    kept = [word for word in words(text) if word not in STOPWORDS] or words(text)
    return list(dict.fromkeys(_stemmer().stemWords(kept)))


def keys(stemmed: list[str]) -> list[str]:
    """Terms as the full-text index stores them: ASCII as it is, all else in hex, so that no tokenizer splits it."""
    return [term if term.isascii() else "_" + term.encode("utf-8", "surrogatepass").hex() for term in stemmed]


def _pairs(word: str) -> list[str]:
    return [word[i : i + 2] for i in range(len(word) - 1)] or [word]


def _stemmer() -> Stemmer.Stemmer:
    if not hasattr(_local, "stemmer"):
        _local.stemmer = Stemmer.Stemmer("english")
    return _local.stemmer
