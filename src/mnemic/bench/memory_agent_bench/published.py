"""The published data sets by path: rows of ai-hyz/MemoryAgentBench as JSON lines, a JSON list, or the hub's own pages.

A row has context, questions, answers (a list for each question) and metadata with the set's name as "source", and by
set: qa_pair_ids, question_ids, question_types, question_dates, previous_events, keypoints. Parquet files are turned
into JSON lines by whoever has them (`pandas.read_parquet(f).to_json(g, orient="records", lines=True)`).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnemic.bench.memory_agent_bench.contexts import Context, Question, task_of
from mnemic.bench.memory_agent_bench.titles import movie_title
from mnemic.errors import DataMissing, InputError

# metadata of one question each: name in the file -> name in Question.extra
_BY_QUESTION: Mapping[str, str] = {
    "question_dates": "date",
    "previous_events": "previous_events",
    "question_ids": "question_id",
}


def published(*paths: str | Path, sets: Sequence[str] = (), movies: str | Path | None = None) -> list[Context]:
    """Contexts of the files, in order.

    sets     only sets whose name begins so: ("factconsolidation_sh", "eventqa")
    movies   entity2id.json of the recommender set: its answers are numbers of this file

    Raises DataMissing for a path that is not there, InputError for a row that cannot be read, with its place.
    """
    titles = _movies(Path(movies)) if movies is not None else {}
    contexts: list[Context] = []
    seen: Counter[str] = Counter()
    for path in paths:
        for n, row in enumerate(_rows(Path(path)), 1):
            try:
                source = str((row.get("metadata") or {}).get("source") or row.get("source") or "")
                if sets and not source.startswith(tuple(sets)):
                    continue
                contexts.append(_context(row, source, titles, seen[source]))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise InputError(f"{path}, row {n}: not a row of MemoryAgentBench ({error!r}).") from None
            seen[source] += 1
    return contexts


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise DataMissing(f"{path} is not there: export the data set ai-hyz/MemoryAgentBench (MIT) as JSON lines.")
    raw = path.read_bytes()
    try:
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"{path}: cannot be read as text ({error}): give JSON lines in UTF-8, or packed as .gz."
        ) from None
    try:
        whole = json.loads(text)
    except ValueError:
        yield from _lines(path, text)
        return
    rows = whole.get("rows", [whole]) if isinstance(whole, dict) else whole
    if not isinstance(rows, list):
        raise InputError(f"{path}: holds no rows: give an object a line, or a list of objects.")
    yield from (row.get("row", row) if isinstance(row, dict) else row for row in rows)  # the hub's pages wrap each row


def _lines(path: Path, text: str) -> Iterator[dict[str, Any]]:
    for n, line in enumerate(text.split("\n"), 1):  # splitlines would cut at the line separators inside of a text
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise InputError(f"{path}, line {n}: no JSON ({error}).") from None


def _context(row: Mapping[str, Any], source: str, titles: Mapping[int, str], number: int) -> Context:
    task, meta = task_of(source), row.get("metadata") or {}
    asked, answers = _listed(row["questions"]), _listed(row["answers"])
    if len(asked) == 1 and len(answers) > 1:
        answers = [answers]  # one question with several accepted answers
    if len(asked) != len(answers):
        raise ValueError(f"{len(asked)} questions and {len(answers)} answers")
    if task.name == "recsys" and not titles:
        raise InputError(f'the answers of "{source}" are numbers of entity2id.json: give movies=PATH.')
    questions = []
    for n, (text, accepted) in enumerate(zip(asked, answers, strict=True)):
        said = [str(one) for one in _listed(accepted)]
        if task.name == "recsys":
            said = [titles[int(one)] for answer in said for one in answer.split(",")]
        questions.append(Question(str(text), tuple(said), _id(meta, source, n), _kind(meta, n), _extra(meta, n)))
    return Context(source, str(row["context"]), tuple(questions), titles=tuple(titles.values()), number=number)


def _id(meta: Mapping[str, Any], source: str, n: int) -> str:
    """longmemeval's own ids tell what cannot be answered (_abs), so they come first."""
    for name in ("question_ids", "qa_pair_ids"):
        if len(given := meta.get(name) or ()) > n and given[n]:
            return str(given[n])
    return f"{source}-{n}"


def _kind(meta: Mapping[str, Any], n: int) -> str:
    kinds = meta.get("question_types") or ()
    return str(kinds[n]) if len(kinds) > n else ""


def _extra(meta: Mapping[str, Any], n: int) -> dict[str, Any]:
    extra = {
        ours: meta[theirs][n]
        for theirs, ours in _BY_QUESTION.items()
        if len(meta.get(theirs) or ()) > n and meta[theirs][n]
    }
    if meta.get("keypoints"):
        extra["keypoints"] = list(meta["keypoints"])
    return extra


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _movies(path: Path) -> dict[int, str]:
    """Number -> title, of a file that maps names (often addresses) to numbers."""
    if not path.is_file():
        raise DataMissing(f"{path} is not there: entity2id.json comes with the benchmark's recommender set.")
    return {int(number): movie_title(name) for name, number in json.loads(path.read_text("utf-8")).items()}
