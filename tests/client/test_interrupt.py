"""Ctrl-C and the end of the interpreter, at every moment of a download, in processes of their own."""

from __future__ import annotations

import hashlib
import json
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastget.testing import Algorithm, Behaviour, Content, Fault, ObjectServer, StoredObject, faults

MIB = 1024 * 1024
HANG = 60
Serve = Callable[..., ObjectServer]
Start = Callable[..., "subprocess.Popen[str]"]
Script = Callable[..., str]
Await = Callable[[Callable[[], bool], str], None]

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(sys.platform == "win32", reason="this system has no such signals"),
]

PRELUDE = '''
import json, os, signal, sys, threading, time
import psutil
import fastget

def state():
    """What the library has left; a thread that has been told to go takes a moment."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("fastget")]
    for thread in threads:
        thread.join(10)
    return {
        "threads": [thread.name for thread in threads if thread.is_alive()],
        "sockets": [str(one) for one in psutil.Process().net_connections("tcp") if one.raddr],
    }
'''
# What meets an import is told by Python itself, of the file that it reads: what comes late is here already.
DOWNLOAD = (
    PRELUDE
    + """
import fastget.core.checksums.castagnoli
url, path, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
try:
    fastget.download(url, path, on_event=lambda event: print(type(event).__name__, flush=True), **options)
except KeyboardInterrupt:
    assert state() == {"threads": [], "sockets": []}, state()
    print("interrupted")
"""
)


def is_held(server: ObjectServer) -> bool:
    return any("hold" in request.faults for request in server.requests)


def are_two_held(server: ObjectServer) -> bool:
    """A second request goes out when the first answer has been read and the file is there."""
    return sum("hold" in request.faults for request in server.requests) >= 2


def are_all_held(server: ObjectServer) -> bool:
    return len(server.requests) == 8 and all(request.bytes_sent == 1000 for request in server.requests)


def is_any(_: ObjectServer) -> bool:
    return True


COMPOSITE = {
    "part_sizes": (1 * MIB, 2 * MIB, 4321, 3 * MIB),
    "checksum": Algorithm.CRC32C,
    "checksum_type": "COMPOSITE",
}
EIGHT = {"connections": 8, "part_size": MIB // 2}
Faults = Callable[[threading.Event], list[Fault]]
MOMENTS: dict[str, tuple[dict[str, Any], Faults, dict[str, Any], Callable[[ObjectServer], bool]]] = {
    "head": ({}, lambda event: [faults.hold(event, after=None)], {}, is_held),
    "stream": ({}, lambda event: [faults.hold(event, after=MIB)], {"connections": 1}, is_held),
    "many connections": ({}, lambda event: [faults.hold(event, after=1000).always()], EIGHT, are_all_held),
    "ordered digest": (
        {"checksum": Algorithm.SHA256},
        lambda event: [faults.hold(event, after=1000).always()],
        EIGHT,
        are_all_held,
    ),
    "back-off of the first request": (
        {},
        lambda _: [faults.slow_down(retry_after=100).always()],
        {},
        is_any,
    ),
    "back-off of a piece": (
        {},
        lambda _: [faults.slow_down(retry_after=100).on(ranged=True).always()],
        {"connections": 4, "part_size": MIB},
        is_any,
    ),
    "layout": (COMPOSITE, lambda event: [faults.hold(event, after=None).on(method="HEAD", part=1)], {}, is_held),
    "layout of every part": (
        COMPOSITE,
        lambda event: [faults.hold(event, after=None).on(method="HEAD", part=3)],
        {"response_timeout": 1000.0},
        is_held,
    ),
    "repair": (
        {"checksum": Algorithm.CRC64NVME},
        lambda event: [faults.flip_bit(5 * MIB), faults.hold(event, after=1000).on(ranged=True)],
        {"connections": 1, "part_size": MIB},
        is_held,
    ),
}


# Moments that the process itself tells of: an interrupt that meets an import is lost in the import system.
TOLD = {"stream": "Started", "back-off of the first request": "Retried", "back-off of a piece": "Retried"}


def await_line(process: subprocess.Popen[str], wanted: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == wanted:
            return
    pytest.fail(f"the process ended before it printed {wanted}")


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_an_interrupted_download_raises_it_and_leaves_nothing(
    serve: Serve,
    start: Start,
    released: threading.Event,
    await_condition: Await,
    content: Content,
    destination: Path,
    moment: str,
) -> None:
    facts, make_faults, options, ready = MOMENTS[moment]
    server = serve({"/b/k": StoredObject(content, **facts)}, faults=make_faults(released))
    destination.write_bytes(b"what was there")
    process = start(DOWNLOAD, server.url("/b/k"), destination, json.dumps(options))
    await_condition(lambda: ready(server) or process.poll() is not None, moment)
    if moment in TOLD:
        await_line(process, TOLD[moment])
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=HANG)
    assert (process.returncode, stdout.splitlines()[-1:], stderr) == (0, ["interrupted"], "")
    assert destination.read_bytes() == b"what was there"
    assert list(destination.parent.iterdir()) == [destination]


SHARED = (
    PRELUDE
    + """
url, path = sys.argv[1:]
with fastget.Client(connections=4, part_size=512 * 1024) as client:
    try:
        client.download(f"{url}/held", path)
    except KeyboardInterrupt:
        print("interrupted")
    assert len(client.read(f"{url}/k")) > 6_000_000
    client.download(f"{url}/k", path)
assert state() == {"threads": [], "sockets": []}, state()
"""
)


def test_a_client_goes_on_after_an_interrupted_call(
    serve: Serve,
    start: Start,
    released: threading.Event,
    await_condition: Await,
    stored: StoredObject,
    content: Content,
    destination: Path,
) -> None:
    held = faults.hold(released, after=1000).on(path="/held").always()
    server = serve({"/held": stored, "/k": stored}, faults=[held])
    process = start(SHARED, server.base_url, destination)
    await_condition(lambda: are_two_held(server) or process.poll() is not None, "held")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=HANG)
    assert (process.returncode, stdout, stderr) == (0, "interrupted\n", "")
    assert hashlib.sha256(destination.read_bytes()).digest() == hashlib.sha256(content.read()).digest()
    assert list(destination.parent.iterdir()) == [destination]


