"""What was handed out lately, so that it is not remembered as if somebody had said it anew.

Memories of memories are how junk grows: a model that recalls a sentence and remembers it again makes two of one. What
comes back in the same words is kept with {"recalled": true}, which writers and the audit know.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable

_WORD = re.compile(r"\w+")
_CITATION = re.compile(r"\[[\d, ]+\]")
_FEWEST = 4  # words: shorter ones are said again without any recall
_KEPT = 300  # texts for each caller
_CALLERS = 1000
_LONGEST = 20_000  # characters that are looked at: beyond, a text is recognised by its beginning

Caller = tuple[str, str]


class Given:
    """The texts that each caller was given, the newest of them. Thread-safe; forgotten when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: OrderedDict[Caller, deque[str]] = OrderedDict()
        self._answers: OrderedDict[Caller, deque[str]] = OrderedDict()

    def note(self, caller: Caller, texts: Iterable[str], *, answer: str = "") -> None:
        with self._lock:
            _queue(self._texts, caller).extend(map(_plain, texts))
            if answer:
                _queue(self._answers, caller).append(_plain(answer))

    def holds(self, caller: Caller, text: str) -> bool:
        """Is it part of something that was handed out, or does it repeat an answer?"""
        said = _plain(text)
        with self._lock:
            texts, answers = list(self._texts.get(caller, ())), list(self._answers.get(caller, ()))
        if said.count(" ") > _FEWEST and any(said in each for each in (*texts, *answers)):
            return True
        return any(each in said for each in answers if each.count(" ") > _FEWEST)


def _queue(callers: OrderedDict[Caller, deque[str]], caller: Caller) -> deque[str]:
    queue = callers.setdefault(caller, deque(maxlen=_KEPT))
    callers.move_to_end(caller)
    if len(callers) > _CALLERS:
        callers.popitem(last=False)
    return queue


def _plain(text: str) -> str:
    """Words alone, with a space around each: what is part of what is then a matter of whole words."""
    return f" {' '.join(_WORD.findall(_CITATION.sub(' ', text[:_LONGEST]).casefold()))} "
