"""Starting a child: this interpreter, with this interpreter's paths, and nothing of the caller's program.

Neither its main module is imported, as the standard library's spawn does it, nor its threads and locks are copied, as
by a fork: it works from a script without a guard, a notebook, a daemon thread, or within a pool of processes. A command
that has no threads yet may have one stand by (standby.py), which is taken first.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Protocol

from fastget.engine.children.standby import take
from fastget.records import record

# What the interpreter is told to run. `site` is left out: the paths that it would find are given.
_PROGRAM = """\
import sys
_, sock, file, parent, module, *sys.path[:] = sys.argv
from importlib import import_module
import_module(module).main(int(sock), int(file), int(parent))
"""
_FLAGS = ("-S", "-P", "-c", _PROGRAM)


class Process(Protocol):
    """As `subprocess.Popen` has it."""

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def wait(self) -> int | None: ...

    def kill(self) -> None: ...


@record
class Launched:
    """A child that was started, and this process's end of the line to it."""

    process: Process
    sock: socket.socket


def can_launch() -> bool:
    """Whether children can be had here: not within a frozen program, nor where descriptors are not inherited."""
    return os.name == "posix" and bool(sys.executable) and not getattr(sys, "frozen", False)


def launch(file: int, module: str) -> Launched:
    """A child that has the open descriptor `file`, and runs `main` of `module` with it: started, unless one stands by.

    From the thread that waits for its end: where the system can, it kills the child when that thread is gone.
    Raises OSError or RuntimeError where that is impossible.
    """
    if (ready := take(file, module)) is not None:
        return Launched(ready, ready.sock)
    ours, theirs = socket.socketpair()
    try:
        numbers = (str(number) for number in (theirs.fileno(), file, os.getpid()))
        process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
            (sys.executable, *_FLAGS, *numbers, module, *_paths()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), file),
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Launched(process, ours)


def _paths() -> list[str]:
    """Where modules are found here; first of all this package, however it came to be importable."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120
    return [package, *(path for path in sys.path if isinstance(path, str))]
