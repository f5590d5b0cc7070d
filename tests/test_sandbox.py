"""Code that a model wrote runs apart: no environment, no network, no other files, no more time than it was given."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnemic.errors import InputError
from mnemic.sandbox import SandboxRunner

RUNNER = SandboxRunner(timeout=5)
POSIX = pytest.mark.skipif(os.name != "posix", reason="limits and process groups are POSIX")


def test_what_was_printed_comes_back() -> None:
    ran = RUNNER.run("print(6 * 7)\nprint('ü')")
    assert (ran.state, ran.output) == ("done", "42\nü")


def test_silence_is_said() -> None:
    assert RUNNER.run("x = 5").output == "(no output)"
    assert RUNNER.run("import sys; sys.exit(3)").output == "(no output; it ended with status 3)"


def test_an_error_is_shown_with_its_line_and_nothing_of_ours() -> None:
    ran = RUNNER.run("x = 1\nx / 0")
    assert ran.state == "failed"
    assert ran.output.splitlines()[1:3] == ['  File "code.py", line 2, in <module>', "    x / 0"]
    assert ran.output.endswith("ZeroDivisionError: division by zero")


def test_code_that_cannot_be_read_says_where() -> None:
    assert 'File "code.py", line 1' in RUNNER.run("def f(:").output


def test_printed_text_counts_before_an_error() -> None:
    assert RUNNER.run("print('so far')\n1 / 0").output == "so far"


def test_endless_code_is_stopped() -> None:
    ran = SandboxRunner(timeout=0.5).run("print('begun', flush=True)\nwhile True: pass")
    assert (ran.state, ran.output) == ("stopped", "begun\n(stopped after 0.5 s)")


@POSIX
def test_memory_is_limited() -> None:
    assert "MemoryError" in RUNNER.run("x = 'a' * 10**10").output


@POSIX
def test_endless_output_ends_and_is_cut() -> None:
    ran = RUNNER.run("while True: print('x' * 1000)")
    assert ran.state == "failed"
    assert len(ran.output) < 4100
    assert "characters cut" in ran.output


def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in RUNNER.run("import os; print(dict(os.environ))").output


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])",
        "import os; os.system('ls')",
        "import os; os.kill(os.getppid(), 9)",
        "import os; print(os.listdir(os.path.expanduser('~/..')))",
        "import shutil; shutil.rmtree('..')",
    ],
)
def test_the_outside_is_refused(code: str) -> None:
    ran = RUNNER.run(code)
    assert ran.state == "failed"
    assert "not allowed in here" in ran.output


def test_files_outside_are_not_read_or_written(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    for code in (
        f"print(open({str(secret)!r}).read())",
        f"open({str(secret)!r}, 'w')",
        f"import os; os.remove({str(secret)!r})",
        f"import os; os.utime({str(secret)!r}, (0, 0))",
        f"import os; os.rename({str(secret)!r}, 'mine')",
        f"open('a', 'w'); import os; os.rename('a', {str(secret)!r})",
        f"open('a', 'w'); import os; os.replace('a', {str(secret)!r})",
        f"import sqlite3; sqlite3.connect(':memory:').execute('ATTACH DATABASE ? AS a', ({str(secret) + '.db'!r},))",
        f"import os; os.open('secret.txt', os.O_RDONLY, dir_fd=os.open({str(tmp_path)!r}, os.O_RDONLY))",
        "import os, sys; os.open('new', os.O_CREAT | os.O_WRONLY, dir_fd=os.open(sys.prefix, os.O_RDONLY))",
    ):
        assert "not allowed in here" in RUNNER.run(code).output, code
    assert secret.read_text() == "hidden"
    assert secret.stat().st_mtime > 0
    assert list(tmp_path.iterdir()) == [secret]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such files")
def test_what_no_hook_tells_of_is_gone(tmp_path: Path) -> None:
    assert RUNNER.run(f"import os; os.mkfifo({str(tmp_path / 'pipe')!r})").state == "failed"
    assert list(tmp_path.iterdir()) == []


def test_its_own_empty_folder_may_be_used_and_is_gone_afterwards() -> None:
    ran = RUNNER.run("import os\nopen('a.txt', 'w').write('hi')\nprint(open('a.txt').read(), os.getcwd())")
    text, folder = ran.output.split()
    assert text == "hi"
    assert not Path(folder).exists()


def test_sets_have_the_same_order_in_every_run() -> None:
    code = "print(list({'a', 'b', 'c', 'd', 'e', 'f'}))"
    assert RUNNER.run(code).output == RUNNER.run(code).output


@POSIX
def test_nothing_of_its_process_group_is_left() -> None:
    # Native code gets around the hook, as the docstring says; the group is killed all the same.
    code = (
        "import ctypes, os\nchild = ctypes.CDLL(None).fork()\n"
        "if child == 0:\n    import time; time.sleep(60)\nprint(child if child > 0 else os.getpid(), flush=True)"
    )
    ran = RUNNER.run(code)
    pid = ran.output.split()[0]
    if pid == "-1":
        return  # this user may start no process at all: the limit held
    for _ in range(50):
        if not running(int(pid)):
            return
        time.sleep(0.05)
    pytest.fail("the child outlived the run")


def running(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(found.strip()) and not found.strip().startswith("Z")


@pytest.mark.parametrize("options", [{"timeout": 0}, {"memory": 0}, {"longest": 5}])
def test_a_runner_that_runs_nothing_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="runs nothing"):
        SandboxRunner(**options)  # type: ignore[arg-type]


def test_the_interpreter_is_the_one_that_runs_mnemic() -> None:
    assert RUNNER.run("import sys; print(sys.version_info[:3])").output == str(sys.version_info[:3])
