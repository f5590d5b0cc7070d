"""Process memory: what this process takes, and what a call takes in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from mnemic.errors import InputError, MnemicError
from mnemic.meter.budget import Used

T = TypeVar("T")

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Measured(Generic[T]):
    """What a call returned, and what it used."""

    result: T
    used: Used


def process_bytes() -> Used:
    """The peak of this process so far, all pages counted (VmHWM).

    parts   resident: all pages now (VmRSS); own: pages that no file stands behind, now (RssAnon).
            Pages of libraries and mapped files count in the first and not in the second. Linux has both;
            elsewhere there is only the peak.
    """
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="utf-8").splitlines() if ":" in line)
        peak, resident, own = (int(fields[name].split()[0]) * 1024 for name in ("VmHWM", "VmRSS", "RssAnon"))
        return Used(peak, "bytes", {"resident": resident, "own": own})
    try:
        import resource
    except ModuleNotFoundError:
        raise MnemicError("process memory cannot be read on this system: measure on Linux or macOS.") from None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Used(peak if sys.platform == "darwin" else peak * 1024, "bytes")  # macOS counts bytes, others kilobytes


def peak_of(call: Callable[..., Any] | str, *args: Any, **options: Any) -> Measured[Any]:
    """Make a call in a fresh process, so that nothing that ran before is counted.

    call      "package.module:function", or a function that such a name reaches (also one of the running script)
    args      as JSON can hold them; the result too
    returns   the result and the peak. Parts: start (the peak before the call: interpreter and imports of the
              call's module), own (pages without a file when it returned)
    """
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "call.json"
        try:
            note.write_text(json.dumps({"call": _name(call), "args": args, "options": options, "path": sys.path}))
        except TypeError as error:
            raise InputError(f"the call's arguments must be what JSON can hold ({error}).") from None
        child = f"from mnemic.meter.process import _measure; _measure({str(note)!r})"
        done = subprocess.run([sys.executable, "-c", child], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            ended = f"was killed by {_signal(-done.returncode)}" if done.returncode < 0 else "failed"
            raise MnemicError(f"{_name(call)} {ended} in its own process:\n{done.stderr.strip()[-2000:]}")
        answer = json.loads(note.read_text())
    return Measured(answer["result"], Used(**answer["used"]))


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _name(call: Callable[..., Any] | str) -> str:
    """ "module:function" of a call, with the file instead of the module when it is the running script."""
    if isinstance(call, str):
        if ":" not in call:
            raise InputError(f'"{call}" names no call: write it like "package.module:function".')
        return call
    name = getattr(call, "__qualname__", "<")
    if "<" in name:
        raise InputError(f"{call!r} cannot be found by another process: give a function of a module, no lambda.")
    module = call.__module__
    if module == "__main__":
        module = str(getattr(sys.modules["__main__"], "__file__", None) or "")
        if not module:
            raise InputError(f"{name} was typed in, another process cannot find it: put it into a file.")
        module = os.path.abspath(module)
    return f"{module}:{name}"


def _measure(note: str) -> None:
    """The other process: make the call that the note describes, write result and memory over it."""
    told = json.loads(Path(note).read_text())
    sys.path[:] = told["path"]
    module, _, name = told["call"].rpartition(":")
    is_file = module.endswith(".py")
    found: Any = runpy.run_path(module, run_name="__measured__") if is_file else importlib.import_module(module)
    for part in name.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    start = process_bytes().amount
    result = found(*told["args"], **told["options"])
    used = process_bytes()
    parts = {"start": start} | {key: used.parts[key] for key in ("own",) if key in used.parts}
    answer = {"result": result, "used": {"amount": used.amount, "unit": "bytes", "parts": parts}}
    Path(note).write_text(json.dumps(answer))
