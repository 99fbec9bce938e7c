"""Small objects in one go: the same files and verdicts as in the ordinary way, or left to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.config import Config
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.stores import Stores
from fastget.engine.small.here import Means, find
from fastget.engine.small.objects import SmallObjects
from fastget.engine.small.plain import LARGEST
from fastget.errors import Cancelled, ChecksumMismatch, DestinationError
from fastget.events import Event, Failed, Method, Repaired, Result, Retried, Started
from fastget.sinks.kept import KeptFile
from fastget.sinks.memory import MemorySink
from fastget.sources.protocol import Source
from fastget.sources.resolve import resolve
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults
from fastget.transport.pool import Pool

ServeBucket = Callable[..., ObjectServer]
DATA = bytes(range(256)) * 40
CONTENT = Content.of(DATA)
STORED = StoredObject(CONTENT, checksum=Algorithm.CRC64NVME)
PARTS = (5000, len(DATA) - 5000)
COMPOSITE = StoredObject(CONTENT, checksum=Algorithm.SHA256, checksum_type="COMPOSITE", part_sizes=PARTS)


@pytest.fixture
def serve_bucket() -> Iterator[ServeBucket]:
    """Start a server with these keys in the bucket `b`, and their bytes; it ends with the test."""
    with ExitStack() as servers:

        def begin(keys: Mapping[str, bytes | StoredObject], **options: Any) -> ObjectServer:
            objects = {f"/b/{key}": stored(found) for key, found in keys.items()}
            return servers.enter_context(ObjectServer(objects, **options))

        yield begin


def stored(found: bytes | StoredObject) -> StoredObject:
    return found if isinstance(found, StoredObject) else StoredObject(Content.of(found), checksum=Algorithm.CRC32)


@pytest.fixture
def pool() -> Iterator[Pool]:
    found = Pool(Config())
    yield found
    found.close()


def fetch(pool: Pool, url: str, path: Path, **options: Any) -> Result | None:
    small: SmallObjects[Source] = SmallObjects(pool, Stores(), Cancellation())
    with small:
        config = Config(**options)
        return small.fetch(resolve(url, config), KeptFile(path, fsync=config.fsync, overwrite=config.overwrite), config)


OBJECTS = {
    "crc64nvme": STORED,
    "sha256": StoredObject(CONTENT, checksum=Algorithm.SHA256),
    "xxhash3": StoredObject(CONTENT, checksum=Algorithm.XXHASH3),
    "etag": StoredObject(CONTENT),
    "empty": StoredObject(Content.of(b""), checksum=Algorithm.CRC32C),
    "nothing": StoredObject(CONTENT, etag='"opaque"'),
    "full-object-of-parts": StoredObject(CONTENT, checksum=Algorithm.CRC32, part_sizes=PARTS),
    "version": replace(STORED, version_id="v-1"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_the_result_is_that_of_the_ordinary_way(
    serve_bucket: ServeBucket, pool: Pool, tmp_path: Path, name: str
) -> None:
    server = serve_bucket({"k": OBJECTS[name]})
    result = fetch(pool, server.url("/b/k"), tmp_path / "small")
    assert result is not None
    expected = fastget.download(server.url("/b/k"), tmp_path / "large", on_event=lambda _: None)
    assert (tmp_path / "small").read_bytes() == (tmp_path / "large").read_bytes()
    assert replace(result, path=None, seconds=0.0) == replace(expected, path=None, seconds=0.0)
    assert len(server.requests) == 2


def test_a_buffer_that_is_used_again_holds_nothing_of_before(
    serve_bucket: ServeBucket, pool: Pool, tmp_path: Path
) -> None:
    bodies = {f"k{number}": bytes([number]) * size for number, size in enumerate((70_000, 10, 0, LARGEST, 1))}
    server = serve_bucket(bodies)
    small: SmallObjects[Source] = SmallObjects(pool, Stores(), Cancellation())
    with small:
        for name in bodies:
            config = Config(fsync=False)
            assert small.fetch(resolve(server.url(f"/b/{name}"), config), KeptFile(tmp_path / name), config)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == bodies
    assert server.connections == 1


LEFT = {
    "too large": ({"k": StoredObject(Content.generated(LARGEST + 1, seed=1))}, []),
    "composite": ({"k": COMPOSITE}, []),
    "missing": ({}, []),
    "chunked": ({"k": STORED}, [faults.chunked()]),
    "redirect": ({"k": STORED, "other": STORED}, [faults.redirect("/b/other")]),
    "refused": ({"k": STORED}, [faults.status(503)]),
    "cut": ({"k": STORED}, [faults.close_mid_body(after=100)]),
    "reset": ({"k": STORED}, [faults.reset(after=100)]),
    "damaged": ({"k": STORED}, [faults.flip_bit(offset=77)]),
    "partial": ({"k": STORED}, [faults.partial_as_200()]),
    "longer": ({"k": STORED}, [faults.declared_length(len(DATA) + 5)]),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT)
def test_what_is_unusual_is_left_to_the_ordinary_way(
    serve_bucket: ServeBucket, pool: Pool, tmp_path: Path, name: str
) -> None:
    keys, befallen = LEFT[name]
    server = serve_bucket(keys, faults=befallen)
    options = {"stall_timeout": 2.0} if name == "longer" else {}
    result = fetch(pool, server.url("/b/k"), tmp_path / "file", **options)
    if name == "partial" and result is not None:
        assert (tmp_path / "file").read_bytes() == DATA
        return
    assert result is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("H40")
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_the_store_asks_for_is_one_for_the_ordinary_way_too(
    serve_bucket: ServeBucket, pool: Pool, tmp_path: Path, status: int
) -> None:
    server, stores, config = serve_bucket({"k": STORED}, faults=[faults.slow_down(100, status)]), Stores(), Config()
    source = resolve(server.url("/b/k"), config)
    with SmallObjects[Source](pool, stores, Cancellation()) as small:
        assert small.fetch(source, KeptFile(tmp_path / "file"), config) is None
    assert stores.of(source.store).gate.enter() > 60


@pytest.mark.fault("H40")
def test_a_wait_that_a_look_at_a_file_is_told_of_is_one_for_the_ordinary_way_too(
    serve_bucket: ServeBucket, pool: Pool, tmp_path: Path
) -> None:
    server = serve_bucket({"k": STORED}, faults=[faults.slow_down(100).on(method="HEAD")])
    stores, config = Stores(), Config()
    source, path, cancellation = resolve(server.url("/b/k"), config), tmp_path / "file", Cancellation()
    with SmallObjects[Source](pool, stores, cancellation) as small:
        assert small.fetch(source, KeptFile(path), config) is not None
        means = Means(small.line, stores.of(source.store), cancellation, partial(small.room, config))
        assert find(source, KeptFile(path), config, means) is None
    assert stores.of(source.store).gate.enter() > 60


@pytest.mark.fault("N7")
def test_a_small_object_that_comes_a_byte_now_and_then_is_fetched_again(
    serve_bucket: ServeBucket, tmp_path: Path
) -> None:
    server = serve_bucket({"k": STORED}, faults=[faults.drip(rate=20).times(3)])
    url = server.url("/b/k")
    assert fastget.read(url, stall_timeout=0.3) == DATA
    fastget.pull([url], tmp_path, stall_timeout=0.3)
    assert (tmp_path / "k").read_bytes() == DATA


def test_a_file_in_the_way_is_left_to_the_ordinary_way(serve_bucket: ServeBucket, pool: Pool, tmp_path: Path) -> None:
    server = serve_bucket({"k": STORED})
    (tmp_path / "file").write_bytes(b"mine")
    assert fetch(pool, server.url("/b/k"), tmp_path / "file") is None
    assert fetch(pool, server.url("/b/k"), tmp_path / "file", overwrite=False) is None
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert server.requests == ()


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    sink = KeptFile(tmp_path / "file", fsync=True)
    assert sink.is_vacant()
    (tmp_path / "file").write_bytes(b"mine")
    assert not sink.is_vacant()
    assert sink.put(memoryview(b"theirs"), None) is False
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_directory_that_is_gone_is_an_error_of_the_destination(tmp_path: Path) -> None:
    sink = KeptFile(tmp_path / "gone" / "file")
    assert not sink.is_vacant()
    with pytest.raises(DestinationError):
        sink.put(memoryview(b""), None)


def test_a_file_that_is_put_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    assert KeptFile(tmp_path / "file").put(memoryview(b"x"), None)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("sink", [MemorySink(), KeptFile("/tmp/never-made")], ids=lambda sink: type(sink).__name__)
def test_a_sink_that_was_told_to_stop_takes_nothing(sink: Any) -> None:
    sink.abort()
    with pytest.raises(Cancelled):
        sink.put(memoryview(b"x"), None)


# Within a download of one object -------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["read", "read_into", "download"])
@pytest.mark.parametrize("fault", [faults.close_mid_body(after=100), faults.reset(after=5000)], ids=["cut", "reset"])
def test_a_body_that_breaks_off_is_fetched_again(
    serve_bucket: ServeBucket, tmp_path: Path, verb: str, fault: Any
) -> None:
    server = serve_bucket({"k": STORED}, faults=[fault])
    heard: list[Event] = []
    if verb == "read":
        assert fastget.read(server.url("/b/k"), on_event=heard.append) == DATA
    elif verb == "read_into":
        buffer = bytearray(len(DATA) + 3)
        assert fastget.read_into(server.url("/b/k"), buffer, on_event=heard.append).size == len(DATA)
        assert buffer == DATA + bytes(3)
    else:
        result = fastget.download(server.url("/b/k"), tmp_path / "k", on_event=heard.append)
        assert (tmp_path / "k").read_bytes() == DATA
        assert (result.retries, result.requests, result.verification.method) == (1, 2, Method.FULL_OBJECT)
    assert sum(isinstance(event, Retried) for event in heard) == 1


def test_without_retries_a_body_that_breaks_off_is_an_error(serve_bucket: ServeBucket, tmp_path: Path) -> None:
    server = serve_bucket({"k": STORED}, faults=[faults.close_mid_body(after=100)])
    with pytest.raises(fastget.errors.NetworkError):
        fastget.download(server.url("/b/k"), tmp_path / "k", retries=0)
    assert list(tmp_path.iterdir()) == []


def test_a_bit_that_is_lost_once_is_repaired(serve_bucket: ServeBucket, tmp_path: Path) -> None:
    server = serve_bucket({"k": STORED}, faults=[faults.flip_bit(offset=77)])
    result = fastget.download(server.url("/b/k"), tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == DATA
    assert (result.repairs, result.verification.verified) == (1, True)


def test_a_bit_that_is_lost_once_on_its_way_to_a_buffer_is_repaired_there(serve_bucket: ServeBucket) -> None:
    server = serve_bucket({"k": STORED}, faults=[faults.flip_bit(offset=77)])
    buffer = bytearray(len(DATA))
    result = fastget.read_into(server.url("/b/k"), buffer)
    assert buffer == DATA
    assert (result.repairs, result.verification.verified) == (1, True)


@pytest.mark.parametrize("size", [0, 1, len(DATA)])
def test_a_buffer_is_free_again_whatever_came_of_it(serve_bucket: ServeBucket, size: int) -> None:
    damage = faults.flip_bit(offset=77).on(path="/b/bad").always()
    server = serve_bucket({"good": DATA[:size], "bad": STORED}, faults=[damage])
    buffer = bytearray(size)
    assert fastget.read_into(server.url("/b/good"), buffer).size == size
    buffer.clear()  # which a view of it would forbid
    buffer.extend(DATA)
    with pytest.raises(ChecksumMismatch):
        fastget.read_into(server.url("/b/bad"), buffer)
    buffer.clear()


def test_a_buffer_that_is_too_small_is_refused_before_the_body_is_read(serve_bucket: ServeBucket) -> None:
    server = serve_bucket({"k": STORED}, faults=[faults.close_mid_body(after=100).always()])
    heard: list[Event] = []
    with pytest.raises(DestinationError, match="the buffer holds 10 bytes"):
        fastget.read_into(server.url("/b/k"), bytearray(10), on_event=heard.append)
    assert [type(event) for event in heard] == [Failed]
    assert len(server.requests) == 1


def test_bytes_that_stay_wrong_are_an_error(serve_bucket: ServeBucket, tmp_path: Path) -> None:
    server = serve_bucket({"k": STORED}, faults=[faults.flip_bit(offset=77).always()])
    heard: list[Event] = []
    with pytest.raises(ChecksumMismatch):
        fastget.download(server.url("/b/k"), tmp_path / "k", on_event=heard.append)
    assert list(tmp_path.iterdir()) == []
    assert isinstance(heard[0], Started)
    assert not [event for event in heard if isinstance(event, Repaired)]


def test_many_threads_read_small_objects_of_one_client(serve_bucket: ServeBucket) -> None:
    bodies = {f"k{number}": bytes([number]) * (1 + 500 * number) for number in range(40)}
    server = serve_bucket(bodies)
    with fastget.Client() as client, ThreadPoolExecutor(8) as threads:
        found = dict(zip(bodies, threads.map(lambda name: client.read(server.url(f"/b/{name}")), bodies), strict=True))
    assert found == bodies
    assert len(server.requests) == 40
