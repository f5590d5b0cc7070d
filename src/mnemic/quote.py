"""Memories on their way into a prompt: quoted data, never instructions.

Every line of a memory begins with "> " (its first with "[n] > "), whatever the memory holds. There is no
closing mark that a memory could forge, and a memory cannot begin a line. What a chat template, a citation
or a web page would take for its own (control tokens, numbers in brackets, links) is broken by a space or
turned into parentheses. The record itself is never changed: only its copy in the prompt.
"""

from __future__ import annotations

import re
import unicodedata

from mnemic.record import Hit, Record

# A line that came from a memory; all others of a prompt are ours or the asker's.
DATA_LINE = re.compile(r"(?:\[[0-9]+\] )?> .*")

_WHOLE = 600  # characters up to which a record is quoted whole; of a longer one, the passage that matched
_FIELD = 60  # characters of a source, place, speaker or reason

_TAG = re.compile(r"<(?=\S)")  # <|im_start|>, <s>, </think>, <start_of_turn>: no token has a space after <
_BRACKETED = re.compile(r"\[(/?[A-Za-z_]*[A-Z]{2}[A-Za-z_]*)\]")  # [INST], [/INST], [TOOL_CALLS], [gMASK]
_NUMBERED = re.compile(r"[\[［【〔⟦]\s*((?:memory\s*)?\d[\d\s,;–-]*)[\]］】〕⟧]", re.IGNORECASE)
_LINK = re.compile(r"\](?=[(\[:])")  # [text](url), [text][reference], [reference]: url
_IMAGE = re.compile(r"!(?=\[)")
_INNER = str.maketrans("()", "{}")  # a file name cannot end the parenthesis that it stands in
_KEPT = frozenset("\t\n\u200c\u200d")  # the joiners spell Persian, Hindi and emoji


def quoted(number: int, hit: Hit, text: str) -> str:
    """A hit as lines of a prompt: number, then when, where from and who, then the text.

    [2] > (2026-05-03, notes/a.md) Ana: I moved to Lisbon.
    > It is warm.
    """
    where = neutral(provenance(hit.record)).translate(_INNER)
    who = f"{neutral(_field(hit.record.speaker))}: " if hit.record.speaker else ""
    lines = neutral(text).splitlines() or [""]
    first = f"[{number}] > ({where}) {who}{lines[0]}"
    return "\n".join([first, *(f"> {line}" for line in lines[1:])])


def excerpt(hit: Hit) -> str:
    """What is quoted of a hit: the whole record, or the best passage of a long one."""
    text = hit.record.text
    if len(text) <= _WHOLE or not hit.passage.strip():
        return text
    return hit.passage if hit.passage == text else f"... {hit.passage.strip()} ..."


def provenance(record: Record) -> str:
    """When a record was true and where it came from, on one line; says so when it ended or is stale."""
    parts = [_field(record.time) if record.time else "no date"]
    if record.until:
        parts.append(f"ended {_field(record.until)}")
    if record.stale:
        parts.append(f"out of date: {_field(record.stale)}")
    if record.source:
        parts.append(_field(record.source))
    if record.place:
        parts.append(_field(record.place))
    if record.metadata.get("trust", "person") != "person":  # see mnemic.gate.trust
        parts.append("untrusted")
    return ", ".join(parts)


def neutral(text: str) -> str:
    """A text that no chat template, citation reader or page takes for its own; line breaks become plain ones."""
    text = visible(text)
    text = _TAG.sub("< ", text)
    text = _BRACKETED.sub(r"(\1)", text)
    text = _NUMBERED.sub(r"(\1)", text)
    return _IMAGE.sub("! ", _LINK.sub("] ", text))


def visible(text: str) -> str:
    """A text without control characters, invisible ones and lone surrogates; every kind of line break is \\n.

    Empty lines at the end are left out: whether one was there would otherwise depend on what was taken away.
    """
    return "".join(c for c in "\n".join(text.splitlines()) if c in _KEPT or not _hidden(c)).rstrip("\n")


def _hidden(char: str) -> bool:
    # Tags (U+E0000...) and supplementary variation selectors carry whole messages that nobody sees.
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") or 0xE0000 <= ord(char) <= 0xE01EF


def _field(value: str | None) -> str:
    line = " ".join(visible(value or "").split())
    return line if len(line) <= _FIELD else line[: _FIELD - 3] + "..."
