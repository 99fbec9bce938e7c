"""Objects, slices and ranges straight into memory of the caller: what it gets, what it keeps, and how it is let go."""

from __future__ import annotations

import ctypes
import gc
import mmap
import ssl
import threading
import weakref
from array import array
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest
import trustme

import fastget
from fastget import aio
from fastget.buffers import allocated
from fastget.errors import ConfigError, DestinationError, NetworkError, RangeNotSupported, SourceChanged, Unverifiable
from fastget.events import Method
from fastget.testing import Algorithm, Behaviour, Content, ETags, ObjectServer, StoredObject, faults

MIB = 1024 * 1024
Serve = Callable[..., ObjectServer]
AssertIdle = Callable[[int], None]
Await = Callable[[Callable[[], bool], str], None]


@pytest.mark.parametrize("connections", [None, 1, 4])
def test_a_whole_object_is_verified_in_the_buffer(
    serve: Serve, stored: StoredObject, content: Content, connections: int | None
) -> None:
    server = serve({"/b/k": stored})
    into = bytearray(content.size)
    result = fastget.read_into(server.url("/b/k"), into, connections=connections, part_size=MIB)
    assert into == content.read()
    assert (result.size, result.path, result.etag) == (content.size, None, stored.etag)
    assert (result.verification.method, result.verification.verified) == (Method.FULL_OBJECT, True)


