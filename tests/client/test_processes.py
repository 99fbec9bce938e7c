"""Several processes for one object, from every kind of program; and none of them left, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import fastget
from fastget.core.journal import read_journal
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject, faults

MIB = 1024 * 1024
SIZE = 24 * MIB + 4321
HANG = 60
Serve = Callable[..., ObjectServer]
Start = Callable[..., "subprocess.Popen[str]"]
FindChildren = Callable[..., list[psutil.Process]]
Await = Callable[[Callable[[], bool], str], None]

pytestmark = pytest.mark.usefixtures("no_leaks")

# An object of some megabytes is worth several processes.
PRELUDE = """
import sys, threading
import fastget
import fastget.engine.processes.alone as alone
alone.LEAST_SHARE = 2**20
url, path = sys.argv[1:3]
options = {"processes": 2, "connections": 4, "part_size": 2**20}
"""
PROGRAMS = {
    "a script without a guard": """
result = fastget.download(url, path, **options)
""",
    "a daemon thread": """
def work():
    global result
    result = fastget.download(url, path, **options)

thread = threading.Thread(target=work, daemon=True)
thread.start()
thread.join()
""",
    "asyncio": """
import asyncio
from fastget import aio
result = asyncio.run(aio.download(url, path, **options))
""",
    "trio": """
import trio
from fastget import aio
result = trio.run(lambda: aio.download(url, path, **options))
""",
    "a worker of a pool that was spawned": """
import concurrent.futures, multiprocessing

def work(url, path, options):
    alone.LEAST_SHARE = 2**20
    return fastget.download(url, path, **options)

if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        result = pool.submit(work, url, path, options).result()
""",
    "a worker of a pool that was forked": """
import concurrent.futures, multiprocessing

def work(url, path, options):
    return fastget.download(url, path, **options)

with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
    result = pool.submit(work, url, path, options).result()
""",
}
TELL = """
if __name__ == "__main__":
    print(result.processes, result.verification.verified)
"""


@pytest.fixture(scope="session")
def large() -> Content:
    """Uneven against pieces and blocks."""
    return Content.generated(SIZE, seed=29)


@pytest.fixture(scope="session")
def large_bytes(large: Content) -> bytes:
    return large.read()


@pytest.fixture
def server(serve: Serve, large: Content, released: threading.Event) -> ObjectServer:
    """It keeps everyone waiting until `released`: what is there then is known to be at work."""
    waits = (
        faults.hold(released).on(ranged=False).always(),
        faults.hold(released, after=None).on(ranged=True, request=2).always(),
    )
    return serve({"/b/k": StoredObject(large, checksum=Algorithm.CRC64NVME)}, faults=waits)


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended; who inherits it may not have waited for it yet."""
    try:
        status: str = process.status()
    except psutil.NoSuchProcess:
        return True
    return status == "zombie"


def claimed_beside(path: Path) -> int:
    """How many bytes the journal of a running download claims."""
    journal = path.with_name(f".{path.name}.fastget-journal")
    found = read_journal(journal.read_bytes()) if journal.exists() else None
    return sum(claim.span.length for claim in found.claims) if found is not None else 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_works_from(
    program: str,
    server: ObjectServer,
    released: threading.Event,
    start: Start,
    await_condition: Await,
    large_bytes: bytes,
    tmp_path: Path,
    busy_children: FindChildren,
) -> None:
    process = start(PRELUDE + PROGRAMS[program] + TELL, server.url("/b/k"), tmp_path / "object.bin")
    await_condition(lambda: process.poll() is not None or bool(busy_children(server.port, process.pid)), "children")
    released.set()
    stdout, stderr = process.communicate(timeout=HANG)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.split() == ["2", "True"]
    assert (tmp_path / "object.bin").read_bytes() == large_bytes


