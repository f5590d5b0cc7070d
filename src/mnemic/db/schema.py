"""The tables of a memory file, and the way from each version of them to the next.

record      what is remembered now, one row each; n never comes back, so it can name rows in caches
operation   everything that ever changed the memory, append-only; replaying it gives `record`
edge        links between records, or between phrases that were read in a record
derivation  which record was made from which
vector      all windows of one record by one embedder, packed (see recall/packed.py)
words       full-text index over stemmed words, without a copy of the text
access      how often and when a record was found; kept only while a budget needs it
ledger      which files were added, with their fingerprints
principal   who may use the memory through `mnemic serve`; token: how they show who they are; permission: what they may
answered    what was answered to a request with an idempotency key, without any text of a record
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mnemic.errors import Busy, Corrupt, NotAMemory

APPLICATION_ID = 0x6D6E656D  # "mnem": how a memory file is told from any other SQLite file
BUSY_SECONDS = 60.0  # how long a writer waits for other writers before it gives up

_VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    space TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    time TEXT, begins REAL, ends REAL, until TEXT,
    written TEXT NOT NULL, written_s REAL NOT NULL,
    source TEXT, place TEXT, episode TEXT, speaker TEXT,
    metadata TEXT, derived_from TEXT, stale TEXT,
    pinned INTEGER NOT NULL, importance REAL NOT NULL,
    words INTEGER NOT NULL, -- stemmed words of the text
    asks INTEGER NOT NULL,  -- 1 when the text holds a question mark, 2 when it ends with one
    digest BLOB NOT NULL
);
CREATE INDEX record_digest ON record (digest);
CREATE INDEX record_space ON record (space, n);
CREATE INDEX record_slot ON record (source, place, space) WHERE place IS NOT NULL;
CREATE TABLE operation (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    space TEXT NOT NULL,
    before TEXT, after TEXT,
    who TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL, at_s REAL NOT NULL,
    call TEXT NOT NULL,
    undoes INTEGER,
    record INTEGER -- n of the record it changed, so that caches can follow
);
CREATE INDEX operation_target ON operation (target);
CREATE TABLE edge (
    n INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    head TEXT NOT NULL, relation TEXT NOT NULL, tail TEXT NOT NULL,
    weight REAL NOT NULL,
    source TEXT
);
CREATE INDEX edge_source ON edge (source);
CREATE TABLE derivation (source TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (source, record)) WITHOUT ROWID;
CREATE INDEX derivation_record ON derivation (record);
CREATE TABLE embedder (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dimensions INTEGER NOT NULL);
CREATE TABLE vector (
    record INTEGER NOT NULL, embedder INTEGER NOT NULL, windows BLOB NOT NULL,
    PRIMARY KEY (record, embedder)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (terms, content = '', tokenize = "ascii tokenchars '_'");
CREATE TABLE access (record INTEGER PRIMARY KEY, count INTEGER NOT NULL, last REAL NOT NULL);
CREATE TABLE ledger (
    space TEXT NOT NULL, source TEXT NOT NULL, fingerprint TEXT NOT NULL, report TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (space, source)
) WITHOUT ROWID;
"""

# m numbers the operations of one space: n, of the whole file, would tell how much others write.
_VERSION_2 = """
ALTER TABLE operation ADD COLUMN m INTEGER;
UPDATE operation SET m = numbered.m FROM (SELECT n, row_number() OVER (PARTITION BY space ORDER BY n) AS m
    FROM operation) AS numbered WHERE operation.n = numbered.n;
CREATE UNIQUE INDEX operation_space ON operation (space, m);
CREATE TRIGGER operation_number AFTER INSERT ON operation BEGIN UPDATE operation
    SET m = (SELECT coalesce(max(m), 0) + 1 FROM operation WHERE space = NEW.space) WHERE n = NEW.n; END;
CREATE TABLE principal (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE token (
    id TEXT PRIMARY KEY, principal TEXT NOT NULL, digest BLOB NOT NULL UNIQUE,
    at TEXT NOT NULL, expires TEXT, revoked TEXT,
    narrow INTEGER NOT NULL -- 1 when it may only what permission says of it, 0 when all that its principal may
) WITHOUT ROWID;
CREATE TABLE permission (
    holder TEXT NOT NULL, -- a principal or a narrow token
    space TEXT NOT NULL, rights TEXT NOT NULL, PRIMARY KEY (holder, space)
) WITHOUT ROWID;
CREATE TABLE answered (
    key BLOB PRIMARY KEY, space TEXT NOT NULL, asked BLOB NOT NULL, at REAL NOT NULL,
    done INTEGER NOT NULL, -- n of the newest operation once the request was carried out, in the same transaction
    answer TEXT
) WITHOUT ROWID;
"""

