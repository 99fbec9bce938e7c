"""Listings from end to end: every key once and in order, whatever the store is like, in little memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

import fastget
from fastget import aio
from fastget.errors import AccessDenied, ConfigError, InvalidURL, NotFound, ProtocolError, Throttled
from fastget.events import Event, Retried
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults
from fastget.testing.answer import Answer, document
from fastget.testing.operations.listing import DeleteMarker, Listing
from fastget.testing.received import ReceivedRequest

Serve = Callable[..., ObjectServer]
Await = Callable[[Callable[[], bool], str], None]
AssertIdle = Callable[[int], None]
Script = Callable[..., str]

SMALL = Content.of(b"abc")
ODD = sorted(
    [
        "a b",
        "a%20b",
        "a+b",
        "a//b",
        "ctl\x01",
        "dir/",
        "dir/a",
        "dir/sub/x",
        "nl\nx",
        "q?x=1&y#z",
        "ü/日",
        "\U0001f600",
    ],
    key=str.encode,
)
OBJECTS = {f"/b/{key}": StoredObject(SMALL, checksum=Algorithm.CRC64NVME) for key in ODD}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMARKED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marked")


def options(server: ObjectServer, **more: Any) -> dict[str, Any]:
    return {"endpoint_url": server.base_url, "region": "us-east-1", **more}


def keys(server: ObjectServer, url: str = "s3://b", **more: Any) -> list[str | None]:
    return [info.key for info in fastget.ls(url, **options(server, **more))]


@pytest.mark.fault("H58")
@pytest.mark.parametrize("store", [{}, {"knows_second": False}, {"page_size": 1}, {"page_size": 3}], ids=str)
def test_every_key_is_listed_once_and_as_it_is(serve: Serve, store: dict[str, Any]) -> None:
    server = serve({}, operations=[Listing(OBJECTS, **store)])
    assert keys(server) == ODD
    assert keys(server, "s3://b/dir/") == ["dir/", "dir/a", "dir/sub/x"]
    assert keys(server, start_after="dir/a") == ODD[ODD.index("dir/a") + 1 :]
    assert keys(server, recursive=False) == sorted(
        [*(key for key in ODD if "/" not in key), "a/", "dir/", "ü/"], key=str.encode
    )
    assert keys(server, "s3://b/dir/", delimiter="sub") == ["dir/", "dir/a", "dir/sub"]
    assert keys(server, "s3://b/none") == []


@pytest.mark.fault("N7")
def test_a_page_that_comes_a_byte_now_and_then_is_asked_for_again(serve: Serve) -> None:
    server = serve({}, operations=[Listing(OBJECTS)], faults=[faults.drip(rate=20).times(1)])
    assert keys(server, stall_timeout=0.3) == ODD
    assert len(server.requests) == 2


def test_a_store_that_ignores_encoding_is_read_as_it_writes(serve: Serve) -> None:
    plain = {path: stored for path, stored in OBJECTS.items() if path.isprintable()}
    server = serve({}, operations=[Listing(plain, encodes=False, page_size=3)])
    assert keys(server) == [key for key in ODD if key.isprintable()]


def test_an_entry_has_what_a_listing_says_and_its_url_can_be_downloaded(serve: Serve) -> None:
    server = serve(OBJECTS, operations=[Listing(OBJECTS)])
    for info in fastget.ls("s3://b/a", **options(server)):
        assert (info.size, info.etag, info.storage_class) == (3, StoredObject(SMALL).etag, "STANDARD")
        assert (info.checksum_algorithms, info.checksum_type) == (("CRC64NVME",), "FULL_OBJECT")
        assert info.modified is not None
        assert fastget.read(info.url, **options(server)) == b"abc"


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_versions_and_delete_markers_are_listed_newest_first(serve: Serve, page_size: int) -> None:
    stored: dict[str, list[StoredObject | DeleteMarker]] = {
        "/b/a": [StoredObject(SMALL, version_id="1"), StoredObject(SMALL, version_id="2"), DeleteMarker("m")],
        "/b/k": [StoredObject(SMALL, version_id="1")],
    }
    server = serve({}, operations=[Listing(stored)])
    found = fastget.ls("s3://b", versions=True, page_size=page_size, **options(server))
    assert [(info.key, info.version_id, info.is_latest, info.is_delete_marker) for info in found] == [
        ("a", "m", True, True),
        ("a", "2", False, False),
        ("a", "1", False, False),
        ("k", "1", True, False),
    ]
    assert keys(server) == ["k"]


def test_what_cannot_be_meant_is_told_before_anything_is_sent(serve: Serve) -> None:
    server = serve(OBJECTS)
    with pytest.raises(InvalidURL, match="web server"):
        fastget.ls(server.url("/b/"))
    with pytest.raises(InvalidURL, match="names no bucket"):
        fastget.ls("s3://", **options(server))
    with pytest.raises(ConfigError, match="page_size"):
        fastget.ls("s3://b", page_size=0, **options(server))
    with pytest.raises(ConfigError, match="delimiter"):
        fastget.ls("s3://b", delimiter="", **options(server))
    assert server.requests == ()


@pytest.mark.row(88)
def test_options_of_the_account_go_with_every_page(serve: Serve) -> None:
    server = serve({}, operations=[Listing(OBJECTS, page_size=4)])
    owner: dict[str, Any] = {
        "request_payer": "requester",
        "expected_bucket_owner": "123456789012",
        "headers": {"X-Mine": "1"},
    }
    assert keys(server, **owner) == ODD
    assert len(server.requests) == 3
    for request in server.requests:
        assert request.headers.get("x-amz-request-payer") == "requester"
        assert request.headers.get("x-amz-expected-bucket-owner") == "123456789012"
        assert request.headers.get("x-mine") == "1"


# Failures --------------------------------------------------------------------------------------------------------


def test_refusals_have_their_meaning(serve: Serve) -> None:
    with pytest.raises(NotFound, match="no such bucket") as caught:
        keys(serve({}, operations=[Listing(OBJECTS)]), "s3://none/x")
    assert caught.value.reply is not None
    assert caught.value.reply.request_id
    denied = document(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
    with pytest.raises(AccessDenied):
        keys(serve({}, operations=[lambda _: denied]))


def test_a_page_that_fails_is_asked_for_again_and_nothing_is_listed_twice(serve: Serve) -> None:
    chosen = [
        faults.slow_down(retry_after=0).on(request=1),
        faults.reset(after=500).on(request=3),
        faults.close_mid_body(after=300).on(request=5),
    ]
    server = serve({}, operations=[Listing(OBJECTS, page_size=3)], faults=chosen)
    events: list[Event] = []
    assert keys(server, on_event=events.append) == ODD
    assert sum(isinstance(event, Retried) for event in events) == 3


def test_a_store_that_only_throttles_is_given_up(serve: Serve) -> None:
    server = serve({}, operations=[Listing(OBJECTS)], faults=[faults.slow_down(retry_after=0).always()])
    with pytest.raises(Throttled):
        keys(server, retries=1)
    assert len(server.requests) == 2


def page_of(body: str, **fields: str) -> Answer:
    """A page by hand."""
    head = "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())
    return document(200, f"<ListBucketResult>{head}{body}</ListBucketResult>".encode())


@pytest.mark.fault("H57", "S9", "S17")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (page_of("<Contents><Key>p/a</Key></Contents>", IsTruncated="true", NextContinuationToken="t"), "circle|back"),
        (page_of("<Contents><Key>../x</Key></Contents>"), "prefix"),
        (document(200, b"<!DOCTYPE x><ListBucketResult/>"), "document type"),
        (document(200, b"<html/>"), "another kind"),
        (document(200, b"<ListBucketResult>&x;</ListBucketResult>"), "XML"),
    ],
)
def test_a_listing_that_lies_is_a_protocol_error(serve: Serve, answer: Answer, said: str) -> None:
    server = serve({}, operations=[lambda _: answer])
    with pytest.raises(ProtocolError, match=said):
        keys(server, "s3://b/p/")
    assert len(server.requests) <= 3


def endless(request: ReceivedRequest) -> Answer:
    """Pages of a thousand keys, one after another, for ever."""
    turn = int(request.parameter("continuation-token") or 0)
    entries = "".join(
        f"<Contents><Key>{turn:08}/{index:04}/{'x' * 40}</Key><LastModified>2026-03-02T10:20:30.000Z</LastModified>"
        f"<ETag>&quot;{'0' * 32}&quot;</ETag><Size>{index}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for index in range(1000)
    )
    return page_of(entries, IsTruncated="true", NextContinuationToken=str(turn + 1))


MEASURE = """
import itertools, json, sys
import fastget

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

