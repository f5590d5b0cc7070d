"""Which encoding a text is in: byte order marks, UTF-8, Western Windows, else a trained guess."""

from __future__ import annotations

import codecs
import re

from mnemic.files.bad import Unreadable

SAMPLE = 1 << 20
_GUESS = 1 << 18  # as much as the guess needs; more only makes it slower
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
          codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
# (UTF-32 stands first: its mark begins like that of UTF-16.)
_WESTERN = frozenset("äöüßÄÖÜéèêëàâçîïôùûÿœŒæÆÉÈÊËÀÂÇÎÏÔÙÛñÑáíóúÁÍÓÚ¿¡ãõÃÕåÅøØìòÌÒ€‚„…‘’“”•–—™©®°·«»£§±½¼¾×´µºª\xa0")
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w-]{2,40})""", re.I)
# What people's old files are in; without the list the guess finds Baltic and Cherokee in short notes.
_KNOWN = ["cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874",
          "cp932", "euc_jp", "gb18030", "big5", "cp949", "mac_roman"]  # fmt: skip


def encoding_of(sample: bytes, *, whole: bool, suffix: str = "") -> tuple[str, str]:
    """The encoding of a text that begins with `sample`, and how to treat bytes that do not fit it.

    whole     the sample is all there is: a character cut off at its end is an error then
    raises    Unreadable when it is no text
    """
    for mark, encoding in _MARKS.items():
        if sample.startswith(mark):
            return encoding, "replace"
    if 0 in sample:
        return _wide(sample), "replace"
    if len(_CONTROL.findall(sample)) * 20 > len(sample):
        raise Unreadable("is not text.")
    if mostly_utf8(sample, whole=whole):
        return "utf-8", _PATCHED
    declared = _CHARSET.search(sample[:4096]) if suffix in (".html", ".htm", ".xhtml") else None
    return (_declared(declared.group(1)) if declared else None) or _legacy(sample[:_GUESS]), "replace"


def looks_like_text(sample: bytes) -> bool:
    """A cheap answer for a file whose name does not tell."""
    if any(sample.startswith(mark) for mark in _MARKS):
        return True
    return 0 not in sample and len(_CONTROL.findall(sample)) * 20 <= len(sample)


def mostly_utf8(sample: bytes, *, whole: bool) -> bool:
    """True when at most a tenth of what is not ASCII is broken: one bad byte must not turn a file into Latin."""
    text, _ = codecs.utf_8_decode(sample, "replace", whole)
    broken = text.count("\ufffd") - sample.count(b"\xef\xbf\xbd")
    return broken <= 0 or broken * 10 <= sum(map(len, re.findall("[^\x00-\x7f]+", text)))


def _wide(sample: bytes) -> str:
    """UTF-16 without its mark has zeros at every other byte of Western text; anything else with zeros is no text."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd * 3 > len(sample) and even * 20 < odd:
        return "utf-16-le"
    if even * 3 > len(sample) and odd * 20 < even:
        return "utf-16-be"
    raise Unreadable("is not text (it holds zero bytes).")


def _declared(name: bytes) -> str | None:
    try:
        info = codecs.lookup(name.decode("ascii"))
    except LookupError:
        return None
    return info.name if info.name in _KNOWN or info.name.startswith("iso8859") else None


def _legacy(sample: bytes) -> str:
    if _western(sample):
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=_KNOWN).best()
    if best is None:
        raise Unreadable("is in an encoding that could not be recognised: save it as UTF-8.")
    return best.encoding


def _western(sample: bytes) -> bool:
    """Only letters that Western Europe writes, and those among plain ones (Russian read this way has few plain)."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    foreign = re.findall("[^\x00-\x7f]", text)
    letters = sum(character.isalpha() for character in foreign)
    plain = len(re.findall("[A-Za-z]", text))
    return set(foreign) <= _WESTERN and letters * 2 <= plain


_PATCHED = "mnemic.patched"


def _patched(error: UnicodeError) -> tuple[str, int]:
    """A stray byte in UTF-8 is nearly always Western Windows that was pasted in."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    stray = error.object[error.start : error.end]
    return stray.decode("cp1252", "replace"), error.end


codecs.register_error(_PATCHED, _patched)