@pytest.fixture
def no_garbage_collector() -> Iterator[None]:
    """Memory is freed by what lets go of it, or not at all."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    "read",
    [
        lambda client, url: client.read(url),
        lambda client, url: client.read(url, 1),
        lambda client, url: client.read_ranges(url, [(0, 3 * MIB), (2 * MIB, 4 * MIB)]),
        lambda client, url: client.read_ranges(url, [(0, 2 * MIB), (4 * MIB, 5 * MIB)], connections=2),
    ],
    ids=["whole", "slice", "ranges", "ranges of two requests"],
)
@pytest.mark.usefixtures("no_garbage_collector")
def test_memory_is_freed_with_the_last_of_what_was_read(
    serve: Serve, stored: StoredObject, monkeypatch: pytest.MonkeyPatch, read: Callable[[fastget.Client, str], Any]
) -> None:
    made: list[weakref.ref[Any]] = []

    def noted(size: int, least_mapping: int) -> memoryview:
        view = allocated(size, least_mapping)
        made.append(weakref.ref(view.obj))
        return view

    monkeypatch.setattr("fastget.sinks.memory.allocated", noted)
    server = serve({"/b/k": stored})
    with fastget.Client() as client:
        found = read(client, server.url("/b/k"))
        assert len(made) == 1
        del found
        assert made[0]() is None


BROKEN = faults.reset(after=100_000).always()


@pytest.mark.parametrize(
    ("read", "fault"),
    [
        (lambda url, into: fastget.read_into(f"{url}/none", into), None),
        (lambda url, into: fastget.read_into(f"{url}/none", into, 5), None),
        (lambda url, into: fastget.read_into(f"{url}/b/k", into, retries=0), BROKEN),
        (lambda url, into: fastget.read_into(f"{url}/b/k", into, retries=0, connections=3, part_size=MIB), BROKEN),
        (lambda url, into: fastget.read_into(f"{url}/b/k", into, 0, retries=0), BROKEN),
        (lambda url, into: fastget.read_ranges(f"{url}/b/k", [(0, 9), (MIB, 4 * MIB)], into, retries=0), BROKEN),
        (lambda url, into: fastget.read_ranges(f"{url}/b/k", [(0, 1), (0, 9 * MIB)], [into, into]), None),
    ],
    ids=["missing", "missing slice", "broken", "broken pieces", "broken slice", "broken ranges", "small"],
)
@pytest.mark.usefixtures("no_garbage_collector")
def test_memory_is_the_callers_alone_when_a_read_of_it_has_failed(
    serve: Serve, stored: StoredObject, content: Content, read: Callable[[str, Any], Any], fault: Any
) -> None:
    """Leaving the block closes the mapping, which is an error of its own while there is a view of it."""
    server = serve({"/b/k": stored}, faults=[fault] if fault else [])
    with pytest.raises(fastget.FastgetError), mmap.mmap(-1, content.size) as into:
        read(server.base_url, into)


@pytest.mark.parametrize(
    "read",
    [
        lambda client, url, into: client.read_into(url, into),
        lambda client, url, into: client.read_into(url, into, 0),
        lambda client, url, into: len(client.read_ranges(url, [(0, 9), (MIB, 4 * MIB)], into)),
    ],
    ids=["whole", "slice", "ranges"],
)
@pytest.mark.parametrize("is_secured", [False, True], ids=["http", "https"])
@pytest.mark.usefixtures("no_garbage_collector")
def test_memory_is_the_callers_alone_after_a_connection_broke_on_the_way(
    serve: Serve, stored: StoredObject, content: Content, read: Callable[..., Any], is_secured: bool
) -> None:
    context = None
    if is_secured:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = serve({"/b/k": stored}, faults=[faults.reset(after=100_000)], tls=context)
    with fastget.Client(insecure=is_secured) as client, mmap.mmap(-1, content.size) as into:
        read(client, server.url("/b/k"), into)
    assert server.faults_happened


@pytest.mark.usefixtures("no_garbage_collector")
@pytest.mark.parametrize("start", [None, 0])
@pytest.mark.parametrize("after", [0, 1000, 50_000])
def test_memory_is_the_callers_alone_after_a_connection_that_broke_for_good(
    serve: Serve, start: int | None, after: int
) -> None:
    stored = StoredObject(Content.generated(100_000))
    server = serve({"/b/k": stored}, faults=[faults.reset(after=after).always()])
    into = bytearray(stored.content.size)
    with pytest.raises(NetworkError) as caught:
        fastget.read_into(server.url("/b/k"), into, start, retries=0)
    into.clear()  # which cannot be done while anybody holds it
    assert caught.value.__traceback__ is not None


def test_memory_is_the_callers_alone_after_another_plan_was_needed(
    serve: Serve, stored: StoredObject, content: Content
) -> None:
    broken = (faults.range_ignored().always(), faults.reset(after=100_000).times(4))
    server = serve({"/b/k": stored}, faults=broken)
    with mmap.mmap(-1, content.size) as into:
        fastget.read_into(server.url("/b/k"), into)
        assert into[:] == content.read()
    assert len(server.faults_happened) > 4


def test_what_lies_behind_the_object_is_left_alone(serve: Serve, stored: StoredObject, content: Content) -> None:
    server = serve({"/b/k": stored})
    into = mmap.mmap(-1, content.size + 100)
    into[content.size :] = b"\xaa" * 100
    assert fastget.read_into(server.url("/b/k"), into).size == content.size
    assert into[: content.size] == content.read()
    assert into[content.size :] == b"\xaa" * 100
    into.close()  # which nobody holds any more


def test_a_buffer_that_is_too_small_for_the_object_is_an_error(serve: Serve, stored: StoredObject) -> None:
    server = serve({"/b/k": stored})
    with pytest.raises(DestinationError, match="the buffer holds 10 bytes"):
        fastget.read_into(server.url("/b/k"), bytearray(10))


def test_an_object_of_unknown_length_comes_into_a_buffer_that_holds_it(serve: Serve, content: Content) -> None:
    server = serve({"/b/k": StoredObject(content)}, faults=[faults.chunked().always()])
    into = bytearray(content.size + 5)
    assert fastget.read_into(server.url("/b/k"), into).size == content.size
    assert into == content.read() + bytes(5)


def test_one_that_turns_out_longer_than_the_buffer_is_an_error(serve: Serve, content: Content) -> None:
    server = serve({"/b/k": StoredObject(content)}, faults=[faults.chunked().always()])
    with pytest.raises(DestinationError, match="too small"):
        fastget.read_into(server.url("/b/k"), bytearray(content.size - 5))


def test_damage_is_repaired_in_the_buffer(serve: Serve, content: Content) -> None:
    parts = StoredObject(
        content, part_sizes=(MIB, 3 * MIB, 2 * MIB + 4321), checksum=Algorithm.CRC32C, checksum_type="COMPOSITE"
    )
    server = serve({"/b/k": parts}, faults=[faults.flip_bit(2 * MIB)])
    into = bytearray(content.size)
    result = fastget.read_into(server.url("/b/k"), into, connections=3)
    assert into == content.read()
    assert (result.repairs, result.verification.verified) == (1, True)


@pytest.mark.parametrize("start", [0, 1, 3 * MIB, -1000, -7 * MIB])
@pytest.mark.parametrize("length", [0, 1, 1000, 2 * MIB])
def test_a_start_makes_it_a_slice_as_long_as_the_buffer(
    serve: Serve, stored: StoredObject, content: Content, start: int, length: int
) -> None:
    server = serve({"/b/k": stored})
    into = bytearray(length)
    result = fastget.read_into(server.url("/b/k"), into, start)
    first = start if start >= 0 else max(content.size + start, 0)
    expected = content.read()[first : first + length]
    assert into[: result.size] == expected
    assert result.size == len(expected)
    assert result.verification.method is Method.SIZE
    assert not result.verification.verified
    assert result.verification.reason


@pytest.mark.parametrize("start", [6 * MIB, 60 * MIB])
def test_a_slice_ends_where_the_object_does(serve: Serve, stored: StoredObject, content: Content, start: int) -> None:
    server = serve({"/b/k": stored})
    into = bytearray(b"\xaa") * 10_000
    result = fastget.read_into(server.url("/b/k"), into, start)
    expected = content.read()[start:]
    assert result.size == len(expected)
    assert into == expected + b"\xaa" * (10_000 - len(expected))


def test_a_long_slice_comes_over_several_connections(serve: Serve) -> None:
    content = Content.generated(40 * MIB + 11, seed=3)
    server = serve({"/b/k": StoredObject(content)}, behaviour=Behaviour(rate_per_connection=16 * MIB))
    into = array("d", bytes(32 * MIB))
    result = fastget.read_into(server.url("/b/k"), into, 1000, connections=3)
    assert into.tobytes() == content.read(1000, 1000 + 32 * MIB)
    assert (result.size, result.split, result.connections) == (32 * MIB, "range", 3)
    assert result.requests == len(server.requests)


class Narrow:
    """A whole number that has no room for a larger one, as those of numpy."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __ge__(self, other: int) -> bool:
        return self.value >= other

    def __add__(self, other: int) -> Narrow:
        return Narrow((self.value + other + 128) % 256 - 128)