MIGRATIONS = [
    _VERSION_1,
    _VERSION_2,
]  # MIGRATIONS[v] takes a file of version v to version v + 1; never edit one that shipped


def connect(path: str | Path) -> sqlite3.Connection:
    """Open or make a memory file and bring it to the newest version.

    Raises NotAMemory for any other file, or one of a newer version: such a file is not touched.
    """
    name = str(path)
    if name != ":memory:":
        _refuse_foreign(Path(name))
    try:
        db = sqlite3.connect(name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        _configure(db)
        _migrate(db, name)
    except sqlite3.DatabaseError as error:
        raise translate(error, name) from error
    return db


def translate(error: sqlite3.DatabaseError, name: str) -> Exception:
    """SQLite's error as one of ours, with what to do."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return Busy(
            f"{name}: another process has been writing for over {BUSY_SECONDS:.0f} s; try again when it is done."
        )
    if "unable to open" in text or "readonly" in text:
        return NotAMemory(f"{name}: cannot be opened for writing ({text}); choose a file in a folder you may write to.")
    if "full" in text:
        return Busy(f"{name}: the disk is full; nothing of this call was written.")
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return Corrupt(f"{name}: the file is damaged ({text}); restore a backup, or `mnemic export` what can be read.")
    return error


def _refuse_foreign(path: Path) -> None:
    """Look before SQLite does: opening a file as a database may already write beside it."""
    if path.is_dir():
        raise NotAMemory(f"{path}: is a folder; name a file, like {path / 'memory.db'}.")
    if not path.parent.exists():
        raise NotAMemory(f"{path}: the folder {path.parent} does not exist; make it first.")
    try:
        with open(path, "rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        return
    except OSError as error:
        raise NotAMemory(f"{path}: cannot be read ({error.strerror}); check its permissions.") from None
    if not head:
        return
    application = int.from_bytes(head[68:72], "big")
    version = int.from_bytes(head[60:64], "big")
    if not head.startswith(b"SQLite format 3\x00") or len(head) < 100:
        raise NotAMemory(f"{path}: is not a memory file; name another one, or a new one.")
    if application != APPLICATION_ID and not _unfinished(path, application):
        raise NotAMemory(f"{path}: is a database of another program; name another file, or a new one.")
    if application == APPLICATION_ID and version > len(MIGRATIONS):
        raise NotAMemory(
            f"{path}: was written by a newer mnemic (file version {version}, this one reads up to {len(MIGRATIONS)}): "
            "upgrade with `pip install -U mnemic`. The file was not touched."
        )


def _unfinished(path: Path, application: int) -> bool:
    """A memory file whose first page is still in its WAL looks empty: no application, no tables."""
    if application != 0:
        return False
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        tables: int = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        owner: int = db.execute("PRAGMA application_id").fetchone()[0]
        return tables == 0 or owner == APPLICATION_ID
    except sqlite3.DatabaseError:
        return False
    finally:
        db.close()


def _configure(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA page_count").fetchone()[0] == 0:
        db.execute(
            "PRAGMA auto_vacuum = INCREMENTAL"
        )  # so that a budget can give pages back; only before the first table
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # an acknowledgement means durable: the WAL reaches the disk first
    db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten with zeros
    db.execute("PRAGMA temp_store = MEMORY")  # no text in temporary files
    db.execute("CREATE VIRTUAL TABLE temp.posting USING fts5vocab('main', 'words', 'instance')")
    db.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'words', 'row')")


def _migrate(db: sqlite3.Connection, name: str) -> None:
    if _version(db) == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        found = _version(db)  # another process may have migrated while we waited for the lock
        if found > len(MIGRATIONS):
            raise NotAMemory(f"{name}: was written by a newer mnemic; upgrade with `pip install -U mnemic`.")
        for step in MIGRATIONS[found:]:
            for statement in step.split(";\n"):
                if statement.strip():
                    db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version
