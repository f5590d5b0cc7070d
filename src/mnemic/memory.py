"""An agent's long-term memory on one SQLite file.

with Memory("life.db") as memory:
    memory.add("Ana moved to Lisbon in May.", time="2026-05-03")
    hits = memory.recall("Where does Ana live?", k=5)

Every change is an operation in an append-only log, written in one transaction: it can be read (`log`), taken
back (`undo`), and any earlier moment can be read again (`as_of`). `erase` is the exception that people need.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from mnemic import choose
from mnemic.budgeting import spent
from mnemic.choose import RetrieverChoice
from mnemic.commit import Committer, windows_of
from mnemic.copying.mark import refuse_unfinished
from mnemic.db.access import accesses, note_access
from mnemic.db.connection import Connection
from mnemic.db.erasing import Erasure, erase
from mnemic.db.logged import logged
from mnemic.db.opening import open_store
from mnemic.db.undoing import reversal
from mnemic.errors import InputError
from mnemic.filter import Filter, span
from mnemic.limits import asked, checked_count, is_id
from mnemic.meter import Budget, Unit, Used
from mnemic.moment import Time, moment, now, shown
from mnemic.observing import remember
from mnemic.policies import open_policy
from mnemic.recall.database_corpus import DatabaseCorpus
from mnemic.recall.store_corpus import StoreCorpus
from mnemic.record import Answer, Chunk, Edge, Hit, Operation, Outcome, Record
from mnemic.reembed import embedder_for
from mnemic.revision import Deriver, find, lineage, succession
from mnemic.seams import Embedder, Enricher, LanguageModel, Policy, Retriever, Writer

if TYPE_CHECKING:
    from mnemic.db.checking import Report
    from mnemic.ingest import FileReport
    from mnemic.snapshot import Snapshot

Where = Filter | Mapping[str, Any] | None


class Memory:
    """A memory file, opened for one space. Safe from several threads and several processes.

    path       the file; made when it does not exist. ":memory:" keeps it in RAM
    space      whose memory: spaces of one file do not see each other
    retriever  how to find: "hybrid", "dense", "lexical", "hipporag2", a class or function that makes one of the memory,
               or an object (seams.Retriever)
    writer     how to remember: "verbatim", "facts", or an object (seams.Writer)
    policy     what leaves when the budget is full: "forgetting_curve", "recency", or an object (seams.Policy)
    budget     "50 MB" of file or "10000 records"; None keeps everything
    embedder   None for the one that made the file's vectors (the one that ships inside, for a new file)
    lm         language model for `ask`: None looks at MNEMIC_LLM_*; "local", "openai:NAME", or an object
    derivers   name -> how a record that names it follows from its sources (mnemic.revision); "rules" is there

    Raises NotAMemory for a file of something else or of a newer version, EmbedderMismatch when the file's
    vectors were made by another embedder, InputError for a name that nothing has.
    """

    def __init__(self, path: str | Path, *, space: str = "default", retriever: RetrieverChoice = "hybrid",
                 writer: str | Writer = "verbatim", policy: str | Policy = "forgetting_curve",
                 budget: Budget | str | None = None, embedder: str | Embedder | None = None,
                 lm: str | LanguageModel | None = None,
                 derivers: Mapping[str, Deriver] | None = None) -> None:  # fmt: skip
        if not space:
            raise InputError('a space needs a name: leave it out for "default".')
        self.path, self.space = str(path), space
        self.policy = open_policy(policy)
        self._writer_spec, self.retriever_spec, self.lm_spec = writer, retriever, lm
        self._derivers = dict(derivers or {})
        choose.known_retriever(retriever)  # a wrong name is refused before a file is made
        self.store = open_store(path, space)
        try:
            refuse_unfinished(self.store)
            self.budget = budget
            self.embedder = embedder_for(self.store, embedder)
        except BaseException:
            self.store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Everything acknowledged is already on disk."""
        self.store.close()

    # ---- the seams

    @cached_property
    def writer(self) -> Writer:
        return choose.writer(self._writer_spec, self)

    @cached_property
    def retriever(self) -> Retriever:
        return choose.retriever(self.retriever_spec, self)

    @cached_property
    def lm(self) -> LanguageModel | None:
        return choose.language_model(self.lm_spec)

    @cached_property
    def _corpus(self) -> StoreCorpus:
        kind = DatabaseCorpus if self.store.searches else StoreCorpus
        return kind(self.store, self.space, self.embedder)

    @property
    def corpus(self) -> StoreCorpus:
        """The searchable columns of the space, as of now."""
        return self._corpus.frozen()

    @property
    def position(self) -> int:
        """n of the newest operation of the file."""
        return self.store.position()

    @property
    def budget(self) -> Budget | None:
        """What the space may take; another one may be set at any time and holds from the next change on."""
        return self._budget

    @budget.setter
    def budget(self, budget: Budget | str | None) -> None:
        self._budget = Budget.of(budget) if budget is not None else None
        if self._budget is not None:
            spent(self.store, self.space, self._budget)  # refuses a unit that no file is measured in
        self.__dict__.pop("_committer", None)

    @cached_property
    def _committer(self) -> Committer:
        enricher = self.retriever if isinstance(self.retriever, Enricher) else None
        return Committer(self.store, self.space, self.embedder, budget=self.budget, policy=self.policy, view=self,
                         enricher=enricher, deriver=self.deriver)  # fmt: skip

    def deriver(self, name: Any) -> Deriver | None:
        """How a record that names this deriver follows from its sources; None when nothing here has the name."""
        return self._derivers.get(name) or choose.deriver(name)

    # ---- remember

    def add(self, text: str, *, time: Time | None = None, source: str | None = None, speaker: str | None = None,
            kind: str = "episode", metadata: Mapping[str, Any] | None = None, until: Time | None = None,
            place: str | None = None, episode: str | None = None, derived_from: Sequence[str] = (),
            pinned: bool = False, importance: float = 1.0) -> Record:  # fmt: skip
        """Remember a text; when this returns, it is on disk. The same text from the same source is kept once.

        Fields as in Record; `place` names where in the source it stands: a changed text at the same place
        updates the record. Raises InputError when it cannot be kept, with the reason.
        """
        chunk = Chunk(text, time, until, source, place, episode, speaker, kind, {} if metadata is None else metadata,
                      cast("tuple[str, ...]", derived_from), pinned, importance)  # fmt: skip
        outcome = self.add_many([chunk])[0]
        if outcome.record is None:
            raise InputError(outcome.reason)
        return outcome.record

    def add_many(self, items: Iterable[Chunk | str | Mapping[str, Any]], *, why: str = "add") -> list[Outcome]:
        """Remember many texts in one transaction; one outcome per item, in order.

        An item is a Chunk, a text, or a mapping of Chunk's fields. An item that cannot be kept is "refused" with
        the reason and the others are kept; an error of the file or of a model leaves nothing written.
        """
        if isinstance(items, str | Mapping | Chunk) or not isinstance(items, Iterable):
            raise InputError(f"add_many takes a list of items, got {shown(items)}: `add` takes one text.")
        return remember(list(items), self.writer, self, self._committer, why=why)

    def propose(
        self, operations: Sequence[Operation], *, who: str, why: str, read_at: int | None = None
    ) -> list[Outcome]:
        """Commit operations that a program worked out, in one transaction; one outcome per operation.

        read_at   the `position` they were worked out at: raises Conflict when the memory has changed since
        """
        return self._committer.commit(operations, who=who, why=why, read_at=read_at)

    def ingest(self, paths: Iterable[str | Path], *, batch: int = 512, untrusted: bool = False) -> Iterator[FileReport]:
        """Remember files and folders; yields a report per batch and per file (see mnemic.ingest).

        untrusted   somebody else wrote them: what they say is marked, and can neither call a tool nor change the rest
        """
        from mnemic.ingest import ingest

        return ingest(self, paths, batch=batch, untrusted=untrusted)

    # ---- find

    def recall(self, query: str, *, k: int = 10, where: Where = None, time: Any = None) -> list[Hit]:
        """The k records that fit a query best, each with the passage that matched and what its score is made of.

        where   a Filter or a mapping, see Filter.of
        time    only what was true then: "2023-05", or ("2023-05", "2023-07-10") with both ends included

        What is true now stands before what it replaced; `lineage` tells what that was.
        """
        checked_count("k", k)
        chosen = Filter.of(where, time=time)
        hits = find(self.retriever, self.store, self.space, asked(query), k, chosen)
        if self.budget is not None and hits:
            note_access(self.store, [hit.record.id for hit in hits])
        return hits

    def ask(self, question: str, *, k: int = 20, where: Where = None, budget: Budget | str = "2000 tokens") -> Answer:
        """Answer from the memory with citations, through a language model if one is configured.

        budget   tokens of the prompt. Raises ModelError when the model is down, slow or answers nonsense.
        """
        from mnemic.ask import answer

        checked_count("k", k)
        return answer(asked(question), self, self.lm, k=k, where=where, budget=Budget.of(budget))

    def get(self, id: str) -> Record:
        """The record of an id; raises NotFound."""
        return self.store.named(id, self.space)[1]

    def records(self, where: Where = None) -> Iterator[Record]:
        """All records that pass, in the order they were written."""
        return (record for _, record in self.store.records(Filter.of(where), self.space))

    def edges(self, source: str | None = None) -> Iterator[Edge]:
        """Links of the space, or only those that were read in one record."""
        return self.store.edges(self.space, source)

    # ---- change

    def update(self, id: str, *, why: str = "update", **fields: Any) -> Record:
        """Change fields of a record (`until` ends it); what was derived from it is revised, see mnemic.revision."""
        operation = Operation("update", id, after=fields)
        outcome = self._committer.commit([operation], who="person", why=why)[0]
        assert outcome.record is not None
        return outcome.record

    def supersede(self, id: str, text: str, *, time: Time | None = None, why: str = "supersede",
                  **fields: Any) -> Record:  # fmt: skip
        """Put a new record in the place of one that no longer holds: it ends, the new one begins and links to it.

        time     when that was; now when not given
        fields   further fields of the new record; kind, source, speaker and metadata are those of the old one

        What was derived from the old record is revised in the same transaction. Returns the new record.
        """
        when = moment(time).text if time is not None else now().text
        operations = succession(self.get(id), text, when, fields)
        outcome = self._committer.commit(operations, who="person", why=why)[1]
        if outcome.record is None or outcome.record.id != operations[1].target:
            raise InputError(outcome.reason or f"the memory says this already: see record {outcome.record}.")
        return outcome.record

    def lineage(self, id: str) -> list[Record]:
        """A record and those that it took the place of, newest first."""
        return list(lineage(self.store, self.space, self.get(id)))

    def forget(self, id: str | None = None, *, where: Where = None, why: str = "forget") -> list[str]:
        """Let records go, by id or by filter; the log keeps them, `undo` brings them back. Returns their ids."""
        if (id is None) == (where is None):
            raise InputError("say what to forget: either an id or a filter (where=...).")
        if id is not None:
            ids = [self.store.named(id, self.space)[1].id]
        else:
            chosen = Filter.of(where)
            if chosen.open:
                raise InputError("an empty filter would forget everything: name a kind, a source, a time, ...")
            ids = [record.id for record in self.records(chosen)]
        self._committer.commit([Operation("delete", id) for id in ids], who="person", why=why)
        return ids

    def erase(self, id: str, *, why: str = "erase") -> Erasure:
        """Take a record's text out of everything: rows, log, indexes, file pages. A tombstone keeps who, when, why.

        What was derived from it goes stale: it may repeat the text, so look at `.derived` and erase those too.
        Cannot be undone. Rewrites the whole file.
        """
        return erase(self.store, self.space, id, why=why)

    def link(self, head: str, relation: str, tail: str, *, weight: float = 1.0, why: str = "link") -> Edge:
        """Link two records."""
        for id in (head, tail):
            self.store.named(id, self.space)
        state = {"edge": [head, relation, tail, weight]}
        self._committer.commit([Operation("link", head, after=state)], who="person", why=why)
        return Edge(head, relation, tail, weight)

    def undo(self, operation: int | Operation) -> list[Operation]:
        """Take back one operation of the log, and what it brought about in derived records; returns what was done.

        Raises InputError when a later operation changed the same record: undo that one first.
        """
        n = operation.n if isinstance(operation, Operation) else operation
        checked_count("operation", n)
        before = self.position
        reverse = reversal(self.store, self.space, n)
        outcomes = self._committer.commit([op for op, _ in reverse], who="person", why=f"undo of operation {n}",
                                          undoes={i: undone for i, (_, undone) in enumerate(reverse)})  # fmt: skip
        if outcomes[0].state == "refused":
            raise InputError(f"operation {n} was taken back, and its record let go again at once: the budget "
                             f"({self.budget}) is full. Open the memory with a larger one.")  # fmt: skip
        return list(self.store.operations(self.space, after=before))

    # ---- look back

    def log(self, *, record: str | None = None, last: int | None = None, after: int = 0, where: Where = None,
            during: Any = None) -> Iterator[Operation]:  # fmt: skip
        """The operations of the space, oldest first: all, of one record, after a position, or the newest `last`.

        where    only what was done to records that pass, as the operation left them (as it found them, when it took
                 them out); links and what was erased pass no filter. See Filter.of
        during   only what was done then: "2026-05", or ("2026-05", "2026-07-10") with both ends included
        """
        if record is not None and not is_id(record):
            raise InputError(f"record is the id of a record, got {shown(record)}.")
        chosen, done = Filter.of(where), span(during) if during is not None else None
        return logged(self.store, self.space, target=record, after=after, last=last, where=chosen, during=done)

    def as_of(self, time: Time | int) -> Snapshot:
        """The memory as it stood when a time had passed (a day: at its end), or after operation n. Read-only."""
        from mnemic.snapshot import Snapshot

        return Snapshot(self, time)

    # ---- look after

    def check(self, *, repair: bool = False) -> Report:
        """Check the file: pages, log against rows, indexes against rows; repair rebuilds what can be worked out."""
        from mnemic.db.checking import check

        report = check(self.store, self.embedder, repair=repair)
        self.use_embedder(self.embedder)  # what was loaded from the file may no longer be what is in it
        return report

    def stats(self) -> dict[str, Any]:
        """Counts and sizes: records by kind, stale ones, operations, links, bytes on disk."""
        from mnemic.db.statistics import statistics

        return statistics(self.store, self.space)

    def used(self, unit: Unit | None = None) -> Used:
        """What the memory takes, in the unit of its budget (bytes without one).

        bytes     of the file, all spaces; parts: records (a count), file and wal on disk
        """
        unit = unit or (self.budget.unit if self.budget else "bytes")
        count = spent(self.store, self.space, Budget(1, "records"))
        amount = count if unit == "records" else spent(self.store, self.space, Budget(1, unit))
        return Used(amount, unit, {"records": count, **self.store.sizes()})

    def access(self) -> dict[str, tuple[int, float]]:
        """How often recall found a record and when last; kept only while a budget is set."""
        return accesses(self.store, self.space)

    def windows(self, texts: Sequence[str]) -> dict[str, bytes]:
        """Packed vectors of each distinct text (see recall/packed.py)."""
        return windows_of(self.embedder, texts)

    def embedder_number(self, db: Connection) -> int:
        """Within a transaction: the number of the file's embedder; a new file takes ours."""
        return self._committer.embedder_number(db)

    def use_embedder(self, embedder: Embedder) -> None:
        """Search with another embedder from now on; the file's vectors must be its own (see reembed)."""
        self.embedder = embedder
        for part in ("_corpus", "retriever", "_committer"):
            self.__dict__.pop(part, None)

    # ---- carry

    def export(self, path: str | Path) -> int:
        """Write the space as JSON lines (records, log, links, ledger); returns the number of records. Lossless."""
        from mnemic.db.transfer import export

        return export(self.store, self.space, path)

    def load(self, path: str | Path) -> list[Outcome]:
        """Read what `export` wrote: into an empty memory with its log, into another as new records."""
        from mnemic.db.transfer import load

        return load(self, path)

    def index(self) -> Iterator[tuple[int, int]]:
        """Prepare what the retriever searches in, so that the first question need not wait; yields (done, total).

        A retriever that reads records when they are written (hipporag2: triples) reads those that were written
        without it, batch by batch. The others have nothing to prepare.
        """
        prepare = getattr(self.retriever, "index", None)
        if prepare is not None:
            yield from prepare()

    def reembed(self, embedder: str | Embedder, *, batch: int = 256) -> Iterator[tuple[int, int]]:
        """Make all vectors of the file again with another embedder; yields (done, total).

        Can be stopped at any moment: the old vectors serve until the new ones are complete, and the next call
        goes on where this one stopped. (A file whose embedder is gone cannot be opened: reembed.reembed_file.)
        """
        from mnemic.reembed import reembed

        return reembed(self, choose.embedder(embedder), batch=batch)