def test_a_start_may_be_a_number_of_a_few_bits(serve: Serve, stored: StoredObject, content: Content) -> None:
    server = serve({"/b/k": stored})
    into, start = bytearray(200), Narrow(100)
    assert fastget.read_into(server.url("/b/k"), into, start).size == 200  # type: ignore[arg-type]
    assert into == content.read(100, 300)


@pytest.mark.parametrize("start", ["5", 0.0, [1]])
def test_a_start_that_is_no_whole_number_is_told(serve: Serve, stored: StoredObject, start: Any) -> None:
    server = serve({"/b/k": stored})
    with pytest.raises(ConfigError, match="whole number"):
        fastget.read_into(server.url("/b/k"), bytearray(10), start)
    assert not server.requests


@pytest.mark.parametrize("etags", [ETags.WEAK, ETags.NONE])
def test_without_a_strong_etag_a_long_slice_is_one_answer(serve: Serve, etags: ETags) -> None:
    content = Content.generated(20 * MIB, seed=3)
    server = serve({"/b/k": StoredObject(content)}, behaviour=Behaviour(etags=etags))
    into = bytearray(19 * MIB)
    assert fastget.read_into(server.url("/b/k"), into, 100).size == 19 * MIB
    assert into == content.read(100, 100 + 19 * MIB)
    assert server.requests[-1].headers.get("range") == f"bytes=100-{19 * MIB + 99}"


def test_a_slice_of_an_object_that_changes_midway_is_an_error(serve: Serve) -> None:
    stored, other = (StoredObject(Content.generated(40 * MIB, seed=seed)) for seed in (1, 2))
    server = serve({"/b/k": stored}, faults=[faults.replaced(other).on(request=2)])
    with pytest.raises(SourceChanged):
        fastget.read_into(server.url("/b/k"), bytearray(30 * MIB), 0, connections=2)


