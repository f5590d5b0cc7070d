"""Reading and embedding files on many processes and machines with Ray; one writer, and the memory is the same.

for report in ingest_on_ray(memory, ["corpus/"]):
    print(report.path, report.state, report.added)

Workers read, cut and embed, and never see the memory. This process takes what they made in the order of the files and
writes it as mnemic.ingest does, in the same batches: so records, log, ledger and reports are those of one process. It
looks ahead by a few batches and no further, so that memory stays bounded.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemic import choose
from mnemic.errors import InputError, MnemicError, ModelError
from mnemic.files.bad import Bad, Item
from mnemic.ingest import FileReport, Pieces, Reading, ingest, is_full, pieces
from mnemic.lm.minilm import MiniLM
from mnemic.ray_cluster import cluster, library
from mnemic.record import Chunk
from mnemic.seams import Embedder, Vectors

if TYPE_CHECKING:
    from mnemic.memory import Memory

RETRIES = 3  # of a task whose worker died
_GROUP = 256  # items that a reader hands over at a time
_GROUP_CHARACTERS = 100_000
_GROUPS = 4  # that a reader may be ahead of what was taken from it
_LOOKED = 10_000  # files that may be looked at before their turn: those that are skipped cost nothing
_MADE_HERE = ("mnemic.lm.minilm", "mnemic.lm.embedders")  # embedders that a worker makes itself, by their name

Windows = tuple[list[tuple[int, int]], Vectors]  # of one text


def ingest_on_ray(memory: Memory, paths: Iterable[str | Path] | str | Path, *, address: str | None = None,
                  batch: int = 512, untrusted: bool = False) -> Iterator[FileReport]:  # fmt: skip
    """Memory.ingest, read and embedded by the workers of Ray; see mnemic.ingest for what is yielded.

    paths     all machines must see them under the same names
    address   "host:port" of a cluster or "auto" for the one on this machine, with the same mnemic installed; None
              starts one here that listens on loopback only, and stops it at the end. A Ray that the program has
              started already is used as it is

    Raises what `ingest` raises, MissingExtra without Ray, InputError when nothing answers at the address, ModelError
    when workers die again and again: what was reported is in the memory, and the same call goes on from there.
    """
    library()
    reader = _Ahead(memory, batch)
    return _run(reader, ingest(memory, paths, batch=batch, untrusted=untrusted, reader=reader), address)


def _run(reader: _Ahead, reports: Iterator[FileReport], address: str | None) -> Iterator[FileReport]:
    memory, own = reader.memory, reader.memory.embedder
    with cluster(address):
        reader.start()
        memory.use_embedder(reader.embedder)
        try:
            yield from reports
        finally:
            memory.use_embedder(own)
            reader.stop()


# ---- on the workers


def parsed(path: str, source: str, start: int) -> Iterator[list[tuple[Item, int]]]:
    """On a worker: what is in a file, some items at a time (see ingest.pieces)."""
    group: list[tuple[Item, int]] = []
    characters = 0
    for item, at in pieces(Path(path), source, start):
        group.append((item, at))
        characters += len(item.text) if isinstance(item, Chunk) else 0
        if len(group) >= _GROUP or characters >= _GROUP_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def embedded(embedder: Embedder | str, texts: Sequence[str]) -> list[Windows]:
    """On a worker: the windows of each text and their vectors; all windows are embedded together, as in one process."""
    model = _named(embedder) if isinstance(embedder, str) else embedder
    spans = [model.windows(text) for text in texts]
    vectors = model.embed([text[start:end] for text, cut in zip(texts, spans, strict=True) for start, end in cut])
    ends = np.cumsum([len(cut) for cut in spans])[:-1]
    return list(zip(spans, np.split(vectors, ends), strict=True))


@lru_cache(maxsize=2)
def _named(name: str) -> Embedder:
    """Loaded once in a worker. Ray starts one for each core: a model that took all cores would stand in its own way."""
    return MiniLM(threads=1) if name == MiniLM.name else choose.embedder(name)


# ---- looking ahead


@dataclass
class _File:
    """A file on its way.

    stream   of groups of items, from its reader; None when there is nothing to be read (any more)
    items    read and not yet taken: (item, bytes up to it, whether it fills a batch)
    """

    each: Reading | Bad
    stream: Any = None
    items: deque[tuple[Item, int, bool]] = field(default_factory=deque)


@dataclass
class _Batch:
    """What is written at once. ref: of the vectors of `texts`, None without any; found: these, once they are here."""

    texts: Sequence[str] = ()
    ref: Any = None
    found: dict[str, Windows] = field(default_factory=dict)


class _Ahead:
    """The reader that mnemic.ingest is given: parses files before their turn and has batches embedded meanwhile."""

    def __init__(self, memory: Memory, batch: int) -> None:
        self.memory, self.batch = memory, batch
        self.embedder = _Known(memory.embedder, self)
        self.found: Iterator[Reading | Bad] = iter(())
        self.next: deque[_File] = deque()  # looked at, not yet told
        self.unread: deque[_File] = deque()  # of these and the one that is told now: not read to the end
        self.batches: deque[_Batch] = deque()  # not yet written
        self.gathered: list[tuple[Reading, Chunk]] = []  # of the batch that is not full
        self.characters = self.waiting = 0
        self.ended = False  # all files are looked at

    def start(self) -> None:
        """Once Ray runs."""
        self.ray = ray = library()
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        # A reader waits most of its time until it may go on: with a core of its own it would keep it from embedders.
        reading = ray.remote(num_cpus=0, max_retries=RETRIES, _generator_backpressure_num_objects=_GROUPS)
        self.parse = reading(parsed)
        self.embed = ray.remote(num_cpus=1, max_retries=RETRIES)(embedded)
        self.model = self._sent(self.memory.embedder)

    def stop(self) -> None:
        """Let nothing go on in a cluster that others use."""
        for file in self.unread:
            self.ray.cancel(file.stream)
        for batch in self.batches:
            if batch.ref is not None:
                self.ray.cancel(batch.ref)
        self.unread.clear()
        self.batches.clear()

    def _sent(self, embedder: Embedder) -> Any:
        if type(embedder).__module__ in _MADE_HERE:
            return embedder.name
        try:
            return self.ray.put(embedder)
        except TypeError as error:
            raise InputError(f"the embedder {embedder.name} cannot be sent to other processes ({error}): give one that "
                             "can be pickled, or one by name.") from None  # fmt: skip

    def files(self, found: Iterator[Reading | Bad]) -> Iterator[tuple[Reading | Bad, Pieces]]:
        self.found = found
        while True:
            self._look()
            if not self.next:
                return
            file = self.next.popleft()
            yield file.each, self._pieces(file)

    def _pieces(self, file: _File) -> Pieces:
        while True:
            while self._is_room() and self._read_on():
                pass
            while not file.items and file.stream is not None:
                self._read_on()
            if not file.items:
                return
            item, at, full = file.items.popleft()
            self.waiting -= 1
            yield item, at
            if full:  # whoever asks for the next item has written the batch
                self.batches.popleft()
                self.embedder.forget()

    def _is_room(self) -> bool:
        most = 2 * self.workers + 1
        return len(self.batches) < most and self.waiting < most * self.batch

    def _look(self) -> None:
        # One reader for each embedder: more processes are not faster, and each of them takes half a second to start.
        while len(self.unread) < self.workers and len(self.next) < _LOOKED:
            each = next(self.found, None)
            if each is None:
                self.ended = True
                return
            file = _File(each)
            if not isinstance(each, Bad) and not each.skip:
                file.stream = self.parse.remote(os.path.abspath(each.path), each.source, each.start)
                self.unread.append(file)
            self.next.append(file)

    def _read_on(self) -> bool:
        """Take the next group of items of the first file that is not read; False when there is none."""
        self._look()
        if not self.unread:
            if self.ended:
                self._close_batch()
            return False
        file = self.unread[0]
        assert not isinstance(file.each, Bad)
        for item, at in self._group(file, file.each.source):
            full = False
            if isinstance(item, Chunk):
                self.gathered.append((file.each, item))
                self.characters += len(item.text)
                full = is_full(len(self.gathered), self.characters, self.batch)
            file.items.append((item, at, full))
            self.waiting += 1
            if full:
                self._close_batch()
        return True

    def _group(self, file: _File, source: str) -> list[tuple[Item, int]]:
        from ray.exceptions import RayError, RayTaskError

        try:
            group: list[tuple[Item, int]] = self.ray.get(next(file.stream))
            return group
        except StopIteration:
            group = []
        except RayTaskError as error:
            raise _cause(error) from None
        except RayError as error:  # a broken file may kill what reads it: the others are still read
            told = f"killed the process that read it, {RETRIES + 1} times ({type(error).__name__}): look at the file."
            group = [(Bad(source, "", told, stopped=True), 0)]
        file.stream = None
        self.unread.popleft()
        return group

    def _close_batch(self) -> None:
        """Have the vectors of a batch made."""
        gathered, self.gathered, self.characters = self.gathered, [], 0
        if not gathered:
            return
        texts = self._new(gathered) if getattr(self.memory.writer, "keeps_chunks", False) else []
        self.batches.append(_Batch(texts, self.embed.remote(self.model, texts) if texts else None))

    def _new(self, gathered: Sequence[tuple[Reading, Chunk]]) -> list[str]:
        """The texts that are not at their places already: what is there is not embedded again."""
        stands: set[tuple[str, str, str]] = set()
        for source in {reading.source for reading, _ in gathered if reading.known is not None}:
            places = [chunk.place for reading, chunk in gathered if reading.source == source]
            for start in range(0, len(places), 500):
                part = places[start : start + 500]
                rows = self.memory.store.read(
                    "SELECT source, place, text FROM record WHERE source = ? AND space = ? "
                    f"AND place IN ({','.join('?' * len(part))})", (source, self.memory.space, *part)
                )  # fmt: skip
                stands.update(map(tuple, rows))
        return list(dict.fromkeys(chunk.text for reading, chunk in gathered
                                  if (reading.source, chunk.place, chunk.text) not in stands))  # fmt: skip

    def windows(self, text: str) -> Windows | None:
        """Of a text in one of the batches, waiting for the worker that makes it; None for any other text."""
        from ray.exceptions import RayError, RayTaskError

        batch = next((each for each in self.batches if text in each.texts), None)
        if batch is None:
            return None
        if not batch.found:
            try:
                batch.found = dict(zip(batch.texts, self.ray.get(batch.ref), strict=True))
            except RayTaskError as error:
                raise _cause(error) from None
            except RayError as error:
                raise ModelError(f"the processes that embed died, {RETRIES + 1} times ({type(error).__name__}): is "
                                 "there memory enough for a model in each? What was reported is remembered; the same "
                                 "call goes on from there.") from None  # fmt: skip
        return batch.found[text]


def _cause(error: Any) -> Exception:
    """What happened on a worker, as it would have here."""
    cause = error.cause
    if isinstance(cause, MnemicError):
        return cause
    told = f"{type(cause).__name__}: {cause}"
    return InputError(f"a worker of Ray cannot do this ({told}): it needs the same mnemic as this machine.")


class _Known:
    """The memory's embedder, which has most of the vectors already. Implements seams.Embedder."""

    def __init__(self, base: Embedder, ahead: _Ahead) -> None:
        self.base, self.ahead = base, ahead
        self.parts: dict[str, Any] = {}  # text of a window -> its vector, of the batch that is written now

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def dimensions(self) -> int:
        return self.base.dimensions

    @property
    def window(self) -> int:
        return self.base.window

    def count(self, text: str) -> int:
        return self.base.count(text)

    def windows(self, text: str) -> list[tuple[int, int]]:
        found = self.ahead.windows(text)
        if found is None:
            return self.base.windows(text)
        self.parts.update((text[start:end], vector) for (start, end), vector in zip(*found, strict=True))
        return found[0]

    def embed(self, texts: Sequence[str]) -> Vectors:
        missing = [text for text in dict.fromkeys(texts) if text not in self.parts]
        made = dict(zip(missing, self.base.embed(missing), strict=True)) if missing else {}
        rows = [self.parts[text] if text in self.parts else made[text] for text in texts]
        return np.stack(rows).astype(np.float32, copy=False) if rows else self.base.embed([])

    def forget(self) -> None:
        self.parts.clear()
