"""The asynchronous verbs under asyncio and trio: the results of the synchronous ones, and calls that are cancelled.

A cancelled call leaves no thread at work, no socket open and no file, whatever it was doing, and its client is as good
as before.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import psutil
import pytest

import fastget
from fastget import aio
from fastget.errors import AccessDenied, NotFound
from fastget.events import Event, Retried
from fastget.testing import Algorithm, Behaviour, Content, Fault, ObjectServer, StoredObject, faults

MIB = 1024 * 1024
T = TypeVar("T")
Serve = Callable[..., ObjectServer]
Await = Callable[[Callable[[], bool], str], None]
AssertIdle = Callable[[int], None]
Run = Callable[[Callable[[], Awaitable[T]]], T]

UNEVEN = (1 * MIB, 2 * MIB, 4321, 3 * MIB)
SMALL = {f"/b/{index}": StoredObject(Content.generated(70_000 + index, seed=index)) for index in range(40)}


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(backend: str) -> Run[Any]:
    """Runs a coroutine function to its end in an event loop of its own."""
    return lambda main: anyio.run(main, backend=backend)


# Results ---------------------------------------------------------------------------------------------------------


def test_results_are_those_of_the_synchronous_verbs(
    serve: Serve, run: Run[None], stored: StoredObject, content: Content, destination: Path, assert_idle: AssertIdle
) -> None:
    server = serve({"/b/k": stored})
    url = server.url("/b/k")
    expected = fastget.download(url, destination, part_size=MIB, connections=3)
    destination.unlink()

    async def main() -> None:
        async with aio.Client(part_size=MIB, connections=3) as client:
            result = await client.download(url, destination)
            # How many connections and requests it takes is a race between them.
            by_chance = {"seconds": 0.0, "requests": 0, "connections": 0}
            assert replace(result, **by_chance) == replace(expected, **by_chance)  # type: ignore[arg-type]
            assert await client.read(url) == content.read()
            assert await client.read(url, -100, None) == content.read(content.size - 100)
            assert await client.head(url) == fastget.head(url)

    run(main)
    assert destination.read_bytes() == content.read()
    assert_idle(server.port)


def test_the_plain_functions_leave_no_connection(
    serve: Serve, run: Run[None], destination: Path, assert_idle: AssertIdle
) -> None:
    server = serve(SMALL)
    url, content = server.url("/b/7"), SMALL["/b/7"].content

    async def main() -> None:
        assert (await aio.download(url, destination)).verification.verified
        assert await aio.read(url, 10, 20) == content.read(10, 20)
        assert (await aio.head(url)).size == content.size

    run(main)
    assert destination.read_bytes() == content.read()
    assert_idle(server.port)


def test_errors_are_those_of_the_synchronous_verbs(serve: Serve, run: Run[None], destination: Path) -> None:
    server = serve({"/b/k": SMALL["/b/1"]})

    async def main() -> None:
        async with aio.Client() as client:
            with pytest.raises(NotFound):
                await client.download(server.url("/b/none"), destination)
            with pytest.raises(fastget.errors.InvalidURL):
                await client.read("gopher://host/")
            with pytest.raises(fastget.errors.ConfigError):
                await client.head(server.url("/b/k"), nonsense=1)

    run(main)
    assert not list(destination.parent.iterdir())


def test_many_calls_on_one_client_run_at_once(
    serve: Serve, run: Run[None], destination: Path, assert_idle: AssertIdle
) -> None:
    server = serve(SMALL)
    read: dict[str, bytes] = {}

    async def main() -> None:
        async with aio.Client() as client, anyio.create_task_group() as group:

            async def fetch(path: str) -> None:
                await client.download(server.url(path), destination.with_name(path.rpartition("/")[2]))
                read[path] = await client.read(server.url(path))

            for path in SMALL:
                group.start_soon(fetch, path)

    run(main)
    assert read == {path: stored.content.read() for path, stored in SMALL.items()}
    assert all(destination.with_name(path.rpartition("/")[2]).read_bytes() == data for path, data in read.items())
    assert_idle(server.port)


def test_more_calls_than_threads_wait_for_their_turn(
    serve: Serve, run: Run[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(SMALL)
    monkeypatch.setattr(aio, "MAXIMUM_CALLS", 3)
    read: dict[str, bytes] = {}

    async def main() -> None:
        async with aio.Client() as client, anyio.create_task_group() as group:

            async def fetch(path: str) -> None:
                read[path] = await client.read(server.url(path))

            for path in SMALL:
                group.start_soon(fetch, path)

    run(main)
    assert read == {path: stored.content.read() for path, stored in SMALL.items()}
    assert server.connections <= 3


def test_one_client_serves_event_loops_of_both_kinds_one_after_the_other(serve: Serve, assert_idle: AssertIdle) -> None:
    server = serve(SMALL)
    client = aio.Client()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for path in SMALL:
                group.start_soon(client.read, server.url(path))

    for backend in ("asyncio", "trio", "asyncio", "trio"):
        anyio.run(main, backend=backend)
    client.close()
    assert len(server.requests) == 4 * len(SMALL)
    assert_idle(server.port)


def test_the_event_loop_goes_on_while_a_call_waits(
    serve: Serve, run: Run[None], released: threading.Event, stored: StoredObject
) -> None:
    """Nothing but the loop itself ends the wait: a call that blocked it would hang."""
    server = serve({"/b/k": stored}, faults=[faults.hold(released, after=None)])
    threads: set[int] = set()

    async def main() -> None:
        client = aio.Client(on_event=lambda _: threads.add(threading.get_ident()))
        async with client, anyio.create_task_group() as group:
            group.start_soon(client.read, server.url("/b/k"))
            await anyio.sleep(0.01)
            released.set()

    run(main)
    assert threads
    assert threading.get_ident() not in threads


# Cancellation ----------------------------------------------------------------------------------------------------

Faults = Callable[[threading.Event], list[Fault]]
Ready = Callable[[ObjectServer, list[Event]], bool]


def is_held(server: ObjectServer, _: list[Event]) -> bool:
    return any("hold" in request.faults for request in server.requests)


def are_all_held(server: ObjectServer, _: list[Event]) -> bool:
    return len(server.requests) == 8 and all(request.bytes_sent == 1000 for request in server.requests)


def is_backing_off(_: ObjectServer, events: list[Event]) -> bool:
    return any(isinstance(event, Retried) for event in events)


COMPOSITE = {"part_sizes": UNEVEN, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"}
# What the object is like, what the server does to requests, the options of the call, and how the moment is known.
MOMENTS: dict[str, tuple[dict[str, Any], Faults, dict[str, Any], Ready]] = {
    "head": ({}, lambda event: [faults.hold(event, after=None)], {}, is_held),
    "first byte": ({}, lambda event: [faults.hold(event)], {}, is_held),
    "stream": ({}, lambda event: [faults.hold(event, after=MIB)], {"connections": 1}, is_held),
    "many connections": (
        {},
        lambda event: [faults.hold(event, after=1000).always()],
        {"connections": 8, "part_size": MIB // 2},
        are_all_held,
    ),
    "ordered digest": (
        {"checksum": Algorithm.SHA256},
        lambda event: [faults.hold(event, after=1000).always()],
        {"connections": 8, "part_size": MIB // 2},
        are_all_held,
    ),
    "unknown size": (
        {},
        lambda event: [faults.chunked(), faults.hold(event, after=MIB)],
        {},
        is_held,
    ),
    "back-off of the first request": (
        {},
        lambda _: [faults.slow_down(retry_after=100).always()],
        {},
        is_backing_off,
    ),
    "back-off of a piece": (
        {},
        lambda _: [
            faults.slow_down(retry_after=100).on(ranged=True).always(),
            faults.drip(rate=8 * MIB).on(ranged=False),
        ],
        {"connections": 4, "part_size": MIB},
        is_backing_off,
    ),
    "layout": (COMPOSITE, lambda event: [faults.hold(event, after=None).on(method="HEAD", part=1)], {}, is_held),
    "layout of every part": (
        COMPOSITE,
        lambda event: [faults.hold(event, after=None).on(method="HEAD", part=3)],
        {},
        is_held,
    ),
    "repair of a part": (
        COMPOSITE,
        lambda event: [
            faults.drip(rate=8 * MIB).on(ranged=False),
            faults.flip_bit_of_body(500).on(part=4),
            faults.hold(event, after=1000).on(part=4, request=2),
        ],
        {"connections": 4, "part_size": MIB},
        is_held,
    ),
    "repair of a whole": (
        {"checksum": Algorithm.CRC64NVME},
        lambda event: [faults.flip_bit(5 * MIB), faults.hold(event, after=1000).on(ranged=True)],
        {"connections": 1, "part_size": MIB},
        is_held,
    ),
}


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_a_cancelled_download_leaves_nothing_and_harms_nothing(
    serve: Serve,
    run: Run[None],
    released: threading.Event,
    await_condition: Await,
    assert_idle: AssertIdle,
    content: Content,
    destination: Path,
    moment: str,
) -> None:
    facts, make_faults, options, ready = MOMENTS[moment]
    objects = {"/b/k": StoredObject(content, **facts), "/b/other": SMALL["/b/1"]}
    server = serve(objects, faults=[fault.on(path="/b/k") for fault in make_faults(released)])
    # A store that has asked for a pause gets it, from every call.
    asked_next = serve(objects) if "back-off" in moment else server
    destination.write_bytes(b"what was there")
    events: list[Event] = []

    async def main() -> None:
        async with aio.Client(on_event=events.append) as client:
            async with anyio.create_task_group() as group:

                async def download() -> None:
                    await client.download(server.url("/b/k"), destination, **options)

                group.start_soon(download)
                await anyio.to_thread.run_sync(await_condition, lambda: ready(server, events), moment)
                group.cancel_scope.cancel()
            client.close()
            assert_idle(server.port)
            assert await client.read(asked_next.url("/b/other")) == SMALL["/b/1"].content.read()

    run(main)
    assert destination.read_bytes() == b"what was there"
    assert list(destination.parent.iterdir()) == [destination]
    assert_idle(server.port)


@pytest.mark.parametrize("verb", ["head", "read", "slice"])
def test_a_cancelled_read_leaves_nothing(
    serve: Serve,
    run: Run[None],
    released: threading.Event,
    await_condition: Await,
    assert_idle: AssertIdle,
    stored: StoredObject,
    verb: str,
) -> None:
    held = faults.hold(released, after=None if verb == "head" else 1000).on(method="HEAD" if verb == "head" else "GET")
    server = serve({"/b/k": stored}, faults=[held.always()])

    async def main() -> None:
        async with aio.Client(connections=4, part_size=MIB) as client, anyio.create_task_group() as group:
            url = server.url("/b/k")
            verbs: dict[str, Callable[[str], Coroutine[Any, Any, object]]] = {
                "head": client.head,
                "read": client.read,
                "slice": lambda given: client.read(given, 10, 5 * MIB),
            }
            group.start_soon(verbs[verb], url)
            await anyio.to_thread.run_sync(await_condition, lambda: is_held(server, []), verb)
            group.cancel_scope.cancel()

    run(main)
    assert_idle(server.port)


def test_a_call_that_is_cancelled_while_it_connects_leaves_nothing(
    run: Run[None], unanswering: int, await_condition: Await, destination: Path
) -> None:
    def sockets() -> int:
        connections = psutil.Process().net_connections("tcp")
        return sum(bool(one.raddr) and one.raddr.port == unanswering for one in connections)

    before = sockets()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(aio.download, f"http://127.0.0.1:{unanswering}/k", destination)
            await anyio.to_thread.run_sync(await_condition, lambda: sockets() > before, "connecting")
            group.cancel_scope.cancel()
        await anyio.to_thread.run_sync(await_condition, lambda: sockets() == before, "closed")

    run(main)
    assert not list(destination.parent.iterdir())


def test_a_download_into_a_pipe_that_nobody_reads_can_be_cancelled(
    serve: Serve, run: Run[None], await_condition: Await, assert_idle: AssertIdle, stored: StoredObject, tmp_path: Path
) -> None:
    server = serve({"/b/k": stored})
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(aio.download, server.url("/b/k"), pipe)
            await anyio.to_thread.run_sync(await_condition, lambda: bool(server.requests), "asked")
            group.cancel_scope.cancel()

    run(main)
    assert pipe.is_fifo()
    assert_idle(server.port)


def test_a_call_that_is_cancelled_before_it_begins_asks_nothing(
    serve: Serve, run: Run[None], destination: Path
) -> None:
    server = serve(SMALL)

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await aio.download(server.url("/b/1"), destination)
        assert scope.cancelled_caught

    run(main)
    assert not server.requests
    assert not list(destination.parent.iterdir())


def test_a_call_that_waits_for_a_thread_can_be_cancelled_and_asks_nothing(
    serve: Serve,
    run: Run[None],
    released: threading.Event,
    await_condition: Await,
    assert_idle: AssertIdle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = serve(SMALL, faults=[faults.hold(released, after=None).on(path="/b/1").always()])
    monkeypatch.setattr(aio, "MAXIMUM_CALLS", 2)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(aio.read, server.url("/b/1"))
            await anyio.to_thread.run_sync(await_condition, lambda: len(server.requests) == 2, "both wait")
            with anyio.move_on_after(0.05) as scope:
                await aio.read(server.url("/b/2"))
            assert scope.cancelled_caught
            group.cancel_scope.cancel()

    run(main)
    assert {request.path for request in server.requests} == {"/b/1"}
    assert_idle(server.port)


def test_a_timeout_around_a_call_is_a_timeout(
    serve: Serve,
    run: Run[None],
    released: threading.Event,
    assert_idle: AssertIdle,
    stored: StoredObject,
    destination: Path,
) -> None:
    server = serve({"/b/k": stored}, faults=[faults.hold(released, after=MIB).always()])

    async def main() -> None:
        with pytest.raises(TimeoutError), anyio.fail_after(0.2):
            await aio.download(server.url("/b/k"), destination, connections=3, part_size=2 * MIB)

    run(main)
    assert not list(destination.parent.iterdir())
    assert_idle(server.port)


def test_siblings_of_a_cancelled_call_go_on(
    serve: Serve,
    run: Run[None],
    released: threading.Event,
    await_condition: Await,
    assert_idle: AssertIdle,
    stored: StoredObject,
    content: Content,
    destination: Path,
) -> None:
    server = serve(
        {"/b/k": stored, "/b/held": stored}, faults=[faults.hold(released, after=1000).on(path="/b/held").always()]
    )
    files = [destination.with_name(f"{index}.bin") for index in range(4)]

    async def main() -> None:
        cancelled = anyio.Event()
        async with aio.Client(connections=2, part_size=MIB) as client, anyio.create_task_group() as group:

            async def sibling(file: Path) -> None:
                await client.download(server.url("/b/k"), file)
                await cancelled.wait()
                assert await client.read(server.url("/b/k"), 5, 50) == content.read(5, 50)

            async def victim() -> None:
                with anyio.CancelScope() as scope:
                    group.start_soon(cancel_when_held, scope)
                    await client.download(server.url("/b/held"), destination)
                assert scope.cancelled_caught
                cancelled.set()

            async def cancel_when_held(scope: anyio.CancelScope) -> None:
                await anyio.to_thread.run_sync(await_condition, lambda: is_held(server, []), "held")
                scope.cancel()

            for file in files:
                group.start_soon(sibling, file)
            group.start_soon(victim)

    run(main)
    assert sorted(destination.parent.iterdir()) == files
    assert {hashlib.sha256(file.read_bytes()).digest() for file in files} == {hashlib.sha256(content.read()).digest()}
    assert_idle(server.port)


def test_a_call_that_fails_ends_its_siblings_and_their_files(
    serve: Serve,
    run: Run[None],
    released: threading.Event,
    await_condition: Await,
    assert_idle: AssertIdle,
    stored: StoredObject,
    destination: Path,
) -> None:
    held = faults.hold(released, after=1000).on(path="/b/held").always()
    server = serve({"/b/k": stored, "/b/held": stored}, faults=[held, faults.access_denied().on(path="/b/k")])

    async def main() -> None:
        async with aio.Client(connections=2, part_size=MIB) as client, anyio.create_task_group() as group:
            for index in range(3):
                group.start_soon(client.download, server.url("/b/held"), destination.with_name(str(index)))
            await anyio.to_thread.run_sync(await_condition, lambda: len(server.requests) >= 3, "held")
            await client.download(server.url("/b/k"), destination)

    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert caught.group_contains(AccessDenied, depth=1)
    assert not list(destination.parent.iterdir())
    assert_idle(server.port)


@pytest.mark.parametrize("seed", range(3))
def test_cancelled_at_any_moment_a_download_is_whole_or_not_there(
    serve: Serve,
    run: Run[None],
    assert_idle: AssertIdle,
    stored: StoredObject,
    content: Content,
    destination: Path,
    seed: int,
) -> None:
    server = serve({"/b/k": stored})
    moments = random.Random(seed)
    whole = hashlib.sha256(content.read()).digest()

    def check_and_remove() -> None:
        left = list(destination.parent.iterdir())
        assert left in ([], [destination])
        assert not left or hashlib.sha256(destination.read_bytes()).digest() == whole
        destination.unlink(missing_ok=True)

    async def main() -> None:
        async with aio.Client(connections=4, part_size=MIB, fsync=False) as client:
            for _ in range(25):
                with anyio.move_on_after(moments.uniform(0, 0.03)):
                    await client.download(server.url("/b/k"), destination)
                check_and_remove()
            await client.download(server.url("/b/k"), destination)

    run(main)
    assert hashlib.sha256(destination.read_bytes()).digest() == whole
    assert_idle(server.port)


def test_a_task_of_asyncio_that_is_cancelled_by_itself_leaves_nothing(
    serve: Serve,
    released: threading.Event,
    await_condition: Await,
    assert_idle: AssertIdle,
    stored: StoredObject,
    destination: Path,
) -> None:
    server = serve({"/b/k": stored}, faults=[faults.hold(released, after=1000).always()])

    async def main() -> None:
        task = asyncio.create_task(aio.download(server.url("/b/k"), destination, connections=3, part_size=MIB))
        await asyncio.to_thread(await_condition, lambda: is_held(server, []), "held")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_idle(server.port)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(aio.read(server.url("/b/k")), 0.1)

    asyncio.run(main())
    assert not list(destination.parent.iterdir())
    assert_idle(server.port)


def test_a_slow_server_is_left_at_once(
    serve: Serve,
    run: Run[None],
    await_condition: Await,
    assert_idle: AssertIdle,
    stored: StoredObject,
    destination: Path,
) -> None:
    """The server never stops sending: the connections are ended, not waited for."""
    server = serve({"/b/k": stored}, behaviour=Behaviour(rate_per_connection=20_000.0))

    async def main() -> None:
        async with anyio.create_task_group() as group:

            async def download() -> None:
                await aio.download(server.url("/b/k"), destination, connections=6, part_size=MIB)

            group.start_soon(download)
            await anyio.to_thread.run_sync(
                await_condition, lambda: sum(bool(asked.bytes_sent) for asked in server.requests) >= 6, "six at work"
            )
            group.cancel_scope.cancel()

    run(main)
    assert_idle(server.port)
    assert not list(destination.parent.iterdir())
