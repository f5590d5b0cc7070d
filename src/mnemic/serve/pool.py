"""The one way from a request to a memory, and the one place where access is enforced.

pool = Pool(settings)
memory = pool.enter(session, "family", need="write")

What `enter` gives is a Memory of one space, seen by one session: it writes that session's name into the log, and tells
nothing of other spaces of the file, not even how much they hold (see rooms.py). There is no other way in: the HTTP
routes, MCP and the page have nothing but a pool.
"""

from __future__ import annotations

import threading
from typing import Literal

from mnemic import choose
from mnemic.errors import InputError
from mnemic.limits import encodable
from mnemic.lm.minilm import MiniLM
from mnemic.moment import shown
from mnemic.seams import Embedder, LanguageModel
from mnemic.serve.access import EVERY, PERSON, RIGHTS, Access, Denied, Session
from mnemic.serve.beside import open_to
from mnemic.serve.rooms import Room
from mnemic.serve.settings import Settings

Need = Literal["read", "write", "share", "administer"]

_FIRST = "default"
_LONGEST = 200  # characters of the name of a space
# One look at the index for each space, however many operations it has.
_SPACES = (
    "WITH RECURSIVE found (space) AS (SELECT min(space) FROM operation UNION ALL SELECT (SELECT min(space) "
    "FROM operation WHERE space > found.space) FROM found WHERE found.space IS NOT NULL) "
    "SELECT space FROM found WHERE space IS NOT NULL"
)
_MOST = 500  # spaces whose columns stay in RAM
_MOST_CONNECTED = 30  # of a database, which serves about a hundred connections


class Pool:
    """The memories of one process. Thread-safe; each space is opened once, when it is first asked for.

    access   principals and tokens of this memory
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._model_lock = threading.Lock()
        self._model: LanguageModel | None = None
        self._model_known = False
        self._closed = False
        self._opened: dict[tuple[str, bool], Room] = {}
        self._embedder: str | Embedder | None = settings.embedder
        self._gate = self._open(_FIRST)  # a connection of its own: who asks is looked up while others read
        self.access = Access(self._gate.store)

    def enter(self, session: Session | None, space: str, need: Need = "read") -> Room:
        """The memory of a space, for one session; raises Denied when it may not do this there.

        session   None for who showed no token: the person at the machine, where none is asked for
        need      a space that it may not read does not exist for a session (404); one that it may read, no more: 403
        """
        session = self.session(session)
        if need not in RIGHTS:
            raise InputError(f"there is no right {shown(need)}: use {', '.join(RIGHTS)}.")
        if not isinstance(space, str) or space == EVERY or not _is_name(space) or not session.knows(space):
            raise Denied(404, f"there is no space {shown(space)} that you may know of: `spaces` lists yours.")
        if not session.may(need, space):
            raise Denied(403, f'you may not {need} in the space "{space}": ask who administers it for "{need}".')
        return self._room(space, writing=need != "read").seen_by(session)

    def session(self, session: Session | None) -> Session:
        """Who asks; raises Denied (401) where a token is needed and none was shown."""
        if session is not None:
            return session
        if self.settings.token_required:
            raise Denied(401, "a token is needed here: send it as `Authorization: Bearer ...`.")
        return PERSON

    def spaces(self, session: Session | None) -> list[str]:
        """Names of the spaces that a session may read, those with something in them and those it has rights in."""
        session = self.session(session)
        store = self.access.store
        with store.everywhere():
            there = {name for (name,) in store.read(_SPACES)}
        named = {space for space in session.rights if space != EVERY}
        return sorted(space for space in there | named if session.knows(space))

    @property
    def lm(self) -> LanguageModel | None:
        """The language model of all spaces, opened when it is first asked for; None when none is configured."""
        with self._model_lock:
            if not self._model_known:
                self._model, self._model_known = choose.language_model(self.settings.lm), True
            return self._model

    def close(self) -> None:
        """Close the files. What was acknowledged is on disk already."""
        with self._lock:
            self._closed = True
            for room in (*self._opened.values(), self._gate):
                room.close()
            self._opened.clear()

    def _room(self, space: str, *, writing: bool) -> Room:
        """The shared room of a space: one connection reads and another writes, so that no reader waits for a disk."""
        key = (space, writing)
        found = self._opened.get(key)
        if found is not None:
            return found
        with self._lock:
            if self._closed:
                raise InputError("the server is stopping: try again when it is up.")
            if key not in self._opened:
                self._opened[key] = self._open(space)
                self._let_go()
            return self._opened[key]

    def _open(self, space: str) -> Room:
        settings = self.settings
        room = Room(settings.path, space=space, retriever=settings.retriever, writer=settings.writer,
                    policy=settings.policy, budget=settings.budget, embedder=self._embedder, lm="none")  # fmt: skip
        if isinstance(room.embedder, MiniLM) and self._embedder is None:
            # One for all, and one thread for each call: several calls at once fill the cores by themselves.
            self._embedder = MiniLM(threads=1)
            room.use_embedder(self._embedder)
        elif self._embedder is None or isinstance(self._embedder, str):
            self._embedder = room.embedder
        open_to(room.store)
        room.prepare(self)
        return room

    def _let_go(self) -> None:
        """Forget the room that was opened first when there are too many; who uses it has it until they are done."""
        most = _MOST_CONNECTED if self._gate.store.searches else _MOST
        while len(self._opened) > most:
            oldest = next(key for key in self._opened if key[0] != _FIRST)
            del self._opened[oldest]


def _is_name(space: str) -> bool:
    fits = 0 < len(space) <= _LONGEST and encodable(space) and space.isprintable() and bool(space.strip())
    return fits and space not in (".", "..")  # which clients take out of a path
