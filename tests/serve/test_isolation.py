"""No principal ever sees another's row, count, score or id, or a hint of it that is not in the timing.

Three principals do random things on one file, and each does the same things alone on a file of its own. What each is
answered must be the same, letter by letter: only then can nothing of the others be in it. (Ids, times, cursors and
ETags differ by chance; they are compared by where they stand and where they come back.)

python tests/serve/test_isolation.py 10000 [SEED]        so many random interleavings; the test does a few
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mnemic.recall.store_corpus import StoreCorpus
from mnemic.serve import Settings, rooms
from mnemic.serve.http import create_app

NAMES = ("ana", "ben", "eva")
ALL = ["read", "write", "share", "administer"]
WORDS = "tea coffee garden boat Lisbon Porto moved likes reads train doctor market".split()
Step = tuple[int, int, int, int]  # who, does what, two numbers that say to what

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


class World:
    """A server with some principals, each with a space of their own."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        app = create_app(Settings(str(folder / f"{'-'.join(names)}.db"), require_token=True, embedder="hash-64",
                                  lm="none"))  # fmt: skip
        self.pool = app.state.serving.pool
        self.pool._gate.store.db.execute("PRAGMA synchronous = OFF")  # a test may lose what it wrote in a power cut
        self.client = TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False)
        self.headers, self.seen = {}, {name: {} for name in names}
        self.ids: dict[str, list[str]] = {name: [] for name in names}
        for name in names:
            self.pool.access.create_principal(name)
            _, secret = self.pool.access.issue(name, {f"space of {name}": ALL})
            self.headers[name] = {"Authorization": f"Bearer {secret}"}

    def close(self) -> None:
        self.pool.close()

    def call(self, name: str, method: str, path: str, **more: Any) -> Any:
        for room in self.pool._opened.values():
            room.store.db.execute("PRAGMA synchronous = OFF")
        return self.client.request(method, path, headers=self.headers[name], **more)

    def do(self, name: str, step: Step, foreign: str) -> str:
        """What the principal is answered, with what is left to chance made alike."""
        answer = self.call(name, *_request(self, name, step, foreign)[:2], **_request(self, name, step, foreign)[2])
        body = answer.content.decode()
        if answer.status_code == 201 and step[1] in (0, 1):
            self.ids[name] += [each["id"] for each in answer.json()["items"]]
        return f"{answer.status_code} {self._plain(name, body)}"

    def _plain(self, name: str, body: str) -> str:
        labels = self.seen[name]
        body = _UUID.sub(lambda found: labels.setdefault(found[0], f"id {len(labels)}"), body)
        body = _TIME.sub("T", body)
        try:
            told = json.loads(body)
        except ValueError:
            return body
        return json.dumps(_without_chance(told), sort_keys=True)


def _without_chance(told: Any) -> Any:
    if isinstance(told, dict):
        if "seconds" in told and told.get("last"):  # how operations spread over the clock
            return {"operations": sum(told["counts"]), "last": told["last"][-1]}
        return {key: "CURSOR" if key == "next" and value else _without_chance(value) for key, value in told.items()}
    return [_without_chance(each) for each in told] if isinstance(told, list) else told


def _text(x: int, y: int) -> str:
    return " ".join(WORDS[(x * 7 + y * 3 + i * (1 + x % 5)) % len(WORDS)] for i in range(2 + y % 4))


