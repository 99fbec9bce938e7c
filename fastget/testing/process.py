"""An object server as a process of its own, so that client and server do not share one interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_END_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class ServedObject:
    """An object that a server process has. `checksum` is the algorithm's name; `parts` counts its parts."""

    url: str
    path: str
    size: int
    etag: str
    checksum: str | None
    checksum_type: str | None
    parts: int


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that runs as a process of its own. `pid` is its process id."""

    base_url: str
    pid: int
    objects: tuple[ServedObject, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs of its objects, in the order in which it named them."""
        return tuple(served.url for served in self.objects)


@contextmanager
def spawn_server(*arguments: str) -> Iterator[ServerProcess]:
    """Run `python -m fastget.testing` with these arguments until the block ends.

    It has a process group of its own: Ctrl-C in a terminal is for whoever started it. Raises RuntimeError where
    the server does not come up.
    """
    command = (sys.executable, "-m", "fastget.testing", *arguments)
    with subprocess.Popen(  # noqa: S603 - this interpreter, this package
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(), text=True, process_group=0
    ) as process:
        try:
            yield _announced(process)
        finally:
            _end(process)


@contextmanager
def spawn_demo_server() -> Iterator[ServerProcess]:
    """Run a server of the demonstration's two objects (`fastget.testing.sets.demo`) until the block ends."""
    with spawn_server("--objects", "demo") as server:
        yield server


def _announced(process: subprocess.Popen[str]) -> ServerProcess:
    """What the server prints of itself once it listens."""
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError(f"the object server did not start: status {process.wait(_END_TIMEOUT)}")
    facts = json.loads(line)
    objects = tuple(ServedObject(**item) for item in facts["objects"])
    return ServerProcess(facts["base_url"], process.pid, objects)


def _end(process: subprocess.Popen[str]) -> None:
    """Close the server's input, at which it ends; kill it where it does not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()


def _environment() -> dict[str, str]:
    """The environment in which the child finds this very package, installed or not."""
    home = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join((home, known)) if known else home}