def test_it_works_from_a_program_that_is_no_file(
    server: ObjectServer,
    released: threading.Event,
    await_condition: Await,
    large_bytes: bytes,
    tmp_path: Path,
    busy_children: FindChildren,
) -> None:
    source = PRELUDE + PROGRAMS["a script without a guard"] + TELL
    command = [sys.executable, "-c", source, server.url("/b/k"), str(tmp_path / "object.bin")]
    home = str(Path(fastget.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": home}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        await_condition(lambda: process.poll() is not None or bool(busy_children(server.port, process.pid)), "children")
        released.set()
        stdout, _ = process.communicate(timeout=HANG)
    assert stdout.split() == ["2", "True"]
    assert (tmp_path / "object.bin").read_bytes() == large_bytes


@pytest.mark.parametrize("processes", [1, 2])
def test_the_children_end_with_a_process_that_is_killed_and_another_one_goes_on(
    processes: int,
    serve: Serve,
    large: Content,
    start: Start,
    await_condition: Await,
    large_bytes: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    busy_children: FindChildren,
) -> None:
    monkeypatch.setattr("fastget.engine.processes.alone.LEAST_SHARE", MIB)
    before = set(psutil.Process().children())
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    server = serve({"/b/k": stored}, behaviour=Behaviour(rate_per_connection=2 * MIB))
    url, path = server.url("/b/k"), tmp_path / "object.bin"
    process = start(PRELUDE + PROGRAMS["a script without a guard"], url, path)
    await_condition(lambda: bool(busy_children(server.port, process.pid)), "children")
    children = busy_children(server.port, process.pid)
    await_condition(lambda: claimed_beside(path) > 5 * MIB, "some of it has landed")
    process.kill()
    process.wait(HANG)
    await_condition(lambda: all(is_gone(child) for child in children), "the children have ended")
    claimed = claimed_beside(path)
    server.behaviour = Behaviour()
    options: dict[str, Any] = {"processes": processes, "connections": 4, "part_size": MIB}
    result = fastget.download(url, path, **options)
    assert path.read_bytes() == large_bytes
    assert result.verification.verified
    assert claimed > 5 * MIB
    assert 4 * MIB < result.bytes_resumed == SIZE - result.bytes_received
    assert set(psutil.Process().children()) <= before


def test_the_children_end_though_a_fork_of_the_killed_process_lives_on(
    server: ObjectServer, start: Start, await_condition: Await, tmp_path: Path, busy_children: FindChildren
) -> None:
    source = (
        PRELUDE
        + """
import os, time
def fork():
    sys.stdin.readline()
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print("forked", flush=True)

threading.Thread(target=fork, daemon=True).start()
fastget.download(url, path, **options)
"""
    )
    process = start(source, server.url("/b/k"), tmp_path / "object.bin")
    await_condition(lambda: bool(busy_children(server.port, process.pid)), "children")
    children = busy_children(server.port, process.pid)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("now\n")
    process.stdin.flush()
    assert process.stdout.readline() == "forked\n"
    os.kill(process.pid, signal.SIGKILL)
    await_condition(lambda: all(is_gone(child) for child in children), "the children have ended")


INTERRUPTED = """
try:
    fastget.download(url, path, **options)
except KeyboardInterrupt:
    import psutil
    print("interrupted", len(psutil.Process().children()))
"""
CANCELLED = """
import anyio, psutil
from fastget import aio

async def work():
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(wait, scope)
            await aio.download(url, path, **options)
    print("interrupted", len(psutil.Process().children()))

async def wait(scope):
    await anyio.to_thread.run_sync(sys.stdin.readline)
    scope.cancel()

anyio.run(work, backend=sys.argv[3])
"""


def test_ctrl_c_for_all_of_them_ends_all_of_them(
    server: ObjectServer, start: Start, await_condition: Await, tmp_path: Path, busy_children: FindChildren
) -> None:
    process = start(PRELUDE + INTERRUPTED, server.url("/b/k"), tmp_path / "object.bin")
    await_condition(lambda: bool(busy_children(server.port, process.pid)), "children")
    children = busy_children(server.port, process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    stdout, stderr = process.communicate(timeout=HANG)
    assert (stdout, stderr) == ("interrupted 0\n", "")
    assert all(is_gone(child) for child in children)
    assert not (tmp_path / "object.bin").exists()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_task_that_is_cancelled_ends_all_of_them(
    backend: str,
    server: ObjectServer,
    start: Start,
    await_condition: Await,
    tmp_path: Path,
    busy_children: FindChildren,
) -> None:
    process = start(PRELUDE + CANCELLED, server.url("/b/k"), tmp_path / "object.bin", backend)
    await_condition(lambda: bool(busy_children(server.port, process.pid)), "children")
    stdout, stderr = process.communicate("now\n", timeout=HANG)
    assert (stdout, stderr) == ("interrupted 0\n", "")
    assert not (tmp_path / "object.bin").exists()
