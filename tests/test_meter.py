"""Budgets read what people write; what is used is measured, on disk and in a process of its own."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import BudgetError, InputError, MnemicError, NotFound
from mnemic.meter import Budget, Used, disk_bytes, peak_of, process_bytes, readable

LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what a process holds")


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("50 MB", 50_000_000, "bytes"),
        ("50MiB", 52_428_800, "bytes"),
        ("1.5 kB", 1500, "bytes"),
        ("1 byte", 1, "bytes"),
        ("10_000 records", 10_000, "records"),
        (" 2000 Tokens ", 2000, "tokens"),
    ],
)
def test_budget_reads(text: str, amount: int, unit: str) -> None:
    budget = Budget.of(text)
    assert (budget.amount, budget.unit) == (amount, unit)
    assert Budget.of(budget) is budget


@pytest.mark.parametrize("text", ["", "50", "MB", "50 apples", "-5 MB", "1e3 bytes", "5 MB extra"])
def test_budget_says_how_to_write_it(text: str) -> None:
    with pytest.raises(BudgetError, match='write it like "50 MB"'):
        Budget.of(text)


@pytest.mark.parametrize("text", ["0 MB", "0.4 bytes", "0 records"])
def test_budget_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(BudgetError, match="holds nothing: give at least 1"):
        Budget.of(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (999_960, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
    ],
)
def test_readable_bytes(amount: int, text: str) -> None:
    assert readable(amount, "bytes") == text == str(Used(amount, "bytes"))


def test_readable_counts() -> None:
    assert readable(1234, "tokens") == "1,234 tokens"


@given(st.integers(1, 10**15))
def test_readable_is_right_to_five_percent(amount: int) -> None:
    assert Budget.of(readable(amount, "bytes")).amount == pytest.approx(amount, rel=0.051)


def test_disk_counts_what_stands_beside(tmp_path: Path) -> None:
    sizes = {"life.db": 100, "life.db-wal": 20, "life.db.vectors": 3, "life.dbx": 1000, "other.db": 1000}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "life.db.graph").mkdir()
    (tmp_path / "life.db.graph" / "edges").write_bytes(b"x" * 7)
    assert disk_bytes(tmp_path / "life.db") == Used(
        130, "bytes", {"life.db": 100, "life.db-wal": 20, "life.db.graph/edges": 7, "life.db.vectors": 3}
    )


def test_disk_counts_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"xyz")
    assert disk_bytes(tmp_path) == Used(3, "bytes", {"a/b": 3})


def test_disk_says_when_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file or folder"):
        disk_bytes(tmp_path / "x.db")


@LINUX
def test_process_holds_less_than_its_peak() -> None:
    used = process_bytes()
    assert 0 < used.parts["own"] < used.parts["resident"] <= used.amount


def grab(megabytes: int) -> int:
    """Fill some memory and let it go: only a peak shows it."""
    return len(bytes(b"x" * (megabytes * 1_000_000))) // 1_000_000


def read_mapped(path: str) -> int:
    """Touch every page of a mapped file: resident pages that a file stands behind, so not `own`."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        return sum(pages[at] for at in range(0, len(pages), 4096))


def echo(*args: object, **options: object) -> object:
    return [*args, options]


def fail() -> None:
    raise ValueError("what went wrong")


HERE = f"{__file__}:"  # a file's functions can be named like a module's


def test_peak_of_returns_the_result() -> None:
    assert peak_of(HERE + "echo", 1, "a", key=[None]).result == [1, "a", {"key": [None]}]


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def test_peak_of_says_what_killed_the_process() -> None:
    with pytest.raises(MnemicError, match="was killed by SIGKILL"):
        peak_of(HERE + "die", 9)


def test_peak_of_takes_a_function() -> None:
    assert peak_of(readable, 1500, unit="bytes").result == "1.5 kB"


def test_peak_of_sees_what_was_let_go() -> None:
    measured = peak_of(HERE + "grab", 100)
    assert measured.result == 100
    assert measured.used.amount - measured.used.parts["start"] == pytest.approx(100_000_000, rel=0.05)


@LINUX
def test_peak_of_tells_own_pages_from_those_of_files(tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    file.write_bytes(bytes(50_000_000))
    used = peak_of(HERE + "read_mapped", str(file)).used
    assert used.amount - used.parts["start"] >= 45_000_000  # start itself is a peak, some of it free again
    assert used.parts["own"] <= 30_000_000


def test_peak_of_does_not_see_this_process() -> None:
    ballast = bytearray(300_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert peak_of(HERE + "echo").used.amount < 200_000_000


def test_peak_of_passes_errors_on() -> None:
    with pytest.raises(MnemicError, match="ValueError: what went wrong"):
        peak_of(HERE + "fail")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [("json.loads", "write it like"), (lambda: 1, "give a function of a module, no lambda")],
)
def test_peak_of_says_what_it_can_call(call: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        peak_of(call)  # type: ignore[arg-type]


def test_peak_of_says_what_it_can_pass_on() -> None:
    with pytest.raises(InputError, match="what JSON can hold"):
        peak_of(HERE + "echo", {1, 2})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak")
def test_process_bytes_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.meter.process._STATUS", Path("/nowhere"))
    assert process_bytes().amount > 1_000_000
