"""Runs Python that a model wrote, in a process of its own with little to hold on to. Nothing runs unless you pass one.

SandboxRunner(timeout=3).run("print(6 * 7)")     -> Ran(output="42", state="done")

What a run is kept from: your environment variables (it has none of them), more than `timeout` seconds, more than
`memory` bytes of address space, files that grow, the processes it leaves behind (its group is killed), output
without end. On Linux, where the kernel allows it, it has a network of its own that leads nowhere; everywhere an
audit hook refuses sockets, other programs, and files outside of its empty folder and of Python itself.

What it is NOT kept from: this is no wall against an attacker. The audit hook is Python, and native code (ctypes, a
bug in an extension) gets around it: such code may read what your user may read and, where the kernel gave no
network of its own, send it away. Names, sizes and times of files are seen by whoever asks for them (`os.stat`).
A process that leaves its group outlives the run. Without the module `resource` (Windows) only time and output are
limited. For code from strangers start mnemic inside a container or a virtual machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from mnemic.errors import InputError

# Runs inside the child: no network, then limits, then the hook, then the code. Kept as text so that the child
# imports nothing of mnemic. sys.argv: code file, seconds, bytes of memory, bytes of a file.
_CHILD = r"""
import os, sys, linecache, traceback
file, seconds, memory, size = sys.argv[1], *map(int, sys.argv[2:])

try:  # a network of its own, with nothing in it
    if hasattr(os, "unshare"):
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
    elif sys.platform == "linux":
        import ctypes
        ctypes.CDLL(None).unshare(0x10000000 | 0x40000000)
except OSError:
    pass

try:
    import resource
except ImportError:
    resource = None
limits = {"AS": memory, "CPU": seconds + 1, "FSIZE": size, "CORE": 0, "NOFILE": 64, "NPROC": 0}
for kind, most in limits.items() if resource else ():
    try:
        resource.setrlimit(getattr(resource, "RLIMIT_" + kind), (most, most))
    except (AttributeError, ValueError, OSError):
        pass  # a system that knows this limit not, or has a lower one

here = os.path.realpath(".")
roots = (here, sys.prefix, sys.base_prefix, os.path.dirname(os.__file__), *sys.path)
readable = tuple({os.path.realpath(root) for root in roots if root})
NEVER = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile",
         "os.kill", "pty.", "os.chmod", "os.chown", "os.link", "os.symlink", "shutil.", "webbrowser.", "winreg.",
         "sqlite3.")  # of which ATTACH opens files unseen
READS = ("os.listdir", "os.scandir", "os.chdir")
WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.utime", "os.setxattr", "os.removexattr",
          "os.chflags")
for module in (os, sys.modules.get("posix")):  # no audit event tells of these
    for name in ("mkfifo", "mknod"):
        if hasattr(module, name):
            delattr(module, name)

def inside(path, roots):
    if isinstance(path, int):  # a file that is open already
        return True
    full = os.path.realpath(os.fsdecode(path or "."))
    return any(full == root or full.startswith(root.rstrip(os.sep) + os.sep) for root in roots)

def opened(path, mode, flags):
    if isinstance(path, int) or os.fsdecode(path) == os.devnull:
        return True
    if os.path.isdir(path) and not inside(path, (here,)):
        return False  # as dir_fd it would stand unseen before other paths
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    writes = bool(flags & writing) if isinstance(flags, int) else any(c in (mode or "") for c in "wax+")
    return inside(path, (here,) if writes else readable)

def watch(event, args):
    allowed = not event.startswith(NEVER)
    if event == "open":
        allowed = opened(*args)
    elif event in READS:
        allowed = inside(args[0], readable)
    elif event in WRITES:
        allowed = all(inside(path, (here,)) for path in args[: 2 if event == "os.rename" else 1])
    if not allowed:
        raise PermissionError("not allowed in here: " + event)

with open(file, encoding="utf-8") as code:
    source = code.read()
linecache.getlines(file)  # a traceback shows the lines
sys.argv = [file]
sys.addaudithook(watch)
try:
    exec(compile(source, file, "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
except SystemExit:
    raise
except BaseException as error:
    sys.stdout.flush()
    frames = None if isinstance(error, SyntaxError) else error.__traceback__.tb_next  # without the line above
    traceback.print_exception(type(error), error, frames)
    sys.exit(1)
"""


@dataclass(frozen=True)
class Ran:
    """What became of a piece of code.

    output   what it printed; what went wrong when it printed nothing; a note when there was neither
    state    done, failed (an error, a signal, too much memory) or stopped (the time was over)
    """

    output: str
    state: Literal["done", "failed", "stopped"]


class CodeRunner(Protocol):
    """Anything that runs Python: SandboxRunner, a container, another machine."""

    def run(self, code: str) -> Ran: ...


class SandboxRunner:
    """Python in a process of its own.

    timeout   seconds until it is killed
    memory    bytes of address space, the interpreter's own (about 20 MB, with numpy 500 MB) included
    longest   characters of output that are kept; the middle of a longer one is cut out
    """

    def __init__(self, *, timeout: float = 3.0, memory: int = 1_000_000_000, longest: int = 4000) -> None:
        if timeout <= 0 or memory <= 0 or longest < 100:
            raise InputError(
                f"a runner with timeout={timeout:g}, memory={memory}, longest={longest} runs nothing: give more than 0 "
                "seconds, more than 0 bytes and at least 100 characters."
            )
        self.timeout, self.memory, self.longest = timeout, memory, longest

    def run(self, code: str) -> Ran:
        """Run code as a script and wait for its end; never raises for what the code does."""
        # Files instead of pipes: a limit on the size of files holds for them, so endless output ends.
        with (
            tempfile.TemporaryDirectory(prefix="mnemic-") as folder,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            Path(folder, "code.py").write_text(code, encoding="utf-8", errors="replace")
            returned = self._finished(folder, out, err)
            return self._read(returned, _text(out), _text(err))

    def _finished(self, folder: str, out: IO[bytes], err: IO[bytes]) -> int | None:
        """The exit status, or None when the time was over; nothing of its group is left in both cases."""
        limits = [str(max(1, round(self.timeout))), str(self.memory), "1000000"]
        process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-B", "-c", _CHILD, "code.py", *limits],
            cwd=folder, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip
        try:
            return process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _kill_group(process)

    def _read(self, returned: int | None, out: str, err: str) -> Ran:
        if returned is None:
            note = f"(stopped after {self.timeout:g} s)"
            return Ran(self._cut("\n".join(part for part in (out, note) if part)), "stopped")
        state: Literal["done", "failed"] = "done" if returned == 0 else "failed"
        silent = "(no output)" if returned == 0 else f"(no output; it ended with status {returned})"
        return Ran(self._cut(out or err or silent), state)

    def _cut(self, text: str) -> str:
        """A long text without its middle: the beginning says what it is, the end what came of it."""
        if len(text) <= self.longest:
            return text
        half = self.longest // 2
        return f"{text[:half]}\n... ({len(text) - 2 * half} characters cut) ...\n{text[-half:]}"


# Sets of texts have the same order in every run; numerical libraries start no threads, which count as processes.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
if sys.platform == "win32":  # Python cannot start there without it
    _ENVIRONMENT["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace").strip()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started, the finished ones' children too."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
