"""How long a person waits for the page: until it shows memories, and until a search shows its hits.

python benchmarks/page.py                          100,000 records
python benchmarks/page.py --records 10000
python benchmarks/page.py --keep FOLDER            leave the memory there; the next run has only to look
python benchmarks/page.py --json

A server in a process of its own, a real headless Chromium (Debian: apt-get install chromium) driven by playwright
(pip install playwright); what is in the memory says benchmarks/_records.py. Each opening is a new profile with an empty
cache.

first useful paint   from the start of the navigation until the frame after the first memories stand in the list
search               from sending a question until the frame after its hits, with their bars, stand in the page
scrolling            the longest frame in a hundred of wheeling through the list, far beyond what was loaded first

Exit code 1 when a median is above its bar: 1,000 ms until something useful is painted, 300 ms for a search. The bars
are for an idle machine: the load average is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _records

from mnemic.cli.progress import track

BARS_MS = {"first useful paint": 1000, "search": 300}
OPENINGS, QUESTIONS, WARM = 7, 40, 3
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
SERVER = """
import sys
from mnemic.cli.serve import run
from mnemic.serve import Settings
run(Settings(sys.argv[1], port=0, lm="none"), as_json=True)
"""
# A timer in the page itself: what it takes to tell another process is not counted.
CLOCK = """
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  window.appeared = async (found) => { while (!found()) await frame(); await frame(); return performance.now(); };
  window.first = window.appeared(() => document.querySelector(".row .text"));
"""
SEARCH = """async (words) => {
  const box = document.getElementById("q"), before = document.querySelector(".hits");
  box.value = words;
  const start = performance.now();
  box.form.requestSubmit();
  const fresh = () => document.querySelector(".hits .bar") && document.querySelector(".hits") !== before;
  return (await window.appeared(fresh)) - start;
}"""
SCROLL = """async () => {
  const rows = document.querySelector(".rows"), times = [];
  let last = performance.now();
  for (let n = 0; n < 100; n += 1) {
    rows.scrollTop += 700;
    await new Promise((done) => requestAnimationFrame(done));
    times.push(performance.now() - last);
    last = performance.now();
  }
  return [Math.max(...times), rows.querySelectorAll(".row").length];
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the memory here and leave it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(given.records, given.keep or Path(folder))
    show(found, as_json=given.json)
    return int(any(found[name]["median_ms"] > most for name, most in BARS_MS.items()))


def measured(records: int, folder: Path) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"records-{records}.db"
    with track(f"writing {records:,} records", unit="record") as moved:
        _records.build(path, records, moved)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with served(path) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        openings = [opened(browser, address) for _ in range(OPENINGS + 1)][1:]  # the first one opens the memory, too
        times, longest, rows = used(browser, address)
        browser.close()
    return {"records": records, "load": os.getloadavg(), "cores": os.cpu_count(),
            "first useful paint": told(openings), "search": told(times),
            "scrolling": {"longest_frame_ms": longest, "rows_in_the_page": rows}}  # fmt: skip


@contextmanager
def served(path: Path) -> Iterator[str]:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = json.loads(server.stdout.readline())["url"].rstrip("/")
        urllib.request.urlopen(f"{address}/v1/spaces/default/recall?q=warm").read()  # opens the columns and the model
        yield address
    finally:
        server.terminate()
        server.wait(60)


def opened(browser: Any, address: str) -> float:
    """Milliseconds until memories are painted, for somebody who was never here."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.add_init_script(CLOCK)
    page.goto(f"{address}/", wait_until="commit")
    took: float = page.evaluate("window.first")
    context.close()
    return took


def used(browser: Any, address: str) -> tuple[list[float], float, int]:
    """Milliseconds of each search; the longest frame of scrolling, and how many rows were in the page then."""
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.add_init_script(CLOCK)
    page.goto(f"{address}/")
    page.evaluate("window.first")
    longest, rows = page.evaluate(SCROLL)
    times = [page.evaluate(SEARCH, words) for words in _records.questions(QUESTIONS + WARM)][WARM:]
    return times, longest, rows


def told(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    return {"median_ms": statistics.median(ordered), "p95_ms": p95, "n": len(ordered)}


def show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=1))
        return
    print(f"{found['records']:,} records, {found['cores']} cores, load average {found['load'][0]:.1f}")
    for name, most in BARS_MS.items():
        row = found[name]
        times = f"median {row['median_ms']:6.0f} ms   p95 {row['p95_ms']:6.0f} ms"
        print(f"{name:20} {times}   bar {most:,} ms   n {row['n']}")
    scrolling = found["scrolling"]
    longest, rows = scrolling["longest_frame_ms"], scrolling["rows_in_the_page"]
    print(f"{'scrolling':20} longest frame {longest:.0f} ms, {rows} rows in the page")


if __name__ == "__main__":
    raise SystemExit(main())