def _request(world: World, name: str, step: Step, foreign: str) -> tuple[str, str, dict[str, Any]]:
    """What one step asks for: of the principal's own, or (the last ones) of what is none of their business."""
    _, what, x, y = step
    base, ids = f"/v1/spaces/space of {name}", world.ids[name] or [foreign]
    one, other = ids[x % len(ids)], ids[y % len(ids)]
    record = f"{base}/records/{one}"
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"{base}/records", {"json": {"text": _text(x, y), "speaker": NAMES[y % 3]}}),
        ("POST", f"{base}/records", {"json": [{"text": _text(x, i), "episode": f"e{x % 3}", "time": f"20{10 + y % 9}"}
                                              for i in range(y % 4 + 1)]}),
        ("PATCH", record, {"json": {"text": _text(y, x)}}),
        ("DELETE", record, {}),
        ("POST", f"{record}/supersede", {"json": {"text": _text(x + 1, y), "time": "2026-05-01"}}),
        ("POST", f"{base}/links", {"json": {"head": one, "relation": "answers", "tail": other}}),
        ("POST", f"{base}/undo", {"json": {"operation": x % 30 + 1}}),
        ("POST", f"{record}/erase", {}),
        ("GET", f"{base}/recall", {"params": {"q": _text(x, y), "k": y % 6 + 1}}),
        ("GET", f"{base}/recall", {"params": {"q": _text(y, x), "as_of": f"operation:{x % 12}"}}),
        ("GET", f"{base}/records", {"params": {"limit": x % 5 + 1, "order": ("newest", "oldest")[y % 2]}}),
        ("GET", f"{base}/log", {"params": {"after": x % 9, "limit": y % 7 + 1}}),
        ("GET", f"{base}/log", {"params": {"order": "newest", "limit": 3}}),
        ("GET", f"{base}/stats", {}),
        ("GET", f"{base}/timeline", {"params": {"buckets": 4}}),
        ("GET", f"{base}/graph", {"params": {"record": one, "depth": 2}}),
        ("GET", f"{base}/audit", {}),
        ("GET", f"{base}/export", {}),
        ("GET", f"{record}/history", {}),
        ("GET", f"{record}/lineage", {}),
        ("GET", f"{record}/derived", {}),
        ("POST", f"{base}/ask", {"json": {"question": f"Who {_text(x, y)}?"}}),
        ("POST", f"{base}/audit/repair", {"json": {"only": ["duplicate"]}}),
        ("GET", "/v1/spaces", {}),
        ("GET", "/v1/me", {}),
        # what is none of their business
        ("GET", f"{base}/records/{foreign}", {}),
        ("GET", f"{base}/records/{foreign}/history", {}),
        ("POST", f"{base}/records/{foreign}/erase", {}),
        ("POST", f"{base}/links", {"json": {"head": one, "relation": "answers", "tail": foreign}}),
        ("POST", f"{base}/records", {"json": {"text": _text(x, y), "derived_from": [foreign]}}),
        ("GET", f"{base}/graph", {"params": {"record": foreign}}),
        ("GET", f"/v1/spaces/space of {NAMES[(NAMES.index(name) + 1) % 3]}/records", {}),
        ("POST", f"/v1/spaces/space of {NAMES[(NAMES.index(name) + 1) % 3]}/records", {"json": {"text": "mine"}}),
        ("GET", f"{base}/check", {}),
        ("GET", "/metrics", {}),
        ("GET", "/v1/principals", {}),
        ("GET", "/v1/tokens", {}),
        ("GET", f"{base}/grants", {}),
    ]  # fmt: skip
    return kinds[what % len(kinds)]


KINDS = 38


class Pair:
    """The three together, and each of them alone."""

    def __init__(self, folder: Path) -> None:
        self.together = World(folder, NAMES)
        self.alone = {name: World(folder, [name]) for name in NAMES}

    def close(self) -> None:
        for world in (self.together, *self.alone.values()):
            world.close()

    def leaks(self, steps: Sequence[Step]) -> list[str]:
        """Answers in which the others show."""
        found = []
        for step in steps:
            name = NAMES[step[0] % 3]
            others = [id for other in NAMES if other != name for id in self.together.ids[other]]
            foreign = others[step[2] % len(others)] if others else "01a21f6f-e10e-75ee-8a5d-1bae3db74681"
            told, alone = (world.do(name, step, foreign) for world in (self.together, self.alone[name]))
            if told != alone:
                found.append(f"{name} {_request(self.together, name, step, foreign)}:\n  {told}\n  {alone}")
            for other in others:
                if other != foreign and other in told:
                    found.append(f"{name} was told the id {other}")
        return found


@contextmanager
def pair() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory() as folder:
        made = Pair(Path(folder))
        try:
            yield made
        finally:
            made.close()


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, KINDS - 1), st.integers(0, 40), st.integers(0, 40)),
                 min_size=5, max_size=40)  # fmt: skip
FEW = settings(max_examples=12, suppress_health_check=list(HealthCheck))
# Each does what tells most of the others, after all of them have written.
TELLING: list[Step] = [
    *((who, what, x, 3) for x in range(6) for what in (0, 1) for who in range(3)),
    *((who, what, 2, 5) for what in (8, 9, 11, 12, 13, 14, 17, 18, 6, 23) for who in range(3)),
]


@FEW
@given(STEPS)
def test_nobody_is_told_anything_of_the_others(steps: list[Step]) -> None:
    with pair() as worlds:
        assert worlds.leaks(steps) == []


def test_the_log_search_sizes_and_exports_of_one_are_as_if_there_were_no_others() -> None:
    with pair() as worlds:
        assert worlds.leaks(TELLING) == []


@pytest.mark.parametrize("leak", ["numbers", "words", "sizes"])
def test_a_leak_would_be_noticed(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if leak == "numbers":
        monkeypatch.setattr(rooms.Room, "_numbers", lambda self, ns: {n: n for n in ns})
    if leak == "words":
        monkeypatch.setattr(StoreCorpus, "_alone", lambda self: True)
    if leak == "sizes":
        monkeypatch.setattr(rooms.Room, "whole", True)
    with pair() as worlds:
        assert worlds.leaks(TELLING) != []


def main(interleavings: int = 100, seed: int = 0) -> int:
    """Run so many random interleavings of 5 to 40 steps; each fifty of them go on with the same files."""
    chance, steps = random.Random(seed), 0
    for start in range(0, interleavings, 50):
        with pair() as worlds:
            for _ in range(min(50, interleavings - start)):
                given_ = [(chance.randrange(3), chance.randrange(KINDS), chance.randrange(41), chance.randrange(41))
                          for _ in range(chance.randint(5, 40))]  # fmt: skip
                steps += len(given_)
                if found := worlds.leaks(given_):
                    print(*found, sep="\n")
                    return 1
        print(f"{min(start + 50, interleavings)} interleavings, {steps} steps, no leak", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
