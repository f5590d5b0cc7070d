"""A stream as a file: one JSON line says what runs, then one line a step. A stream that was cut goes on from it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mnemic.context.dynamic_cheatsheet.steps import Answered
from mnemic.errors import InputError


class Log:
    """Steps that were made, and a place for those to come.

    identity   model, variant, budget, settings: a log of something else is not gone on with
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self._steps: list[Answered] = []
        lines = self._whole_lines()
        if lines:
            self._check(lines[0], identity)
            self._steps = [self._read(n, line) for n, line in enumerate(lines[1:], 2)]
        self._file = path.open("a", encoding="utf-8", newline="")
        if not lines:
            self._write({"dynamic_cheatsheet": 1, **identity})

    def step(self, n: int, question: str) -> Answered | None:
        """The step that was made at a place of the stream; None for one to come. Raises for another question."""
        if n > len(self._steps):
            return None
        step = self._steps[n - 1]
        if step.question != question:
            raise InputError(
                f"{self.path}:{n + 1}: another question stood at place {n} of the stream: give the same stream, or "
                "another log."
            )
        return step

    def append(self, step: Answered) -> None:
        self._write(step.as_json())
        self._steps.append(step)

    def _write(self, data: Mapping[str, Any]) -> None:
        # JSON escapes what JSON must; other line ends inside a text are escaped too, so a line is a line.
        self._file.write(json.dumps(data) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _whole_lines(self) -> list[bytes]:
        """All lines that were written to their end; a last one that was cut is taken off the file."""
        if not self.path.is_file():
            return []
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            os.truncate(self.path, end)
        return content[:end].splitlines()

    def _check(self, line: bytes, identity: Mapping[str, Any]) -> None:
        head = self._json(1, line)
        if not isinstance(head, dict) or head.get("dynamic_cheatsheet") != 1:
            raise InputError(f"{self.path}:1: this is not the log of a cheatsheet: name another file.")
        other = [key for key, value in json.loads(json.dumps(identity)).items() if head.get(key) != value]
        if other:
            raise InputError(f"{self.path}: its stream ran with another {', '.join(other)}: name another file.")

    def _read(self, number: int, line: bytes) -> Answered:
        try:
            return Answered.of_json(self._json(number, line))
        except (KeyError, TypeError, AttributeError):
            raise InputError(f"{self.path}:{number}: this is no step of a stream: restore the file.") from None

    def _json(self, number: int, line: bytes) -> Any:
        try:
            return json.loads(line)
        except ValueError:
            raise InputError(f"{self.path}:{number}: the line is no JSON: restore the file or delete it.") from None

    def __enter__(self) -> Log:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._file.close()