def test_a_slice_cannot_be_verified(serve: Serve, stored: StoredObject) -> None:
    server = serve({"/b/k": stored})
    with pytest.raises(Unverifiable):
        fastget.read_into(server.url("/b/k"), bytearray(10), 0, require_verified=True)
    assert not server.requests


def test_a_slice_needs_a_server_with_ranges(serve: Serve, stored: StoredObject) -> None:
    server = serve({"/b/k": stored}, behaviour=Behaviour(ranges=False))
    with pytest.raises(RangeNotSupported):
        fastget.read_into(server.url("/b/k"), bytearray(10), 5)


def released() -> memoryview:
    view = memoryview(bytearray(8))
    view.release()
    return view


@pytest.mark.parametrize(
    "buffer",
    [b"bytes", memoryview(bytearray(8))[::2], "text", None, released(), (ctypes.py_object * 2)()],
    ids=["bytes", "strided", "text", "none", "released", "objects"],
)
def test_what_cannot_be_written_is_refused_before_any_request(serve: Serve, stored: StoredObject, buffer: Any) -> None:
    server = serve({"/b/k": stored})
    with pytest.raises(ConfigError):
        fastget.read_into(server.url("/b/k"), buffer)
    with pytest.raises(ConfigError):
        fastget.read_ranges(server.url("/b/k"), [(0, 8)], [buffer])
    assert not server.requests


class Numbered(ctypes.Structure):
    _fields_ = (("Offset", ctypes.c_int), ("O", ctypes.c_double))


def test_any_numbers_can_be_written_whatever_their_names_are(
    serve: Serve, stored: StoredObject, content: Content
) -> None:
    into = (Numbered * 4)()
    assert fastget.read_into(serve({"/b/k": stored}).url("/b/k"), into, 0).size == 64
    assert bytes(into) == content.read(0, 64)


# Awaitable ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Runs a coroutine function to its end in an event loop of its own."""
    return lambda main: anyio.run(main, backend=request.param)


def test_the_awaitable_verbs_give_the_same(
    serve: Serve, stored: StoredObject, content: Content, run: Callable[..., None], assert_idle: AssertIdle
) -> None:
    server = serve({"/b/k": stored})
    url, asked = server.url("/b/k"), [(MIB, MIB + 100), (0, 7)]

    async def main() -> None:
        whole, part, ranges = bytearray(content.size), bytearray(50), bytearray(107)
        assert (await aio.read_into(url, whole)).verification.verified
        assert (await aio.read_into(url, part, -50)).size == 50
        found = await aio.read_ranges(url, asked, ranges)
        assert whole == content.read()
        assert part == content.read()[-50:]
        assert [bytes(one) for one in found] == [content.read(*one) for one in asked]
        assert ranges == b"".join(found)

    run(main)
    assert_idle(server.port)


@pytest.mark.parametrize("held", ["first answer", "later answers"])
def test_cancelled_ranges_leave_nothing_at_work(
    serve: Serve,
    stored: StoredObject,
    content: Content,
    run: Callable[..., None],
    released: threading.Event,
    assert_idle: AssertIdle,
    await_condition: Await,
    held: str,
) -> None:
    hold = faults.hold(released, after=1000)
    server = serve({"/b/k": stored}, faults=[hold if held == "first answer" else hold.on(request=3).always()])
    asked = [(at, at + 5000) for at in range(0, 6 * MIB, 300_000)]

    def is_held() -> bool:
        return any("hold" in request.faults for request in server.requests)

    async def main() -> None:
        async with aio.Client(connections=4) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.read_ranges, server.url("/b/k"), asked)
                await anyio.to_thread.run_sync(await_condition, is_held, "an answer is held")
                group.cancel_scope.cancel()
            assert_idle(server.port)
            released.set()
            found = await client.read_ranges(server.url("/b/k"), asked)
            assert [bytes(one) for one in found] == [content.read(*one) for one in asked]

    run(main)
