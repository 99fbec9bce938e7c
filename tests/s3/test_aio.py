"""get_object under asyncio and trio: the same answer, and reads that can be cancelled."""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

import fastget
from fastget.errors import Cancelled, ChecksumMismatch, ConfigError, NotFound
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults

Serve = Callable[..., ObjectServer]
Run = Callable[[Callable[[], Awaitable[None]]], None]

CONTENT = Content.generated(300_000, seed=5)
STORED = StoredObject(CONTENT, checksum=Algorithm.SHA256)
LINES = StoredObject(Content.of(b"one\ntwo\r\nthree\n\nlast"), checksum=Algorithm.CRC32)


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    return lambda main: anyio.run(main, backend=str(request.param))


@pytest.fixture
def given(client_of: Any) -> Callable[[ObjectServer], dict[str, Any]]:
    return lambda server: {"Bucket": "b", "Key": "k", "client": client_of(server)}


def test_the_answer_is_that_of_the_synchronous_call(serve: Serve, run: Run, given: Any) -> None:
    server = serve({"/b/k": StoredObject(CONTENT, headers={"Date": "Sat, 21 Nov 2026 09:00:00 GMT"})})
    expected = fastget.s3.get_object(**given(server), Range="bytes=5-99")
    expected.pop("Body").close()

    async def main() -> None:
        answer = await fastget.aio.s3.get_object(**given(server), Range="bytes=5-99")
        async with answer.pop("Body") as body:
            assert await body.read() == CONTENT.read(5, 100)
        assert answer == expected

    run(main)


def test_every_way_of_reading_brings_the_bytes_and_verifies_them(serve: Serve, run: Run, given: Any) -> None:
    server = serve({"/b/k": STORED})

    async def main() -> None:
        answer = await fastget.aio.s3.get_object(**given(server))
        body = answer["Body"]
        assert not body.verification
        assert await body.read(5) == CONTENT.read(0, 5)
        assert await body.read(amt=2) == CONTENT.read(5, 7)
        assert body.tell() == 7
        assert b"".join([chunk async for chunk in body.iter_chunks(7000)]) == CONTENT.read(7)
        assert body.verification.verified
        answer = await fastget.aio.s3.get_object(**given(server))
        assert b"".join([chunk async for chunk in answer["Body"]]) == CONTENT.read()
        await answer["Body"].close()
        assert answer["Body"].tell() == 300_000
        assert "300000 of 300000" in repr(answer["Body"])

    run(main)


def test_a_body_is_an_iterator_over_its_chunks(serve: Serve, run: Run, given: Any) -> None:
    """So leaving a loop over it early leaves no generator behind, which trio would warn of."""
    server = serve({"/b/k": STORED})

    async def main() -> None:
        async with (await fastget.aio.s3.get_object(**given(server)))["Body"] as body:
            found = b""
            async for chunk in body:
                found = chunk
                break
            assert found + await anext(body) + await body.read() == CONTENT.read()
            with pytest.raises(StopAsyncIteration):
                await anext(body)
            gc.collect()

    run(main)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_lines_are_those_of_the_synchronous_body(serve: Serve, run: Run, given: Any, size: int) -> None:
    server = serve({"/b/k": LINES})
    expected = list(fastget.s3.get_object(**given(server))["Body"].iter_lines(size))

    async def main() -> None:
        async with (await fastget.aio.s3.get_object(**given(server)))["Body"] as body:
            assert [line async for line in body.iter_lines(size)] == expected
        async with (await fastget.aio.s3.get_object(**given(server)))["Body"] as body:
            assert await body.readline() == b"one\n"

    run(main)


def test_an_asynchronous_client_lends_its_connections(serve: Serve, run: Run) -> None:
    server = serve({"/b/k": STORED})

    async def main() -> None:
        options: dict[str, Any] = {"endpoint_url": server.base_url, "region": "us-east-1", "no_sign_request": True}
        async with fastget.aio.Client(**options, addressing_style="path") as client:
            for _ in range(3):
                answer = await fastget.aio.s3.get_object(Bucket="b", Key="k", client=client)
                assert await answer["Body"].read() == CONTENT.read()

    run(main)
    assert server.connections == 1