# Asynchronous calls ----------------------------------------------------------------------------------------------

AWAITED = (
    PRELUDE
    + """
import anyio
from fastget import aio

backend, url, path = sys.argv[1:]

async def main():
    await aio.download(url, path, connections=4, part_size=512 * 1024)

try:
    anyio.run(main, backend=backend)
except KeyboardInterrupt:
    assert state() == {"threads": [], "sockets": []}, state()
    print("interrupted")
"""
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_interrupted_event_loop_leaves_nothing_of_its_downloads(
    serve: Serve,
    start: Start,
    released: threading.Event,
    await_condition: Await,
    stored: StoredObject,
    destination: Path,
    backend: str,
) -> None:
    server = serve({"/b/k": stored}, faults=[faults.hold(released, after=1000).always()])
    process = start(AWAITED, backend, server.url("/b/k"), destination)
    await_condition(lambda: are_two_held(server) or process.poll() is not None, "held")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=HANG)
    assert (process.returncode, stdout, stderr) == (0, "interrupted\n", "")
    assert not list(destination.parent.iterdir())


# The end of the interpreter --------------------------------------------------------------------------------------

LEAVING_LOOP = (
    PRELUDE
    + """
import anyio
from fastget import aio

backend, url, path = sys.argv[1:]

async def main():
    started = anyio.Event()
    async with anyio.create_task_group() as group:

        async def download():
            token = anyio.lowlevel.current_token()
            def tell(_):
                anyio.from_thread.run_sync(started.set, token=token)
            await aio.download(url, path, connections=4, part_size=512 * 1024, on_event=tell)

        group.start_soon(download)
        await started.wait()
        raise ValueError("of the caller's own")

try:
    anyio.run(main, backend=backend)
except BaseExceptionGroup as group:
    assert group.subgroup(ValueError)
    print("left")
"""
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_leaving_an_event_loop_ends_its_downloads(
    serve: Serve, script: Script, released: threading.Event, stored: StoredObject, destination: Path, backend: str
) -> None:
    server = serve({"/b/k": stored}, faults=[faults.hold(released, after=1000).always()])
    assert script(LEAVING_LOOP, backend, server.url("/b/k"), destination) == "left\n"
    assert not list(destination.parent.iterdir())


LEAVING_TASK = """
import asyncio, sys
from fastget import aio

url, path = sys.argv[1:]

async def main():
    loop, started = asyncio.get_running_loop(), asyncio.Event()
    tell = lambda _: loop.call_soon_threadsafe(started.set)
    task = asyncio.create_task(aio.download(url, path, on_event=tell))
    await started.wait()
    sys.exit(3 if task.done() else 0)

asyncio.run(main())
"""


def test_an_event_loop_that_ends_with_a_task_at_work_ends_its_download(
    serve: Serve, script: Script, released: threading.Event, stored: StoredObject, destination: Path
) -> None:
    server = serve({"/b/k": stored}, faults=[faults.hold(released, after=1000).always()])
    script(LEAVING_TASK, server.url("/b/k"), destination)
    assert not list(destination.parent.iterdir())


DAEMON = (
    PRELUDE
    + """
url, path = sys.argv[1:]
thread = threading.Thread(
    target=fastget.download, args=(url, path), kwargs={"response_timeout": 1000.0, "stall_timeout": 1000.0}, daemon=True
)
thread.start()
sys.stdin.readline()
print("leaving", flush=True)
"""
)


@pytest.mark.fault("X33")
@pytest.mark.parametrize("moment", ["head", "many connections", "layout of every part"])
def test_the_interpreter_ends_though_a_daemon_thread_downloads(
    serve: Serve,
    start: Start,
    released: threading.Event,
    await_condition: Await,
    content: Content,
    destination: Path,
    moment: str,
) -> None:
    facts, make_faults, _, _ = MOMENTS[moment]
    server = serve({"/b/k": StoredObject(content, **facts)}, faults=make_faults(released))
    process = start(DAEMON, server.url("/b/k"), destination)
    await_condition(lambda: is_held(server) or process.poll() is not None, moment)
    stdout, stderr = process.communicate("\n", timeout=HANG)
    assert (process.returncode, stdout, stderr) == (0, "leaving\n", "")
    assert not destination.exists()


OUTLIVING = """
import sys, threading
import fastget

url, path = sys.argv[1:]
threading.Thread(target=fastget.download, args=(url, path), kwargs={"connections": 4, "part_size": 512 * 1024}).start()
"""


@pytest.mark.skipif(
    (3, 12) <= sys.version_info < (3, 12, 3),
    reason="no thread starts there any more once the main one has ended (python/cpython#113964)",
)
@pytest.mark.parametrize("facts", [{}, COMPOSITE], ids=["plain", "composite"])
def test_a_download_in_a_thread_that_outlives_the_main_one_is_finished(
    serve: Serve, script: Script, content: Content, destination: Path, facts: dict[str, Any]
) -> None:
    server = serve(
        {"/b/k": StoredObject(content, **facts)},
        behaviour=Behaviour(rate_per_connection=8.0 * MIB, first_byte_delay=(0.1, 0.1)),
    )
    script(OUTLIVING, server.url("/b/k"), destination)
    assert hashlib.sha256(destination.read_bytes()).digest() == hashlib.sha256(content.read()).digest()


# At any moment ---------------------------------------------------------------------------------------------------

ANY_MOMENT = (
    PRELUDE
    + """
import gc, hashlib, random, warnings

# A socket that was between two owners when the interrupt came is closed with its object, and Python tells of that.
warnings.simplefilter("ignore", ResourceWarning)
# One that meets a finalizer is lost, and Python tells of that, too.
sys.unraisablehook = lambda lost: isinstance(lost.exc_value, KeyboardInterrupt) or sys.__unraisablehook__(lost)
url, path, digest = sys.argv[1:]
folder = os.path.dirname(path)
signal.signal(signal.SIGALRM, signal.default_int_handler)
chance = random.Random(7)
interrupted = 0
# An interrupt that meets an import is Python's own affair: everything is loaded first.
fastget.download(url, path, connections=4, part_size=512 * 1024)
os.unlink(path)
for _ in range(30):
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, 0.03))
        fastget.download(url, path, connections=4, part_size=512 * 1024, fsync=False)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    assert os.listdir(folder) in ([], [os.path.basename(path)]), os.listdir(folder)
    if os.path.exists(path):
        with open(path, "rb") as file:
            assert hashlib.sha256(file.read()).hexdigest() == digest
        os.unlink(path)
assert interrupted, "no download was interrupted"
gc.collect()
assert state() == {"threads": [], "sockets": []}, state()
"""
)


@pytest.mark.fault("X29")
def test_interrupted_at_any_moment_a_download_is_whole_or_not_there(
    serve: Serve, script: Script, stored: StoredObject, content: Content, destination: Path
) -> None:
    server = serve({"/b/k": stored})
    script(ANY_MOMENT, server.url("/b/k"), destination, hashlib.sha256(content.read()).hexdigest())
    assert not list(destination.parent.iterdir())


# Errors of a handler ---------------------------------------------------------------------------------------------

ALARMED = (
    PRELUDE
    + """
import gc, random, warnings

# As above: of a socket that was between two owners.
warnings.simplefilter("ignore", ResourceWarning)
url, bundle, kind = sys.argv[1:]
error = {"TimeoutError": TimeoutError, "BlockingIOError": BlockingIOError, "ConnectionError": ConnectionError}[kind]
client = fastget.Client(ca_bundle=bundle or None)
expected = client.read(url, 1, 4 << 20)

def alarm(*_):
    raise error("the handler's own")

signal.signal(signal.SIGALRM, alarm)
chance = random.Random(7)
alarmed = late = 0
for _ in range(30):
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, 0.02))
        try:
            found = client.read(url, 1, 4 << 20)
        finally:
            late += signal.setitimer(signal.ITIMER_REAL, 0)[0] == 0
        assert found == expected, "the bytes are others"
    except OSError as told:
        assert type(told) is error and told.args == ("the handler's own",), repr(told)
        alarmed += 1
        late -= 1
assert alarmed, "no call met an alarm"
# Where something is closed in any case, an error that comes in that moment is passed over.
assert late * 4 < alarmed, "the alarm went off, and calls went on"
assert client.read(url, 1, 4 << 20) == expected
client.close()
gc.collect()
assert state() == {"threads": [], "sockets": []}, state()
"""
)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("error", ["TimeoutError", "BlockingIOError", "ConnectionError"])
def test_an_error_that_a_signal_handler_raises_in_a_read_is_no_failure_of_the_connection(
    serve: Serve, script: Script, authority: trustme.CA, bundle: str, scheme: str, error: str
) -> None:
    context = None
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    stored = StoredObject(Content.generated(5 * MIB, seed=3))
    server = serve({"/k": stored}, tls=context)
    script(ALARMED, server.url("/k"), bundle if context else "", error)
