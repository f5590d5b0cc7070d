"""What a core install takes: the wheel of this checkout, installed into a fresh environment, and tried.

python benchmarks/size.py            builds the wheel, makes the environment, lets pip fetch the dependencies
python benchmarks/size.py --here     counts the core's packages in the running environment: no network, no seconds
python benchmarks/size.py --json

Counted are the files of each package that pip installed, compiled ones included. pip fetches everything anew (no
cache), so the seconds are those of a first install on this machine's line. Exit code 1 when it takes more than 400 MB
or 60 s, when torch is among the packages, or when the installed program does not find what it was told. Needs the
network.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mnemic.meter import readable

BAR_BYTES, BAR_S = 400_000_000, 60
ROOT = Path(__file__).parents[1]
NEEDED = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "src")
SENTENCE = "The spare key lies under the third flower pot."
BROUGHT = ("pip", "setuptools")  # by the environment itself
_SHOWN = 8  # packages that are printed, the largest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--here", action="store_true", help="count in the running environment, install nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    try:
        found = counted(core_here()) if given.here else installed()
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(map(str, error.cmd[:6]))} ... failed: {error.stderr.strip()[-800:]}", file=sys.stderr)
        return 2
    print(json.dumps(found, indent=1)) if given.json else show(found)
    over = found["bytes"] > BAR_BYTES or (found["seconds"] or 0) > BAR_S
    return int(over or found["torch"] or found["works"] is False)


def installed() -> dict[str, Any]:
    """Build, install, try; in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, Console(stderr=True).status("building the wheel") as status:
        wheel = built(Path(folder))
        status.update("making the environment")
        venv.create(Path(folder) / "venv", with_pip=True)
        python = next((Path(folder) / "venv").glob("[Sbi]*/python*"))
        status.update("installing")
        start, cpu = time.perf_counter(), processor_s()
        said(python, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", wheel)
        seconds, cpu = time.perf_counter() - start, processor_s() - cpu
        status.update("trying it")
        works = tried(python, Path(folder) / "life.db")
        site = said(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        found = counted(one for one in distributions(path=[site]) if plain(one.name) not in BROUGHT)
        return {**found, "wheel_bytes": wheel.stat().st_size, "seconds": seconds, "cpu_s": cpu,
                "works": works}  # fmt: skip


def processor_s() -> float:
    """Of the processes that this one has waited for."""
    return sum(os.times()[2:4])


def built(folder: Path) -> Path:
    """The wheel, built from a copy: setuptools leaves its work beside the sources."""
    copy = folder / "source"
    copy.mkdir()
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(ROOT / name, copy / name)
    said(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--disable-pip-version-check",
         "--wheel-dir", folder, copy)  # fmt: skip
    return next(folder.glob("mnemic-*.whl"))


def tried(python: Path, db: Path) -> bool:
    """True when the installed command line remembers a sentence and finds it by meaning."""
    said(python, "-m", "mnemic", "add", "--text", SENTENCE, "--db", db)
    answer = json.loads(said(python, "-m", "mnemic", "recall", "how do I get into the house?", "--db", db, "--json"))
    return bool(answer["hits"]) and answer["hits"][0]["record"]["text"] == SENTENCE


def said(*command: object) -> str:
    """The output of a program; raises CalledProcessError with its complaints."""
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def core_here() -> Iterator[Distribution]:
    """What mnemic needs without its extras, and what that needs, as installed in the running environment."""
    seen, waiting = {"mnemic"}, ["mnemic"]
    while waiting:
        one = distribution(waiting.pop())
        if plain(one.name) != "mnemic":  # of an editable install nothing lies there
            yield one
        for line in one.requires or []:
            name, condition = plain(re.match(r"[\w.-]+", line)[0]), line.partition(";")[2]
            if name not in seen and "extra" not in condition and is_here(name):
                seen.add(name)
                waiting.append(name)


def is_here(name: str) -> bool:
    """False for what only other systems need."""
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def counted(found: Iterable[Distribution]) -> dict[str, Any]:
    """Bytes of packages by name, the largest first."""
    sizes = {plain(one.name): sum(on_disk(file.locate()) for file in one.files or []) for one in found}
    return {"bytes": sum(sizes.values()), "torch": "torch" in sizes, "seconds": None, "works": None,
            "packages": dict(sorted(sizes.items(), key=lambda item: -item[1]))}  # fmt: skip


def on_disk(file: Any) -> int:
    return Path(file).stat().st_size if Path(file).is_file() else 0


def show(found: dict[str, Any]) -> None:
    console = Console()
    table = Table("package", "size")
    for name, size in list(found["packages"].items())[:_SHOWN]:
        table.add_row(name, readable(size, "bytes"))
    rest = list(found["packages"].values())[_SHOWN:]
    table.add_row(f"{len(rest)} others", readable(sum(rest), "bytes"))
    console.print(table)
    console.print(f"core install: {readable(found['bytes'], 'bytes')} (bar {readable(BAR_BYTES, 'bytes')}), "
                  f"{'with' if found['torch'] else 'no'} torch")  # fmt: skip
    if found["seconds"] is not None:
        console.print(f"pip took {found['seconds']:.0f} s (bar {BAR_S} s), {found['cpu_s']:.0f} s of processor time")
        works = "works" if found["works"] else "does NOT find what it was told"
        console.print(f"the wheel has {readable(found['wheel_bytes'], 'bytes')}, the installed program {works}")


if __name__ == "__main__":
    sys.exit(main())
