"""An object as an iterator of views: in order, verified at the end, and nothing left of one that is let go of."""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import anyio
import pytest

import fastget
from fastget import aio
from fastget.engine.cancellation import Cancellation
from fastget.engine.workers import worker
from fastget.errors import Cancelled, ChecksumMismatch, ConfigError, InvalidURL, NotFound, RangeNotSupported
from fastget.events import Event, Progress
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults

KIB, MIB = 1024, 1024 * 1024
Serve = Callable[..., ObjectServer]
AssertIdle = Callable[[int], None]

PARALLEL: dict[str, Any] = {"connections": 4, "part_size": 256 * KIB}


def joined(stream: Iterator[memoryview]) -> bytes:
    return b"".join(bytes(view) for view in stream)


@pytest.mark.parametrize("options", [{}, PARALLEL, {"connections": 1}], ids=["found", "four", "one"])
def test_the_views_together_are_the_object_and_the_result_says_how_it_was_verified(
    serve: Serve, stored: StoredObject, content: Content, assert_idle: AssertIdle, options: dict[str, Any]
) -> None:
    server = serve({"/b/k": stored})
    stream = fastget.stream(server.url("/b/k"), **options)
    assert joined(stream) == content.read()
    assert stream.result is not None
    assert (stream.result.size, stream.result.verification.verified) == (content.size, True)
    assert list(stream) == []
    assert_idle(server.port)


@pytest.mark.parametrize("size", [0, 1, 70_000, 256 * KIB, 256 * KIB + 1])
def test_small_objects_are_streams_too(serve: Serve, size: int) -> None:
    content = Content.generated(size, seed=3)
    with fastget.stream(serve({"/k": StoredObject(content)}).url("/k")) as stream:
        assert joined(stream) == content.read()
    assert stream.result is not None


@pytest.mark.parametrize("options", [{}, {"connections": 4}], ids=["found", "four"])
@pytest.mark.parametrize("piece", [(0, 5), (1, None), (70_000, 5_000_000), (-70_000, None), (None, -1), (5, 5), (9, 2)])
def test_a_slice_is_that_of_the_bytes(
    serve: Serve,
    stored: StoredObject,
    content: Content,
    assert_idle: AssertIdle,
    piece: tuple[int | None, int | None],
    options: dict[str, Any],
) -> None:
    server = serve({"/b/k": stored})
    stream = fastget.stream(server.url("/b/k"), *piece, **options)
    expected = content.read()[slice(*piece)]
    assert joined(stream) == expected
    assert stream.result is not None
    assert stream.result.size == len(expected)
    assert_idle(server.port)


def test_a_slice_of_several_pieces_comes_in_order_over_several_connections(serve: Serve) -> None:
    content = Content.generated(20 * MIB + 77, seed=4)
    server = serve({"/k": StoredObject(content)}, behaviour=Behaviour(rate_per_connection=8 * MIB))
    stream = fastget.stream(server.url("/k"), 1001, -1001, connections=4)
    assert joined(stream) == content.read(1001, content.size - 1001)
    assert stream.result is not None
    assert stream.result.connections == 4


def test_a_slice_of_a_server_without_ranges_is_refused(serve: Serve, stored: StoredObject) -> None:
    server = serve({"/k": stored}, faults=[faults.no_range_support().on(method=None).always()])
    with pytest.raises(RangeNotSupported):
        list(fastget.stream(server.url("/k"), 5, 50))


def test_views_cannot_be_written(serve: Serve, stored: StoredObject) -> None:
    with fastget.stream(serve({"/k": stored}).url("/k")) as stream:
        assert all(isinstance(view, memoryview) and view.readonly and len(view) for view in stream)


def test_a_view_that_is_kept_shows_no_other_bytes(serve: Serve, stored: StoredObject) -> None:
    with fastget.stream(serve({"/k": stored}).url("/k")) as stream:
        first = next(stream)
        second = next(stream)
        with pytest.raises(ValueError, match="released"):
            bytes(first)
        with memoryview(second) as kept:  # as an array would: its memory cannot be taken away
            next(stream)
            assert kept.nbytes
        last = next(stream)
    with pytest.raises(ValueError, match="released"):
        bytes(last)


