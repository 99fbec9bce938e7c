"""Answers that break HTTP, contradict S3, or are not what was asked for."""

from __future__ import annotations

import hashlib
import json
import resource
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.errors import (
    Cancelled,
    ConfigError,
    FastgetError,
    NetworkError,
    NotModified,
    ProtocolError,
    RangeNotSupported,
    ServerError,
    SourceChanged,
    SourceError,
    Throttled,
)
from fastget.events import Event, Result, Retried
from fastget.testing import (
    Algorithm,
    Behaviour,
    Chaos,
    Content,
    EmptyRange,
    HeadPart,
    ObjectServer,
    StoredObject,
    faults,
)

MIB = 1024 * 1024
Serve = Callable[..., ObjectServer]
Fetch = Callable[..., Result]
Check = Callable[[], None]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

UNHURRIED = Behaviour(rate_per_connection=4 * MIB)


@pytest.mark.fault("H13")
def test_a_first_answer_of_416_is_a_refusal_and_no_finished_download(
    serve: Serve, stored: StoredObject, content: Content, fetch: Fetch, assert_absent: Check
) -> None:
    server = serve({"/k": stored}, faults=[faults.unsatisfiable(total=content.size).always()])
    with pytest.raises(SourceError):
        fetch(server.url("/k"))
    assert_absent()
    assert len(server.requests) == 1


@pytest.mark.fault("H14", "H39")
@pytest.mark.parametrize(
    "gone",
    [faults.unsatisfiable(total=100), faults.unsatisfiable(), faults.status(404)],
    ids=["smaller", "smaller, without its size", "deleted"],
)
def test_an_object_that_is_smaller_or_gone_midway_ends_the_download(
    serve: Serve, stored: StoredObject, fetch: Fetch, assert_absent: Check, gone: Any
) -> None:
    # A HEAD that found it unchanged would show that only ranges are refused.
    both = [gone.on(ranged=True).always(), gone.on(method="HEAD").always()]
    server = serve({"/k": stored}, behaviour=UNHURRIED, faults=both)
    with pytest.raises(SourceChanged):
        fetch(server.url("/k"))
    assert_absent()
    assert len(server.requests) <= 8


