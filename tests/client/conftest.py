"""Objects and servers for whole calls of the library, and ways to see what a call has left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest
import trustme

import fastget
from fastget import testing
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject

MIB = 1024 * 1024
# For waits that end at once where all is well: only a hang takes this long (seconds).
HANG = 60.0
_HOME = Path(__file__).resolve().parents[2]
_PACKAGE = str(Path(fastget.__file__).parent) + os.sep
_SERVER = str(Path(testing.__file__).parent) + os.sep

Serve = Callable[..., ObjectServer]
Await = Callable[[Callable[[], bool], str], None]
AssertIdle = Callable[[int], None]
Start = Callable[..., "subprocess.Popen[str]"]
Script = Callable[..., str]


@pytest.fixture(scope="session")
def content() -> Content:
    """6 MiB and some bytes: uneven against every piece size here."""
    return Content.generated(6 * MIB + 4321, seed=7)


@pytest.fixture(scope="session")
def stored(content: Content) -> StoredObject:
    """The content with a checksum of the whole."""
    return StoredObject(content, checksum=Algorithm.CRC64NVME)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The file by which that authority is trusted."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What holds of the server wait for; set at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < deadline, f"still not so: {what}"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def await_condition() -> Await:
    """Waits until something is so; the words say what."""
    return wait_until


@pytest.fixture(scope="session")
def assert_idle() -> AssertIdle:
    """Asserts that no thread works for the library, that no socket of this process leads to a port, and that no file
    that is being written is open.

    Threads that only wait for work may stay: trio keeps its own for ten seconds.
    """

    def check(port: int) -> None:
        # A server's thread that notices a closed connection, and a thread's last steps, take a moment.
        wait_until(lambda: not working_threads(), f"threads at work: {working_threads()}")
        wait_until(lambda: not sockets_to(port), f"sockets open: {sockets_to(port)}")
        wait_until(lambda: not part_files(), f"files open: {part_files()}")

    return check


def working_threads() -> list[str]:
    """The threads in which code of the library runs, but for this one and those of the object server."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = []
    for identity, frame in sys._current_frames().items():
        files = set()
        step: Any = frame
        while step is not None:
            files.add(step.f_code.co_filename)
            step = step.f_back
        is_at_work = any(name.startswith(_PACKAGE) for name in files)
        is_server = any(name.startswith(_SERVER) for name in files)
        if is_at_work and not is_server and identity != threading.get_ident():
            found.append(names.get(identity, "?"))
    return found


def sockets_to(port: int) -> list[str]:
    connections = psutil.Process().net_connections("tcp")
    return [str(one) for one in connections if one.raddr and one.raddr.port == port]


def part_files() -> list[str]:
    found = []
    for descriptor in Path("/dev/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except OSError:  # the descriptor of this very listing has gone already
            continue
    return [name for name in found if ".fastget-part" in name]


@pytest.fixture
def unanswering() -> Iterator[int]:
    """A port that takes no more connections and refuses none: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port that nobody listens on: it is taken, so that nobody else gets it meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a script in an interpreter of its own; it is killed with the test."""
    with ExitStack() as processes:

        def begin(source: str, *arguments: object) -> subprocess.Popen[str]:
            path = tmp_path / "script.py"
            path.write_text(dedent(source))
            # A test run in the background ignores SIGINT, and its children would inherit that.
            before = signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                process = subprocess.Popen(
                    [sys.executable, "-W", "error", str(path), *map(str, arguments)],
                    cwd=tmp_path,
                    env={**os.environ, "PYTHONPATH": str(_HOME)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            finally:
                signal.signal(signal.SIGINT, before)
            processes.enter_context(process)
            # With its own children, which would hold the pipes open.
            processes.callback(kill_group, process)
            return process

        yield begin


def kill_group(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture
def script(start: Start) -> Script:
    """Run a script to its end, which must be a good one, and give what it printed."""

    def run(source: str, *arguments: object) -> str:
        process = start(source, *arguments)
        stdout, stderr = process.communicate(timeout=HANG)
        assert process.returncode == 0, stderr
        assert not stderr
        return stdout

    return run