def test_a_digest_that_does_not_hold_ends_the_iteration_after_the_last_byte(
    serve: Serve, stored: StoredObject, content: Content, assert_idle: AssertIdle
) -> None:
    wrong = replace(stored, headers={"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}, checksum=None, etag='"x"')
    server = serve({"/k": wrong})
    stream = fastget.stream(server.url("/k"), **PARALLEL)
    sizes: list[int] = []
    with pytest.raises(ChecksumMismatch):
        sizes.extend(len(view) for view in stream)
    assert sum(sizes) == content.size
    assert stream.result is None
    assert_idle(server.port)


def test_errors_of_the_call_come_at_once_those_of_the_object_with_the_first_view(serve: Serve) -> None:
    with pytest.raises(ConfigError):
        fastget.stream("https://host/k", connections=0)
    with pytest.raises(InvalidURL):
        fastget.stream("nowhere")
    stream = fastget.stream(serve({}).url("/missing"))
    with pytest.raises(NotFound):
        next(stream)
    assert list(stream) == []


# Endings -----------------------------------------------------------------------------------------------------------


def broken_out_of(stream: Any) -> None:
    for _ in stream:
        break


def closed(stream: Any) -> None:
    next(stream)
    stream.close()
    stream.close()
    assert list(stream) == []


def left(stream: Any) -> None:
    with stream:
        next(stream)


def never_begun(stream: Any) -> None:
    stream.close()


@pytest.mark.parametrize("end", [broken_out_of, closed, left, never_begun], ids=lambda end: end.__name__)
@pytest.mark.parametrize("piece", [(), (1000,)], ids=["whole", "slice"])
def test_a_stream_that_is_not_read_to_its_end_leaves_nothing(
    serve: Serve, stored: StoredObject, assert_idle: AssertIdle, end: Callable[[Any], None], piece: tuple[int, ...]
) -> None:
    server = serve({"/b/k": stored})
    end(fastget.stream(server.url("/b/k"), *piece, **PARALLEL))
    gc.collect()
    assert_idle(server.port)


def test_a_reader_that_waits_is_woken_by_a_cancellation(
    serve: Serve, stored: StoredObject, assert_idle: AssertIdle, released: threading.Event
) -> None:
    reached = threading.Event()
    server = serve({"/k": stored}, faults=[faults.hold(released, after=70_000, reached=reached)])
    scope = Cancellation()
    with fastget.Client() as client:
        stream = client.open_stream(server.url("/k"), None, None, scope)

        def cancel() -> None:
            reached.wait(60)
            scope.cancel()

        threading.Thread(target=cancel).start()
        with pytest.raises(Cancelled):
            list(stream)
    assert_idle(server.port)


def test_a_client_is_as_good_as_before_after_a_stream_was_dropped(
    serve: Serve, stored: StoredObject, content: Content
) -> None:
    url = serve({"/k": stored}).url("/k")
    with fastget.Client(**PARALLEL) as client:
        for _ in client.stream(url):
            break
        assert joined(client.stream(url)) == content.read()


# A slow reader -----------------------------------------------------------------------------------------------------


@pytest.mark.fault("X31")
def test_a_reader_that_pauses_is_no_server_that_stalls(serve: Serve, stored: StoredObject, content: Content) -> None:
    ticks = threading.Semaphore(0)

    def hear(event: Event) -> None:
        if isinstance(event, Progress):
            ticks.release()

    options: dict[str, Any] = {"connections": 2, "part_size": 2 * MIB, "stall_timeout": 1.0, "retries": 0}
    received = bytearray()
    with fastget.stream(serve({"/k": stored}).url("/k"), on_event=hear, **options) as stream:
        received += next(stream)
        for _ in range(15):  # each a tenth of a second after the one before
            assert ticks.acquire(timeout=60)
        for view in stream:
            received += view
    assert received == content.read()
    assert stream.result is not None
    assert stream.result.retries == 0


def test_an_answer_that_the_server_gives_up_during_a_pause_is_asked_for_again_at_no_cost(
    serve: Serve, stored: StoredObject, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LONG_PAUSE", 0.0)
    server = serve({"/k": stored}, faults=[faults.reset(after=100_000).times(3)])
    stream = fastget.stream(server.url("/k"), connections=2, part_size=MIB, retries=0)
    assert joined(stream) == content.read()
    assert stream.result is not None
    assert stream.result.retries == 0
    again = [dict(one.headers) for one in server.requests[1:]]
    assert all("if-match" in {name.lower() for name in headers} for headers in again)


# Under asyncio and trio ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("piece", [(), (1000, -5)], ids=["whole", "slice"])
def test_the_asynchronous_stream_gives_the_same(
    serve: Serve, stored: StoredObject, content: Content, backend: str, assert_idle: AssertIdle, piece: tuple[int, ...]
) -> None:
    server = serve({"/b/k": stored})

    async def main() -> bytes:
        async with aio.stream(server.url("/b/k"), *piece, **PARALLEL) as stream:
            received = b"".join([bytes(view) async for view in stream])
            assert stream.result is not None
        return received

    assert anyio.run(main, backend=backend) == content.read()[slice(*(piece or (None,)))]
    assert_idle(server.port)


async def closed_early(stream: aio.Stream) -> None:
    await anext(stream)
    await stream.aclose()


async def closed_unread(stream: aio.Stream) -> None:
    await stream.aclose()


async def failed(stream: aio.Stream) -> None:
    with pytest.raises(NotFound):
        await anext(stream)


@pytest.mark.parametrize(
    ("key", "end"),
    [("k", closed_early), ("k", closed_unread), ("missing", failed)],
    ids=["closed", "unread", "failed"],
)
def test_an_asynchronous_stream_that_is_over_gives_nothing_more_as_the_synchronous_one(
    serve: Serve, stored: StoredObject, backend: str, key: str, end: Callable[[aio.Stream], Awaitable[None]]
) -> None:
    server = serve({"/k": stored})

    async def main() -> list[bytes]:
        stream = aio.stream(server.url(f"/{key}"), **PARALLEL)
        await end(stream)
        return [bytes(view) async for view in stream]

    assert anyio.run(main, backend=backend) == []


@pytest.mark.parametrize("is_begun", [False, True])
def test_closing_an_asynchronous_stream_is_a_checkpoint_and_closes_in_any_case(
    serve: Serve, stored: StoredObject, backend: str, assert_idle: AssertIdle, is_begun: bool
) -> None:
    server = serve({"/k": stored})

    async def main() -> list[bytes]:
        stream = aio.stream(server.url("/k"), **PARALLEL)
        if is_begun:
            await anext(stream)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.aclose()
            pytest.fail("the cancellation was passed over")
        return [bytes(view) async for view in stream]

    assert anyio.run(main, backend=backend) == []
    assert_idle(server.port)


def test_after_a_wait_that_was_cancelled_an_asynchronous_stream_does_not_look_like_the_end_of_its_object(
    serve: Serve, stored: StoredObject, backend: str, released: threading.Event
) -> None:
    server = serve({"/k": stored}, faults=[faults.hold(released)])

    async def main() -> None:
        async with aio.stream(server.url("/k"), **PARALLEL) as stream:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(stream)
            with pytest.raises(Cancelled):
                await anext(stream)

    anyio.run(main, backend=backend)


def test_an_asynchronous_stream_that_is_cancelled_leaves_nothing(
    serve: Serve, stored: StoredObject, backend: str, assert_idle: AssertIdle, released: threading.Event
) -> None:
    reached = threading.Event()
    server = serve({"/k": stored}, faults=[faults.hold(released, after=70_000, reached=reached)])

    async def main() -> None:
        client = aio.Client()
        async with client, anyio.create_task_group() as group:

            async def read() -> None:
                async for _ in client.stream(server.url("/k")):
                    pass

            group.start_soon(read)
            await anyio.to_thread.run_sync(reached.wait, 60)
            group.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert_idle(server.port)