@pytest.mark.fault("H15", "H55")
def test_412_counts_though_its_body_is_cut(
    raw: Callable[..., Any], fetch: Fetch, content: Content, assert_absent: Check
) -> None:
    def handle(server: Any, connection: socket.socket, _: int) -> None:
        head = server.read_head(connection)
        if b"Range: " in head:
            connection.sendall(b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 500\r\n\r\n<Error>")
        elif head:
            length = f"Content-Length: {content.size}\r\n".encode()
            connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "a"\r\nAccept-Ranges: bytes\r\n' + length + b"\r\n")
            connection.sendall(content.read(0, MIB))

    with pytest.raises(SourceChanged):
        fetch(raw(handle).url())
    assert_absent()


@pytest.mark.fault("H16")
def test_304_to_a_request_without_a_condition_is_an_error(
    serve: Serve, stored: StoredObject, fetch: Fetch, assert_absent: Check
) -> None:
    server = serve({"/k": stored}, faults=[faults.not_modified().always()])
    with pytest.raises(FastgetError) as caught:
        fetch(server.url("/k"), retries=1)
    assert isinstance(caught.value, NotModified | ProtocolError | ServerError)
    assert_absent()


@pytest.mark.fault("H40")
@pytest.mark.parametrize("value", ["0", "0.01", "-5", "Mon, 02 Mar 2020 10:20:30 GMT", "soon", "0.5.5", ""])
def test_a_retry_after_of_any_form_is_survived(
    serve: Serve, stored: StoredObject, fetch: Fetch, assert_arrived: Check, value: str
) -> None:
    server = serve({"/k": stored}, faults=[faults.slow_down(retry_after=value).times(2)])
    fetch(server.url("/k"))
    assert_arrived()


@pytest.mark.fault("H40")
def test_a_retry_after_of_years_is_two_minutes_and_can_be_left(
    serve: Serve, stored: StoredObject, destination: Path, assert_absent: Check
) -> None:
    from fastget.engine.cancellation import Cancellation

    server = serve({"/k": stored}, faults=[faults.slow_down(retry_after=10**9).always()])
    cancellation, delays = Cancellation(), []

    def handle(event: Event) -> None:
        if isinstance(event, Retried):
            delays.append(event.delay)
            cancellation.cancel()

    with fastget.Client(on_event=handle) as client, pytest.raises((Cancelled, Throttled)):
        client.transfer_to_file(server.url("/k"), destination, cancellation)
    assert 120 <= delays[0] <= 140
    assert_absent()


@pytest.mark.fault("H43")
def test_an_object_that_is_an_error_document_arrives(serve: Serve, destination: Path) -> None:
    document = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>Try again.</Message></Error>'
    server = serve({"/k": StoredObject(Content.of(document), content_type="application/xml")})
    assert fastget.download(server.url("/k"), destination).verification.verified
    assert destination.read_bytes() == document


@pytest.mark.fault("H44")
def test_a_store_that_answers_every_second_request_with_503_is_outlasted(
    serve: Serve, stored: StoredObject, content: Content, fetch: Fetch, assert_arrived: Check
) -> None:
    storm = Chaos(0.5, seed=6, draws=[lambda _, __: faults.slow_down(retry_after=0)])
    server = serve({"/k": stored}, faults=storm)
    piece = 256 * 1024
    fetch(server.url("/k"), part_size=piece, retries=12)
    assert_arrived()
    assert len(server.requests) <= 2.5 * (content.size / piece + 2)


@pytest.mark.fault("H45")
@pytest.mark.parametrize(
    "field", [("ETag", '"another"'), ("Content-Length", "12"), ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")]
)
@pytest.mark.parametrize("size", [None, (MIB, 2 * MIB, 4321)], ids=["one part", "three parts"])
def test_what_head_says_otherwise_than_get_is_not_believed(
    serve: Serve,
    content: Content,
    fetch: Fetch,
    assert_arrived: Check,
    field: tuple[str, str],
    size: tuple[int, ...] | None,
) -> None:
    kind = {"part_sizes": size, "checksum_type": "COMPOSITE"} if size else {}
    stored = StoredObject(content, checksum=Algorithm.CRC32C, **kind)  # type: ignore[arg-type]
    server = serve({"/k": stored}, faults=[faults.field(*field).on(method="HEAD").always()])
    fetch(server.url("/k"))
    assert_arrived()


@pytest.mark.fault("H46")
def test_a_store_that_forbids_head_is_no_obstacle(
    serve: Serve, content: Content, fetch: Fetch, assert_arrived: Check
) -> None:
    parts = (MIB, 2 * MIB, 4321)
    stored = StoredObject(content, part_sizes=parts, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    server = serve({"/k": stored}, faults=[faults.access_denied().on(method="HEAD").always()])
    fetch(server.url("/k"))
    assert_arrived()
    assert fastget.head(server.url("/k")).size == content.size


@pytest.mark.fault("H50", "C11")
@pytest.mark.parametrize("head_part", list(HeadPart))
def test_whatever_a_head_of_a_part_is_answered_with_the_bytes_are_right(
    serve: Serve, content: Content, fetch: Fetch, assert_arrived: Check, head_part: HeadPart
) -> None:
    parts = (MIB, 2 * MIB, 4321)
    stored = StoredObject(content, part_sizes=parts, checksum=Algorithm.SHA256, checksum_type="COMPOSITE")
    behaviour = Behaviour(head_part=head_part, composite_suffix_on_head=False)
    fetch(serve({"/k": stored}, behaviour=behaviour).url("/k"))
    assert_arrived()


@pytest.mark.fault("H48", "H49")
@pytest.mark.parametrize("status", [400, 416])
@pytest.mark.parametrize("number", [2, 3])
def test_part_numbers_with_a_gap_lead_to_ranges(
    serve: Serve, content: Content, fetch: Fetch, assert_arrived: Check, number: int, status: int
) -> None:
    parts = (MIB, 2 * MIB, 4321)
    stored = StoredObject(content, part_sizes=parts, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    missing = faults.status(status, "InvalidPart" if status == 400 else "InvalidPartNumber", "No such part.")
    broken = [missing.on(part=number, method=method).always() for method in ("GET", "HEAD")]
    fetch(serve({"/k": stored}, faults=broken).url("/k"))
    assert_arrived()


@pytest.mark.fault("H51", "H52")
@pytest.mark.parametrize("empty_range", list(EmptyRange))
@pytest.mark.parametrize("parts", [None, (0,)], ids=["one piece", "one empty part"])
def test_an_empty_object_is_an_empty_file(
    serve: Serve, destination: Path, empty_range: EmptyRange, parts: tuple[int, ...] | None
) -> None:
    kind = {"part_sizes": parts, "checksum_type": "COMPOSITE"} if parts else {}
    stored = StoredObject(Content.of(b""), checksum=Algorithm.SHA256, **kind)  # type: ignore[arg-type]
    server = serve({"/k": stored}, behaviour=Behaviour(empty_range=empty_range))
    for split in ("auto", "range"):
        fastget.download(server.url("/k"), destination, split=split)
        assert destination.read_bytes() == b""


@pytest.mark.fault("H54")
def test_no_request_carries_a_condition_on_any_object(serve: Serve, content: Content, fetch: Fetch) -> None:
    server = serve({"/k": StoredObject(content, etag="*")})
    fetch(server.url("/k"))
    assert "*" not in [request.headers.get("If-Match") for request in server.requests[1:] if request.range is None]


@pytest.mark.fault("H56")
@pytest.mark.parametrize("etag", ['"abc-2"', '"abc-99999999999999999999"', '"-"', '"a"b"', "plain", '""'])
def test_an_etag_is_echoed_whatever_it_looks_like(
    serve: Serve, content: Content, fetch: Fetch, assert_arrived: Check, etag: str
) -> None:
    server = serve({"/k": StoredObject(content, etag=etag, checksum=Algorithm.CRC32)}, behaviour=UNHURRIED)
    fetch(server.url("/k"))
    assert_arrived()
    echoed = {request.headers.get("If-Match") for request in server.requests if request.range is not None}
    assert echoed <= {etag, None}


@pytest.mark.fault("H59")
def test_bytes_behind_a_body_never_become_the_next_answer(raw: Callable[..., Any]) -> None:
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    def handle(server: Any, connection: socket.socket, _: int) -> None:
        while server.read_head(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood" + forged)

    server = raw(handle)
    with fastget.Client() as client:
        assert [client.read(server.url()) for _ in range(20)] == [b"good"] * 20


# Redirects -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault("H27")
def test_redirects_in_a_circle_end(serve: Serve, stored: StoredObject, fetch: Fetch, assert_absent: Check) -> None:
    server = serve({"/k": stored}, faults=[faults.redirect("{target}").always()])
    with pytest.raises(ProtocolError, match="redirects more than 10 times"):
        fetch(server.url("/k"))
    assert len(server.requests) == 11
    assert_absent()


@pytest.mark.fault("H28", "S15")
def test_nothing_secret_reaches_the_origin_that_a_redirect_leads_to(
    serve: Serve, stored: StoredObject, fetch: Fetch, assert_arrived: Check
) -> None:
    canary = serve({"/k": stored})
    server = serve({"/k": stored}, faults=[faults.redirect(canary.url("/k")).always()])
    secrets = {
        "Authorization": "Bearer marked-1",
        "Cookie": "session=marked-2",
        "X-Amz-Security-Token": "marked-3",
        "x-amz-server-side-encryption-customer-key": "marked-4",
        "X-Api-Key": "marked-5",
        "Proxy-Authorization": "marked-6",
    }
    named = server.url("/k").replace("http://", "http://user:marked-7@")
    fetch(named, headers=secrets)
    assert_arrived()
    assert server.requests[0].headers.get("Authorization") == "Bearer marked-1"
    for request in canary.requests:
        assert "marked" not in " ".join(value for _, value in request.headers)


@pytest.mark.fault("H29", "H31")
@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/k", "data:,x", "gopher://127.0.0.1/", "javascript:x", "//[::1", "http://"],
)
def test_a_redirect_out_of_http_is_refused(
    serve: Serve, stored: StoredObject, fetch: Fetch, assert_absent: Check, location: str
) -> None:
    server = serve({"/k": stored}, faults=[faults.redirect(location).always()])
    with pytest.raises(ProtocolError):
        fetch(server.url("/k"))
    assert len(server.requests) == 1
    assert_absent()


# Hostile numbers, under a limit on memory ----------------------------------------------------------------------------

_HOSTILE = """
import json, sys, time
import fastget
began = time.process_time()
try:
    fastget.download(sys.argv[1], "out.bin", retries=1, response_timeout=2.0, stall_timeout=2.0, part_size=2**20)
    found = "done"
except fastget.FastgetError as error:
    found = type(error).__name__
    length = len(str(error)) + len(str(error.hint)) + len(repr(error.reply))
    assert length < 10_000, length
# Not ru_maxrss: that keeps what the process was before it became this program, a fork of the one that runs the tests.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([found, time.process_time() - began, peak]))
"""


def head(*fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode("latin-1")


def flood(start: bytes, block: bytes = b"x" * 65536) -> Callable[[Any, socket.socket, int], None]:
    """Answer with `start` and then with as much of `block` as the client takes, up to 1 GB."""

    def handle(server: Any, connection: socket.socket, _: int) -> None:
        if server.read_head(connection):
            connection.sendall(start)
            for _ in range(10**9 // len(block)):
                connection.sendall(block)

    return handle


_COMPOSITE = ("Content-Length: 100", 'ETag: "e"', "x-amz-checksum-type: COMPOSITE")
HOSTILE = {
    "length of 2^63-1": (flood(head(f"Content-Length: {2**63 - 1}", 'ETag: "e"'), b"x"), "NoSpace"),
    "length of 2^63": (flood(head(f"Content-Length: {2**63}"), b"x"), "ProtocolError"),
    "length of 2^64": (flood(head(f"Content-Length: {2**64}"), b"x"), "ProtocolError"),
    "length of 20 digits": (flood(head("Content-Length: 99999999999999999999"), b"x"), "ProtocolError"),
    "length of 5000 digits": (flood(head("Content-Length: " + "9" * 5000), b"x"), "ProtocolError"),
    "negative length": (flood(head("Content-Length: -1"), b"x"), "ProtocolError"),
    "length in letters": (flood(head("Content-Length: ten"), b"x"), "ProtocolError"),
    "total of 2^64": (
        flood(head("Content-Length: 10", f"Content-Range: bytes 0-9/{2**64}", status="206 Partial Content"), b"x"),
        None,
    ),
    "header of 1 MiB": (flood(head("X-Huge: " + "h" * 2**20)), "ProtocolError"),
    "endless header": (flood(b"HTTP/1.1 200 OK\r\nX-Huge: "), "ProtocolError"),
    "endless status line": (flood(b"HTTP/1.1 200 "), "ProtocolError"),
    "6000 headers": (flood(head(*(f"X-{number}: y" for number in range(6000)))), "ProtocolError"),
    "endless headers": (flood(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 8000), "ProtocolError"),
    "endless interim answers": (flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000), "ProtocolError"),
    "1 GB of an error": (
        flood(head("Content-Length: 1000000000", status="403 Forbidden")),
        "AccessDenied",
    ),
    "endless error": (flood(head(status="403 Forbidden")), "AccessDenied"),
    "endless error in chunks": (
        flood(head("Transfer-Encoding: chunked", status="404 Not Found"), b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
        "NotFound",
    ),
    "billion laughs": (
        flood(
            head("Content-Length: 600", status="403 Forbidden")
            + b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
            + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;">' % (c + 1, c, c, c) for c in range(97, 110))
            + b"]><Error><Code>&n;</Code></Error>",
        ),
        "AccessDenied",
    ),
    "10^9 parts": (
        flood(head(*_COMPOSITE, "x-amz-checksum-crc32: AAAAAA==-1000000000", "x-amz-mp-parts-count: 1000000000")),
        "done",
    ),
    "ETag of 10^9 parts": (
        flood(head("Content-Length: 100", 'ETag: "0123456789abcdef0123456789abcdef-1000000000"')),
        "done",
    ),
    "chunk of 2^64": (flood(head("Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFFF\r\n"), "NetworkError"),
    "endless chunk size": (flood(head("Transfer-Encoding: chunked"), b"0" * 4096), "NetworkError"),
    "endless trailers": (flood(head("Transfer-Encoding: chunked") + b"0\r\n", b"X-T: x\r\n" * 1000), "NetworkError"),
    "endless redirect": (flood(head("Location: /" + "x" * 100_000, status="302 Found")), None),
}  # fmt: skip


@pytest.mark.fault("H22", "H23", "H24", "S16", "S17", "C17")
@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_numbers_end_in_an_error_after_little_work_and_in_little_memory(
    raw: Callable[..., Any], script: Run, tmp_path: Path, name: str
) -> None:
    handle, expected = HOSTILE[name]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (512 * MIB, 512 * MIB))

    done = script(_HOSTILE, raw(handle).url(), limit=limit)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    found, seconds, peak = json.loads(done.stdout)
    assert found == expected or (expected is None and found != "done")
    assert seconds < 5
    assert peak < 150 * 1024
    left = ["out.bin", "script.py"] if found == "done" else ["script.py"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


@pytest.mark.fault("S16")
def test_an_error_that_trickles_in_for_ever_does_not_hold_the_download(
    serve: Serve, stored: StoredObject, fetch: Fetch, assert_absent: Check
) -> None:
    """One byte every half second would take nine hours to the bound on its size."""
    dripping = [faults.access_denied().always(), faults.drip(after=10, rate=2.0).always()]
    server = serve({"/k": stored}, faults=dripping)
    with pytest.raises(FastgetError) as caught:
        fetch(server.url("/k"), stall_timeout=5.0)
    assert caught.value.reply is not None
    assert caught.value.reply.status == 403
    assert_absent()


@pytest.mark.fault("H41")
def test_a_failure_of_one_object_leaves_the_others_alone(
    serve: Serve, stored: StoredObject, content: Content, run: Run, tmp_path: Path
) -> None:
    objects = {f"/{name}": stored for name in ("a", "b", "c")}
    server = serve(objects, faults=[faults.internal_error().on(path="/b").always()])
    done = run(*(server.url(path) for path in objects), "-d", "out", "--retries", "1")
    assert done.returncode == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "c"]
    digest = hashlib.sha256(content.read(0, content.size)).digest()
    assert hashlib.sha256((tmp_path / "out/c").read_bytes()).digest() == digest


@pytest.mark.fault("H26")
def test_line_breaks_in_a_key_stay_in_the_key(serve: Serve) -> None:
    stored = StoredObject(Content.of(b"x"))
    server = serve({"/nl\r\nX-Evil: 1": stored})
    assert fastget.read(server.url("/nl\r\nX-Evil: 1")) == b"x"
    assert "X-Evil" not in server.requests[0].headers
    with pytest.raises(ConfigError):
        fastget.read(server.base_url + "/nl\r\nX-Evil: 1")
    assert len(server.requests) == 1


@pytest.mark.fault("H1")
def test_a_server_of_the_standard_library_that_ignores_ranges_is_read_in_one_stream(
    content: Content, tmp_path: Path, fetch: Fetch, assert_arrived: Check
) -> None:
    import http.server
    from functools import partial

    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / "served").mkdir()
    (tmp_path / "served/k").write_bytes(content.read(0, content.size))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served")) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            result = fetch(f"http://127.0.0.1:{server.server_port}/k")
        finally:
            server.shutdown()
            thread.join()
    assert_arrived()
    assert result.split == "stream"


@pytest.mark.fault("H13")
def test_a_slice_past_the_end_is_empty(serve: Serve, stored: StoredObject, content: Content) -> None:
    server = serve({"/k": stored})
    assert fastget.read(server.url("/k"), content.size, content.size + 5) == b""
    assert not any(request.bytes_sent > 1000 for request in server.requests)
    server = serve({"/k": stored}, behaviour=Behaviour(ranges=False))
    with pytest.raises(RangeNotSupported):
        fastget.read(server.url("/k"), 1, 5)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (head("Transfer-Encoding: chunked") + b"3\r\nabc\r\nzz\r\n", "no chunk size where one should be"),
        (head("Content-Length: 1000000") + b"abc", "the connection ended after 3 of 1000000 bytes"),
    ],
    ids=["coding", "length"],
)
def test_a_transfer_that_cannot_go_on_says_why_it_broke_off(
    data: bytes, why: str, answering: Callable[[bytes], Any], tmp_path: Path
) -> None:
    with pytest.raises(NetworkError, match=rf"broke off \([^()]*{why}\)"):
        fastget.download(answering(data).url(), tmp_path / "f", retries=1)


@pytest.mark.parametrize(
    ("status", "ends", "asked"),
    [("206 Partial Content", (None, None), "the whole object"), ("204 No Content", (1, 5), "a part of the object")],
    ids=["whole", "slice"],
)
def test_a_status_that_does_not_answer_is_told_with_what_was_asked_for(
    status: str, ends: tuple[int | None, int | None], asked: str, answering: Callable[[bytes], Any]
) -> None:
    server = answering(head("Connection: close", status=status))
    with pytest.raises(ProtocolError, match=f"status {status[:3]} answers a request for {asked}"):
        fastget.read(server.url(), *ends, retries=0)


def test_a_body_shorter_than_a_head_said_is_told_as_cut(raw: Callable[..., Any], tmp_path: Path) -> None:
    def handle(server: Any, connection: socket.socket, _: int) -> None:
        asked = server.read_head(connection)
        if asked.startswith(b"HEAD"):
            connection.sendall(head('ETag: "a"', "Content-Length: 10"))
        elif asked:
            connection.sendall(head('ETag: "a"', "Connection: close") + b"abc")

    with pytest.raises(NetworkError, match=r"broke off \(the connection ended after 3 of 10 bytes\)"):
        fastget.download(raw(handle).url(), tmp_path / "f")
    assert not list(tmp_path.iterdir())
