"""Tokens open what they were issued for, as long as they live; nothing else gets in."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.errors import InputError, NotFound
from mnemic.serve import Denied, Pool, Session, Settings
from mnemic.serve.settings import is_loopback


def session(pool: Pool, **rights: list[str]) -> Session:
    if all(each.name != "ana" for each in pool.access.principals()):
        pool.access.create_principal("ana")
    return pool.access.check(pool.access.issue("ana", rights)[1])


def status(pool: Pool, who: Session | None, space: str, need: str = "read") -> int:
    try:
        pool.enter(who, space, need)  # type: ignore[arg-type]
    except Denied as denied:
        return denied.status
    return 200


@pytest.mark.file
def test_the_secret_of_a_token_is_in_no_file(pool: Pool, db: Path) -> None:
    pool.access.create_principal("ana")
    _, secret = pool.access.issue("ana", {"family": ["read"]})
    told = b"".join(file.read_bytes() for file in db.parent.iterdir())
    assert b"ana" in told
    assert secret.encode() not in told
    assert secret.removeprefix("mnemic_").encode() not in told


def test_rights_imply_what_they_need_and_no_more(pool: Pool) -> None:
    may = {
        right: [need for need in ("read", "write", "share", "administer") if who.may(need, "a")]
        for right in ("read", "write", "share", "administer")
        for who in [session(Pool(Settings(pool.settings.path, embedder="hash-64")), a=[right])]
    }
    # the principal gathers rights, each token has its own only
    assert may == {"read": ["read"], "write": ["read", "write"], "share": ["read", "share"],
                   "administer": ["read", "write", "share", "administer"]}  # fmt: skip


def test_a_space_that_one_may_not_read_is_not_there_and_one_that_one_may_only_read_is_closed(pool: Pool) -> None:
    pool.enter(None, "hidden", "write").add("a secret")
    who = session(pool, open=["read"])
    assert [status(pool, who, "hidden"), status(pool, who, "nowhere")] == [404, 404]
    assert [status(pool, who, "open"), status(pool, who, "open", "write")] == [200, 403]


def test_what_is_hidden_and_what_is_nowhere_are_told_in_the_same_words(pool: Pool) -> None:
    pool.enter(None, "hidden", "write").add("a secret")
    who, said = session(pool, open=["read"]), []
    for space in ("hidden", "absent"):
        with pytest.raises(Denied) as denied:
            pool.enter(who, space)
        said.append(str(denied.value).replace(space, "X"))
    assert said[0] == said[1]


@pytest.mark.parametrize("space", ["*", "", " ", "a\nb", "x" * 201, "\ud800"])
def test_what_names_no_space_opens_none(pool: Pool, space: str) -> None:
    assert status(pool, None, space) == 404


def test_a_revoked_token_opens_nothing_from_the_next_request_on(pool: Pool) -> None:
    pool.access.create_principal("ana")
    token, secret = pool.access.issue("ana", {"a": ["read"]})
    assert pool.access.check(secret).may("read", "a")
    assert pool.access.revoke(token.id).revoked is not None
    with pytest.raises(Denied, match="wrong, expired or revoked"):
        pool.access.check(secret)
    assert [token.live for token in pool.access.tokens()] == [False]


def test_an_expired_token_opens_nothing(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnemic.moment import moment
    from mnemic.serve import access

    pool.access.create_principal("ana")
    _, secret = pool.access.issue("ana", {"a": ["read"]}, expires="2999-01-02")
    monkeypatch.setattr(access, "now", lambda: moment("2999-01-02T23:59:59"))  # the day is included
    assert pool.access.check(secret).may("read", "a")
    monkeypatch.setattr(access, "now", lambda: moment("2999-01-03T00:00:00"))
    with pytest.raises(Denied, match="expired"):
        pool.access.check(secret)


def test_a_token_without_rights_of_its_own_may_all_that_its_principal_may_and_no_longer(pool: Pool) -> None:
    pool.access.create_principal("ana")
    _, secret = pool.access.issue("ana")
    assert not pool.access.check(secret).may("read", "a")
    pool.access.grant("ana", "a", ["write"])
    assert pool.access.check(secret).may("write", "a")
    pool.access.grant("ana", "a", [])
    assert not pool.access.check(secret).may("read", "a")


def test_what_is_taken_from_the_principal_is_taken_from_its_narrow_tokens_too(pool: Pool) -> None:
    pool.access.create_principal("ana")
    _, secret = pool.access.issue("ana", {"a": ["write"]})
    pool.access.grant("ana", "a", ["read"])
    assert pool.access.check(secret).may("read", "a")
    assert not pool.access.check(secret).may("write", "a")


def test_every_space_is_opened_by_the_star_those_to_come_too(pool: Pool) -> None:
    who = session(pool, **{"*": ["read"]})
    assert [status(pool, who, "new"), status(pool, who, "new", "write")] == [200, 403]
    assert not who.owner
    assert session(pool, **{"*": ["administer"]}).owner


def test_a_removed_principal_may_nothing_and_its_name_is_free_again(pool: Pool) -> None:
    who = session(pool, a=["write"])
    assert who.may("write", "a")
    pool.access.remove_principal("ana")
    assert pool.access.tokens() == []
    pool.access.create_principal("ana")
    _, secret = pool.access.issue("ana")
    assert pool.access.check(secret).rights == {}


def test_wrong_names_rights_and_times_are_refused_in_a_sentence(pool: Pool) -> None:
    access = pool.access
    access.create_principal("ana")
    for act, error in (
        (lambda: access.create_principal("ana"), InputError),
        (lambda: access.create_principal(" "), InputError),
        (lambda: access.issue("ben"), NotFound),
        (lambda: access.issue("ana", {"a": ["fly"]}), InputError),
        (lambda: access.issue("ana", {"": ["read"]}), InputError),
        (lambda: access.issue("ana", expires="2001-01-01"), InputError),
        (lambda: access.issue("ana", expires="tomorrow"), InputError),
        (lambda: access.revoke("nothing"), NotFound),
    ):
        with pytest.raises(error) as raised:
            act()  # type: ignore[no-untyped-call]
        assert str(raised.value).endswith(".")


def test_without_a_token_the_person_at_the_machine_may_all_but_not_where_tokens_are_asked_for(db: Path) -> None:
    open_ = Pool(Settings(str(db), embedder="hash-64"))
    assert status(open_, None, "a", "administer") == 200
    open_.close()
    for settings in (Settings(str(db), require_token=True), Settings(str(db), host="0.0.0.0")):
        closed = Pool(settings)
        assert status(closed, None, "a") == 401
        closed.close()


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("::1", True), ("[::1]", True), ("localhost", True), ("127.9.9.9", True), ("0.0.0.0", False),
     ("192.168.1.5", False), ("::", False), ("localhost.evil.example", False), ("", False)],
)  # fmt: skip
def test_only_loopback_is_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here
    assert Settings("x.db", host=host).token_required is not here


def test_the_log_tells_which_principal_did_it(pool: Pool) -> None:
    who = session(pool, a=["administer"])
    record = pool.enter(who, "a", "write").add("tea")
    pool.enter(None, "a", "write").update(record.id, text="coffee")
    pool.enter(who, "a", "administer").erase(record.id, why="asked")
    log = list(pool.enter(who, "a").log())
    assert [(each.kind, each.who) for each in log] == [("insert", "principal:ana"), ("update", "person"),
                                                      ("erase", "person")]  # fmt: skip
    assert log[-1].why == "asked (asked for by principal:ana)"


def test_operations_are_counted_in_their_space_and_undo_speaks_in_these_numbers(pool: Pool) -> None:
    a, b = (pool.enter(None, space, "write") for space in ("a", "b"))
    for number in range(5):
        a.add(f"note {number}")
    record = b.add("tea")
    b.update(record.id, text="coffee")
    assert [each.n for each in b.log()] == [1, 2]
    with pytest.raises(InputError, match="changed after operation 1: undo operation 2 first"):
        b.undo(1)
    with pytest.raises(NotFound, match="no operation 6"):
        b.undo(6)
    (done,) = b.undo(2)
    assert (done.n, done.undoes, done.why) == (3, 2, "undo of operation 2")
    assert next(b.as_of(2).records()).text == "coffee"
    assert b.newest == 3


def test_a_file_of_the_first_version_is_brought_up_and_its_operations_are_numbered(tmp_path: Path) -> None:
    import sqlite3

    from mnemic.db import schema

    path = tmp_path / "old.db"
    db = sqlite3.connect(path, isolation_level=None)
    for statement in schema.MIGRATIONS[0].split(";\n"):
        if statement.strip():
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")
    for space in ("a", "b", "a", "a", "b"):
        db.execute("INSERT INTO operation (kind, target, space, who, why, at, at_s, call) "
                   "VALUES ('erase', 'x', ?, 'person', '', '2026-01-01', 1767225600.0, 'c')", (space,))  # fmt: skip
    db.close()
    with Memory(path, embedder="hash-64") as memory:
        assert memory.store.read("SELECT n, space, m FROM operation ORDER BY n") == [
            (1, "a", 1), (2, "b", 1), (3, "a", 2), (4, "a", 3), (5, "b", 2)]  # fmt: skip
        memory.add("tea")
        assert memory.store.read("SELECT m FROM operation WHERE space = 'default'") == [(1,)]


def test_an_export_through_a_room_loads_with_its_log(pool: Pool, tmp_path: Path) -> None:
    pool.enter(None, "noise", "write").add("noise")
    room = pool.enter(session(pool, a=["write"]), "a", "write")
    record = room.add("tea")
    room.update(record.id, text="coffee")
    room.undo(2)
    room.export(tmp_path / "a.jsonl")
    with Memory(tmp_path / "copy.db", embedder="hash-64") as memory:
        memory.load(tmp_path / "a.jsonl")
        assert [(each.n, each.undoes, each.why) for each in memory.log()] == [
            (1, None, "add"), (2, None, "update"), (3, 2, "undo of operation 2")]  # fmt: skip
        assert memory.check().ok
