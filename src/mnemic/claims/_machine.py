"""What a number was measured on: processor, memory, system, accelerator, versions. No names of people or hosts."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

# Libraries whose version can move a number; those that were not imported had no part in it.
_TELLING = ("numpy", "onnxruntime", "tokenizers", "usearch", "scipy", "igraph", "torch", "transformers", "xllamacpp")


def machine() -> dict[str, str]:
    """The machine, in words that may be published."""
    facts = {
        "processor": _processor(),
        "cores": str(_cores()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "accelerator": _accelerator(),
    }
    return {name: fact for name, fact in facts.items() if fact}


def versions() -> dict[str, str]:
    """mnemic and the libraries in use, with their versions."""
    used = ["mnemic", *(name for name in _TELLING if name in sys.modules)]
    return {name: _version(name) for name in used}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return ""


def _accelerator() -> str:
    torch = sys.modules.get("torch")  # never imported for this: a claim that used it has it
    return str(torch.cuda.get_device_name(0)) if torch is not None and torch.cuda.is_available() else ""