options, count = json.loads(sys.argv[1]), int(sys.argv[2])
found = fastget.ls("s3://b", **options)
first = sum(1 for _ in itertools.islice(found, 5000))
before = peak()
rest = sum(1 for _ in itertools.islice(found, count - first))
print(json.dumps({"count": first + rest, "growth": peak() - before}))
del found  # which has a connection
"""


@pytest.mark.fault("S16")
def test_memory_does_not_grow_with_the_number_of_keys(serve: Serve, script: Script) -> None:
    """With 1,000,000 in place of 30,000 it grows no more than here; that takes a minute."""
    server = serve({}, operations=[endless])
    outcome = json.loads(script(MEASURE, json.dumps(options(server)), "30000"))
    assert outcome["count"] == 30_000
    assert outcome["growth"] < 4 * 1024 * 1024


def test_a_listing_that_is_left_holds_nothing(serve: Serve, assert_idle: AssertIdle) -> None:
    server = serve({}, operations=[endless])
    found = fastget.ls("s3://b", **options(server))
    assert next(found).size == 0
    del found
    assert_idle(server.port)


# Awaitable -------------------------------------------------------------------------------------------------------

Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    return lambda main: anyio.run(main, backend=str(request.param))


def test_the_asynchronous_listing_is_the_same(serve: Serve, run: Run, assert_idle: AssertIdle) -> None:
    server = serve({}, operations=[Listing(OBJECTS, page_size=3)])
    expected = list(fastget.ls("s3://b", **options(server)))

    async def main() -> None:
        assert [info async for info in aio.ls("s3://b", **options(server))] == expected
        async with aio.Client(**options(server)) as client:
            assert [info async for info in client.ls("s3://b", recursive=True)] == expected
            with pytest.raises(InvalidURL):
                client.ls("https://host/")
            with pytest.raises(NotFound):
                [info async for info in client.ls("s3://none")]

    run(main)
    assert_idle(server.port)


def test_an_asynchronous_listing_may_be_left_at_any_point(serve: Serve, run: Run, assert_idle: AssertIdle) -> None:
    server = serve({}, operations=[endless])

    async def main() -> None:
        listing = aio.ls("s3://b", **options(server))
        async for info in listing:
            if info.size == 7:
                break
        await listing.aclose()
        assert [info async for info in listing] == []

    run(main)
    assert_idle(server.port)


@pytest.mark.parametrize("pages", [0, 2])
def test_a_cancelled_page_leaves_nothing(
    serve: Serve, run: Run, released: threading.Event, await_condition: Await, assert_idle: AssertIdle, pages: int
) -> None:
    held = faults.hold(released, after=None).on(request=pages + 1)
    server = serve({}, operations=[Listing(OBJECTS, page_size=3)], faults=[held])
    found: list[str | None] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:

            async def collect() -> None:
                async for info in aio.ls("s3://b", **options(server)):
                    found.append(info.key)  # noqa: PERF401  what came before the end counts

            group.start_soon(collect)
            await anyio.to_thread.run_sync(
                await_condition, lambda: any("hold" in request.faults for request in server.requests), "held"
            )
            group.cancel_scope.cancel()

    run(main)
    assert found == ODD[: 3 * pages]
    assert_idle(server.port)
