"""What takes long to make and is asked for again: made once, however many ask at the same time; the last few stay."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Thread-safe; nothing waits for what is being made but those who ask for it.

    most         values that stay
    size, total  what a value takes, and what all may take together; the newest stays however large it is
    """

    def __init__(self, most: int, *, size: Callable[[Value], int] = lambda value: 0, total: int = 0) -> None:
        self._most, self._size, self._total = most, size, total
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Future[Value]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key; an error of `make` goes to all who wait for it, and is not kept."""
        with self._lock:
            value, ours = self._values.get(key), key not in self._values
            if value is None:
                value = self._values[key] = Future()
            self._values.move_to_end(key)
        if ours:
            try:
                value.set_result(make())
            except BaseException as error:
                value.set_exception(error)
                with self._lock:
                    if self._values.get(key) is value:
                        del self._values[key]
            self._let_go()
        return value.result()

    def clear(self) -> None:
        with self._lock:
            self._values.clear()

    def _let_go(self) -> None:
        with self._lock:
            while len(self._values) > 1 and (len(self._values) > self._most or self._taken() > self._total):
                self._values.popitem(last=False)

    def _taken(self) -> int:
        done = [each for each in self._values.values() if each.done() and each.exception() is None]
        return sum(self._size(each.result()) for each in done)