def test_errors_are_those_of_the_synchronous_call(serve: Serve, run: Run, given: Any) -> None:
    server = serve({"/b/k": STORED}, faults=[faults.flip_bit(7)])

    async def main() -> None:
        answer = await fastget.aio.s3.get_object(**given(server))
        with pytest.raises(ChecksumMismatch):
            await answer["Body"].read()
        with pytest.raises(NotFound):
            await fastget.aio.s3.get_object(**{**given(server), "Key": "none"})
        with pytest.raises(ConfigError):
            await fastget.aio.s3.get_object(**given(server), PartNumber=0)

    run(main)


def test_an_error_of_a_body_stays(serve: Serve, run: Run, given: Any) -> None:
    server = serve({"/b/k": STORED}, faults=[faults.flip_bit(7)])

    async def main() -> None:
        body = (await fastget.aio.s3.get_object(**given(server)))["Body"]
        for read in (body.read, body.read, body.readline):
            with pytest.raises(ChecksumMismatch):
                await read()

    run(main)


def test_a_size_that_cannot_be_costs_no_byte(serve: Serve, run: Run, given: Any) -> None:
    server = serve({"/b/k": STORED})

    async def main() -> None:
        body = (await fastget.aio.s3.get_object(**given(server)))["Body"]
        with pytest.raises(TypeError):
            await body.read("5")
        assert await body.read() == CONTENT.read()

    run(main)


def test_a_read_that_is_cancelled_ends_the_body_and_its_connection(
    serve: Serve, run: Run, given: Any, await_gone: Any
) -> None:
    release, reached = threading.Event(), threading.Event()
    server = serve({"/b/k": STORED}, faults=[faults.hold(release, after=1000, reached=reached)])

    async def main() -> None:
        answer = await fastget.aio.s3.get_object(**given(server))
        body = answer["Body"]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(body.read)
            await anyio.to_thread.run_sync(reached.wait, 30)
            tasks.cancel_scope.cancel()
        with pytest.raises(Cancelled):
            await body.read(1)
        await body.close()

    try:
        run(main)
    finally:
        release.set()
    await_gone(server)


def test_a_read_that_is_cancelled_before_it_begins_ends_the_body_as_well(
    serve: Serve, run: Run, given: Any, await_gone: Any
) -> None:
    content = Content.generated(30_000_000, seed=2)
    server = serve({"/b/k": StoredObject(content, checksum=Algorithm.CRC32)})

    async def main() -> None:
        body = (await fastget.aio.s3.get_object(**given(server)))["Body"]
        assert await body.read(10) == content.read(0, 10)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await body.read(10)
        await anyio.to_thread.run_sync(await_gone, server)
        assert not body.verification.verified
        for _ in range(2):
            with pytest.raises(Cancelled):
                await body.read(1)
        await body.close()
        assert body.tell() == 10

    run(main)


def test_closing_a_body_is_a_checkpoint_and_closes_in_any_case(
    serve: Serve, run: Run, given: Any, await_gone: Any
) -> None:
    server = serve({"/b/k": STORED})

    async def main() -> None:
        body = (await fastget.aio.s3.get_object(**given(server)))["Body"]
        with anyio.CancelScope() as scope:
            scope.cancel()
            await body.close()
            pytest.fail("the cancellation was passed over")
        with pytest.raises(ValueError, match="closed"):
            await body.read(1)

    run(main)
    await_gone(server)


def test_a_call_that_is_cancelled_leaves_no_connection(serve: Serve, run: Run, given: Any, await_gone: Any) -> None:
    release, reached = threading.Event(), threading.Event()
    server = serve({"/b/k": STORED}, faults=[faults.hold(release, after=None, reached=reached)])

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: fastget.aio.s3.get_object(**given(server)))
            await anyio.to_thread.run_sync(reached.wait, 30)
            tasks.cancel_scope.cancel()

    try:
        run(main)
    finally:
        release.set()
    await_gone(server)


def test_leaving_the_block_early_drops_the_connection(serve: Serve, run: Run, given: Any, await_gone: Any) -> None:
    content = Content.generated(30_000_000, seed=2)
    server = serve({"/b/k": StoredObject(content, checksum=Algorithm.CRC32)})

    async def main() -> None:
        async with (await fastget.aio.s3.get_object(**given(server)))["Body"] as body:
            assert await body.read(10) == content.read(0, 10)
        assert not body.verification.verified

    run(main)
    await_gone(server)
