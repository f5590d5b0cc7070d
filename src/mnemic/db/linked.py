"""Links against the log, which tells all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mnemic.db.connection import Connection
from mnemic.db.problem import Problem
from mnemic.db.replaying import Key, Newest, Replay, sum_of
from mnemic.db.store import Store

Links = Counter[tuple[Any, ...]]  # (space, head, relation, tail, weight)


@dataclass(frozen=True)
class Difference:
    """Where links stand otherwise than in the log.

    source   the record that they were read from, None for those that people made
    lost     links that only the log has; strange: that only the rows have
    """

    source: str | None
    lost: Links
    strange: Links

    @property
    def mendable(self) -> bool:
        """A changed link is one that is lost and one that is strange. What is only strange, nobody can tell of."""
        return self.strange.total() <= self.lost.total()


def links_against_log(store: Store, replay: Replay) -> Iterator[Problem]:
    gone = store.read("SELECT count(*) FROM edge WHERE source IS NOT NULL AND source NOT IN (SELECT id FROM record)")
    if gone[0][0]:
        yield Problem("edges", f"{gone[0][0]} links were read from records that are gone", True)
    for found in differences(store, replay):
        where = f"read in record {found.source}" if found.source else "that people made"
        told = f"the log tells of {found.lost.total()} more links {where}, and not of {found.strange.total()}"
        yield Problem("edges", told, found.mendable)


def mend_links(store: Store, db: Connection, replay: Replay) -> None:
    """As the log says; what only the rows have stays, unless it stands for something that is lost."""
    db.execute("DELETE FROM edge WHERE source IS NOT NULL AND source NOT IN (SELECT id FROM record)")
    for found in list(differences(store, replay)):
        if found.mendable:
            db.executemany(
                "DELETE FROM edge WHERE n = (SELECT max(n) FROM edge WHERE space = ? AND head = ? AND relation = ? "
                "AND tail = ? AND weight = ? AND coalesce(source, '') = ?)",
                [(*link, found.source or "") for link in found.strange.elements()],
            )
        db.executemany(
            "INSERT INTO edge (space, head, relation, tail, weight, source) VALUES (?, ?, ?, ?, ?, ?)",
            [(*link, found.source) for link in found.lost.elements()],
        )


def differences(store: Store, replay: Replay) -> Iterator[Difference]:
    yield from _read(store, replay)
    yield from _made(store, replay)


def _read(store: Store, replay: Replay) -> Iterator[Difference]:
    """Of records, by what their newest operation left."""
    wanted = {key: newest for key, newest in replay.newest.items() if newest.edges}
    rows = store.db.execute(
        "SELECT record.space, edge.source, edge.space, head, relation, tail, weight FROM edge "
        "JOIN record ON record.id = edge.source ORDER BY record.space, edge.source"
    )
    for key, group in groupby(rows, key=lambda row: (row[0], row[1])):
        has = [row[2:] for row in group]
        newest = wanted.pop(key, None) or replay.newest.get(key)
        strays = any(link[0] != key[0] for link in has)
        if newest is not None and (strays or newest.edges != sum_of(link[1:] for link in has)):
            yield from _unless_erased(store, key, newest, Counter(has), replay)
    for key, newest in wanted.items():
        if store.find(key[1], key[0]):
            yield from _unless_erased(store, key, newest, Counter(), replay)


def _unless_erased(store: Store, key: Key, newest: Newest, has: Links, replay: Replay) -> Iterator[Difference]:
    """What links to an erased record went with it, and the log of the others does not tell."""
    after = store.read("SELECT after FROM operation WHERE n = ?", (newest.n,))[0][0]
    state = json.loads(after) if after else {}
    logged = state.get("edges", []) if isinstance(state, dict) else []  # damage may have left anything
    left = [(key[0], *edge[:3], float(edge[3])) for edge in logged if not {edge[0], edge[2]} & replay.erased]
    if Counter(left) != has:
        yield Difference(key[1], Counter(left) - has, has - Counter(left))


def _made(store: Store, replay: Replay) -> Iterator[Difference]:
    """By people, between records."""
    rows = store.db.execute("SELECT space, head, relation, tail, weight FROM edge WHERE source IS NULL")
    has = Counter(tuple(row) for row in rows)
    wanted = Counter((*ends, weight) for ends, weights in replay.links.items() for weight in weights)
    lost, strange = wanted - has, has - wanted
    if not lost:  # a budget in bytes shortens the log of what it lets go, links included; their rows stay
        strange = Counter({link: count for link, count in strange.items() if store.find(link[1], link[0])})
    if lost or strange:
        yield Difference(None, lost, strange)
