"""What holds for every implementation of `Connection`, over TCP and over TLS."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from fastget.core.messages import Framing
from fastget.core.urls import URL
from fastget.errors import Cancelled, ConfigError, NetworkError, ProtocolError, Stalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.transport.conftest import Mode, Peer, Script

BODY = random.Random(1).randbytes(100_003)
CHUNKS = (
    b'5\r\nhello\r\n1;name=value\r\n \r\n000A;quoted="a\tb"\r\nwide world\r\n0\r\nDigest: x\r\nExpires: never\r\n\r\n'
)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def length_head(length: int, *fields: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % length, *fields, b"", b""])


def answering(data: bytes) -> Script:
    """Answer every request with `data`, and keep the connection open."""

    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(data)

    return script


def answering_and_cutting(data: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.answer(data)
        peer.cut()

    return script


def answering_and_resetting(data: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.answer(data)
        peer.reset()

    return script


def answering_and_stalling(data: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.answer(data)
        peer.stall()

    return script


@pytest.mark.parametrize("buffer_size", [1, 7, 4096, 65_537, 200_000])
def test_a_body_of_declared_length_arrives_whole_through_any_buffer(mode: Mode, buffer_size: int) -> None:
    body = BODY[:3001] if buffer_size < 100 else BODY
    client = mode.client(answering(length_head(len(body)) + body))
    head = client.get()
    assert (head.status, head.framing, head.content_length, head.reason) == (
        200,
        Framing.LENGTH,
        len(body),
        "OK",
    )
    assert client.body(buffer_size) == body


@pytest.mark.parametrize("buffer_size", [1, 3, 65_536])
def test_a_chunked_body_loses_its_coding_extensions_and_trailers(mode: Mode, buffer_size: int) -> None:
    client = mode.client(answering(CHUNKED + CHUNKS))
    head = client.get()
    assert (head.framing, head.content_length) == (Framing.CHUNKED, None)
    assert client.body(buffer_size) == b"hello wide world"


@pytest.mark.parametrize("chunk_size", [1, 100, 8192, 70_000])
def test_chunks_of_any_size_arrive_whole(mode: Mode, chunk_size: int) -> None:
    body = BODY[: chunk_size * 300]
    chunks = [body[start : start + chunk_size] for start in range(0, len(body), chunk_size)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    client = mode.client(answering(CHUNKED + coded + b"0\r\n\r\n"))
    client.get()
    assert client.body(5000) == body


def test_a_chunked_body_may_arrive_byte_by_byte(mode: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.trickle(CHUNKED + CHUNKS)
        peer.stall()

    client = mode.client(script)
    client.get()
    assert client.body() == b"hello wide world"


def test_a_body_without_length_ends_with_its_connection(mode: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.answer(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)
        peer.finish()

    client = mode.client(script)
    assert client.get().framing is Framing.CLOSE
    assert client.body() == BODY
    assert not client.connection.is_reusable


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_answers_that_have_no_body_have_none_whatever_they_declare(mode: Mode, status: bytes) -> None:
    client = mode.client(answering_and_stalling(b"HTTP/1.1 " + status + b"\r\nContent-Length: 10\r\n\r\n"))
    assert client.get().framing is Framing.NONE
    assert client.body() == b""


def test_the_answer_to_head_has_no_body_and_keeps_its_length_in_the_fields(mode: Mode) -> None:
    client = mode.client(answering_and_stalling(length_head(10)))
    head = client.get("HEAD")
    assert (head.framing, head.headers.get("content-length")) == (Framing.NONE, "10")
    assert client.body() == b""


def test_an_empty_body_is_over_at_once(mode: Mode) -> None:
    client = mode.client(answering_and_stalling(length_head(0)))
    assert client.get().content_length == 0
    assert client.body() == b""


def test_a_head_may_arrive_byte_by_byte(mode: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.trickle(length_head(5, b'ETag: W/"x"', b"x-amz-meta-name: \xe9") + b"hello")
        peer.stall()

    client = mode.client(script)
    head = client.get()
    assert head.headers.get("etag") == 'W/"x"'
    assert head.headers.get("X-Amz-Meta-Name") == "\xe9"
    assert client.body() == b"hello"


def test_fields_keep_their_order_and_their_repetitions(mode: Mode) -> None:
    client = mode.client(answering(length_head(0, b"B: 1", b"a: 2", b"b: 3")))
    head = client.get()
    assert list(head.headers) == [("Content-Length", "0"), ("B", "1"), ("a", "2"), ("b", "3")]
    assert head.headers.get_all("B") == ("1", "3")


def test_interim_answers_are_passed_over(mode: Mode) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    client = mode.client(answering(interim + length_head(5) + b"hello"))
    assert client.get().status == 200
    assert client.body() == b"hello"


@pytest.mark.fault("H23")
def test_interim_answers_without_end_are_given_up(mode: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        while True:
            peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)

    client = mode.client(script, response_timeout=0.3, connect_timeout=1)
    with pytest.raises(NetworkError):
        client.get()


def test_the_request_goes_out_as_it_was_given(mode: Mode) -> None:
    server = mode.serve(answering_and_stalling(length_head(0)))
    client = mode.connect(server)
    client.get(headers=(("Range", "bytes=0-9"), ("X-Name", "caf\xe9")))
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"GET /object?signature=secret HTTP/1.1"
    assert {b"Host: 127.0.0.1:%d" % server.port, b"Range: bytes=0-9", b"X-Name: caf\xe9"} == set(lines[1:-2])


def test_a_value_goes_back_as_the_bytes_that_it_came_as(mode: Mode) -> None:
    answer = answering(length_head(0, b'ETag: "\xe9\xff"'))
    server = mode.serve(answer, answer)
    client = mode.connect(server)
    etag = client.get().headers.get("etag")
    assert etag is not None
    mode.connect(server).get(headers=(("If-Match", etag), ("X-Name", "\u65e5")))
    assert {b'If-Match: "\xe9\xff"', "X-Name: \u65e5".encode()} <= set(server.requests[1].split(b"\r\n"))


def test_a_host_field_of_the_request_is_kept(mode: Mode) -> None:
    server = mode.serve(answering_and_stalling(length_head(0)))
    mode.connect(server).get(headers=(("Host", "bucket.example"),))
    fields = [line for line in server.requests[0].split(b"\r\n") if line.lower().startswith(b"host:")]
    assert fields == [b"Host: bucket.example"]


@pytest.mark.fault("H26")
@pytest.mark.parametrize("field", [("X-Key", "a\r\nEvil: yes"), ("X-Key", "a\0b"), ("X Key", "a"), ("", "a")])
def test_a_field_that_http_does_not_allow_is_refused_unquoted(mode: Mode, field: tuple[str, str]) -> None:
    server = mode.serve(answering(length_head(0)))
    with pytest.raises(ConfigError) as caught:
        mode.connect(server).get(headers=(("Authorization", "secret"), field))
    assert "secret" not in str(caught.value)
    assert "Evil" not in str(caught.value)
    assert server.requests == []


def test_several_exchanges_follow_one_another(mode: Mode) -> None:
    server = mode.serve(*[answering(length_head(5) + b"hello")] * 3)
    client = mode.connect(server)
    for _ in range(3):
        client.get()
        assert client.body() == b"hello"
    assert len(server.requests) == 3


def test_an_exchange_may_leave_the_body_before_it_unread(mode: Mode) -> None:
    first, second = length_head(len(BODY)) + BODY, length_head(5) + b"hello"
    client = mode.client(answering(first), answering(second))
    client.get()
    client.connection.read_into(memoryview(bytearray(10)))
    assert client.get().content_length == 5
    assert client.body() == b"hello"


@pytest.mark.fault("N17")
def test_a_connection_that_closed_while_idle_is_replaced_silently(mode: Mode) -> None:
    data = length_head(5) + b"hello"
    client = mode.client(answering_and_cutting(data), answering(data))
    for _ in range(2):
        client.get()
        assert client.body() == b"hello"


@pytest.mark.fault("N1", "N2", "N4")
@pytest.mark.parametrize("ending", [answering_and_cutting, answering_and_resetting])
@pytest.mark.parametrize(
    "data",
    [
        length_head(100_003) + BODY[:50_000],
        length_head(10),
        CHUNKED,
        CHUNKED + b"5",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\nName: value\r\n",
    ],
)
def test_a_body_that_is_cut_short_is_an_error(mode: Mode, data: bytes, ending: Callable[[bytes], Script]) -> None:
    client = mode.client(ending(data))

    def fetch() -> None:
        client.get()
        client.body()

    with pytest.raises(NetworkError) as caught:
        fetch()
    assert not isinstance(caught.value, ProtocolError)
    assert not client.connection.is_reusable
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"])
@pytest.mark.parametrize("ending", [answering_and_cutting, answering_and_resetting])
def test_an_answer_that_ends_within_its_head_is_an_error(
    mode: Mode, data: bytes, ending: Callable[[bytes], Script]
) -> None:
    server = mode.serve(ending(data))
    with pytest.raises(NetworkError):
        mode.connect(server).get()
    assert len(server.requests) == 1


@pytest.mark.fault("N26", "H21", "H22", "H24", "H25")
@pytest.mark.parametrize(
    "data",
    [
        b"<html>an answer from before there were heads</html>\r\n\r\n",
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        length_head(5, b"Name: a\0b") + b"hello",
        length_head(5, b"Name: a\rb") + b"hello",
        length_head(5, b"no colon") + b"hello",
        length_head(5, b"Name : space") + b"hello",
        length_head(5, b": nameless") + b"hello",
        length_head(5, b"Content-Length: 6") + b"hello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        length_head(5, b"X: " + b"x" * 400_000) + b"hello",
        length_head(5, *[b"X-%d: y" % number for number in range(40_000)]) + b"hello",
    ],
    ids=lambda data: repr(data[:60]),
)
def test_an_answer_that_is_not_http_is_refused(mode: Mode, data: bytes) -> None:
    client = mode.client(answering_and_stalling(data), response_timeout=20)
    with pytest.raises(ProtocolError) as caught:
        client.get()
    assert not client.connection.is_reusable
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "coding other than chunked"),
        (b"HTTP/1.1 099 No\r\n\r\n", "less than 100"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "another protocol|answers 101"),
        (length_head(5, b"X: " + b"x" * 400_000) + b"hello", "head is too long"),
    ],
    ids=["coding", "status", "switch", "head"],
)
def test_what_breaks_http_is_told_in_plain_words(mode: Mode, data: bytes, said: str) -> None:
    client = mode.client(answering_and_stalling(data), response_timeout=20)
    with pytest.raises(ProtocolError, match=said):
        client.get()


def test_a_connection_that_ends_without_an_answer_is_a_network_error_and_nothing_else(mode: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.cut()

    client = mode.client(script)
    with pytest.raises(NetworkError) as caught:
        client.get()
    assert type(caught.value) is NetworkError


def test_the_same_length_twice_is_one_length(mode: Mode) -> None:
    client = mode.client(answering(length_head(5, b"Content-Length: 5") + b"hello"))
    assert client.get().content_length == 5
    assert client.body() == b"hello"


@pytest.mark.fault("H20")
def test_chunked_coding_wins_over_a_length_and_ends_the_connection(mode: Mode) -> None:
    client = mode.client(answering(length_head(3, b"Transfer-Encoding: chunked") + CHUNKS))
    assert client.get().framing is Framing.CHUNKED
    assert client.body() == b"hello wide world"
    assert not client.connection.is_reusable


@pytest.mark.parametrize(
    "coded",
    [
        b"x\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n0\r\n\r\n",
        b"fffffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_broken_chunked_coding_is_refused(mode: Mode, coded: bytes) -> None:
    client = mode.client(answering_and_stalling(CHUNKED + coded))
    client.get()
    with pytest.raises(ProtocolError):
        client.body()
    assert not client.connection.is_reusable


@pytest.mark.fault("H59")
def test_bytes_behind_a_body_are_not_delivered_and_end_the_connection(mode: Mode) -> None:
    client = mode.client(answering_and_stalling(length_head(5) + b"helloHTTP/1.1 200 OK\r\n\r\n"))
    client.get()
    assert client.body() == b"hello"
    assert not client.connection.is_reusable


def test_an_http_1_0_answer_is_read_and_ends_its_connection(mode: Mode) -> None:
    client = mode.client(answering(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
    client.get()
    assert client.body() == b"hello"
    assert not client.connection.is_reusable


@pytest.mark.fault("N6")
def test_silence_before_the_answer_is_a_stall(mode: Mode) -> None:
    client = mode.client(answering_and_stalling(b""), response_timeout=0.2, stall_timeout=60)
    with pytest.raises(Stalled):
        client.get()


@pytest.mark.fault("N5")
def test_silence_within_the_body_is_a_stall(mode: Mode) -> None:
    client = mode.client(answering_and_stalling(length_head(10) + b"hello"), stall_timeout=0.2)
    client.get()
    with pytest.raises(Stalled):
        client.body()


def test_silence_before_a_chunk_is_a_stall(mode: Mode) -> None:
    client = mode.client(answering_and_stalling(CHUNKED + b"5\r\nhello\r\n"), stall_timeout=0.2)
    client.get()
    with pytest.raises(Stalled):
        client.body()


@pytest.mark.parametrize("data", [length_head(10) + b"hello", CHUNKED + b"5\r\nhello\r\n", CHUNKED + b"8\r\nhello"])
def test_what_has_come_is_given_before_a_silence_is_over(mode: Mode, data: bytes) -> None:
    client = mode.client(answering_and_stalling(data), stall_timeout=60)
    client.get()
    buffer = memoryview(bytearray(10))
    assert client.connection.read_into(buffer) == 5
    assert buffer[:5].tobytes() == b"hello"


@pytest.mark.parametrize("data", [length_head(10) + b"hello, you", CHUNKED + b"a\r\nhello, you\r\n0\r\n\r\n"])
@pytest.mark.parametrize("sizes", [[3, 4, 3], [1] * 10, [4, 100], [10, 5], [64]])
def test_a_body_goes_on_into_the_memories_that_follow_or_is_read_on(mode: Mode, data: bytes, sizes: list[int]) -> None:
    client = mode.client(answering(data))
    client.get()
    memory = memoryview(bytearray(sum(sizes)))
    filled = 0
    while filled < 10:
        views, start = [], 0
        for size in sizes:
            views += [memory[max(start, filled) : start + size]] if start + size > filled else []
            start += size
        count = client.connection.read_into(*views)
        assert count > 0
        filled += count
    assert memory[:10].tobytes() == b"hello, you"
    assert client.connection.read_into(memoryview(bytearray(1)), memoryview(bytearray(1))) == 0


def test_nothing_can_be_read_before_an_exchange_or_after_a_failure(mode: Mode) -> None:
    client = mode.client(answering_and_cutting(b""))
    for _ in range(2):
        with pytest.raises(NetworkError):
            client.connection.read_into(memoryview(bytearray(10)))
        with pytest.raises(NetworkError):
            client.get()


@pytest.mark.fault("S15")
def test_a_request_to_another_origin_is_never_sent(mode: Mode) -> None:
    server = mode.serve(answering(length_head(0)))
    client = mode.connect(server)
    client.url = URL.parse("http://other.example/object")
    with pytest.raises(ValueError, match=r"other\.example"):
        client.get()
    assert server.connections == 0


def test_an_empty_buffer_is_a_mistake(mode: Mode) -> None:
    client = mode.client(answering(length_head(5) + b"hello"))
    client.get()
    with pytest.raises(ValueError, match="empty"):
        client.connection.read_into(memoryview(b""))


@pytest.mark.fault("N10")
def test_a_refused_connection_is_a_network_error_that_names_the_origin(mode: Mode) -> None:
    server = mode.serve()
    server.stop()
    with pytest.raises(NetworkError):
        mode.connect(server.port).get()


def test_a_closed_connection_can_be_closed_again_and_used_again(mode: Mode) -> None:
    data = length_head(5) + b"hello"
    client = mode.client(answering(data), answering(data))
    client.connection.close()
    for _ in range(2):
        client.get()
        client.connection.close()
        client.connection.close()
        assert not client.connection.is_reusable


def test_abort_before_the_first_exchange_holds_for_all_that_come(mode: Mode) -> None:
    server = mode.serve(answering(length_head(0)))
    client = mode.connect(server)
    client.connection.abort()
    client.connection.abort()
    for _ in range(2):
        with pytest.raises(Cancelled):
            client.get()
    assert server.requests == []


def test_abort_ends_the_wait_for_an_answer(mode: Mode) -> None:
    is_asked = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        is_asked.set()
        peer.stall()

    client = mode.client(script)
    with client.aborted_at(is_asked), pytest.raises(Cancelled):
        client.get()
    assert not client.connection.is_reusable


def test_abort_ends_the_wait_for_a_body(mode: Mode) -> None:
    client = mode.client(answering_and_stalling(length_head(10) + b"hello"))
    client.get()
    is_reading = threading.Event()
    with client.aborted_at(is_reading):
        assert client.connection.read_into(memoryview(bytearray(5))) == 5
        is_reading.set()
        with pytest.raises(Cancelled):
            client.body()


def test_what_is_ready_can_be_read_and_nothing_is_behind_the_end(mode: Mode) -> None:
    """Whatever it tells: all of the body arrives, and not a byte of the next answer."""
    client = mode.client(answering(length_head(len(BODY)) + BODY))
    for _ in range(2):
        client.get()
        body, buffer = bytearray(), memoryview(bytearray(len(BODY)))
        while len(body) < len(BODY):
            count = client.connection.ready(20_000, 0.05)
            assert count <= len(BODY) - len(body)
            got = client.connection.read_into(buffer[: count or 5000])
            assert got == count or not count
            body += buffer[:got]
        assert body == BODY
        assert client.connection.ready(20_000, 60.0) == 0
        assert client.connection.read_into(buffer) == 0
        if not client.connection.is_reusable:
            break


@pytest.mark.parametrize("data", [CHUNKED + CHUNKS, b"HTTP/1.1 200 OK\r\n\r\nhello wide world"])
def test_of_a_body_without_a_declared_length_nothing_is_known_to_be_ready(mode: Mode, data: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.answer(data)
        peer.finish()

    client = mode.client(script)
    assert client.connection.ready(1, 60.0) == 0
    client.get()
    assert client.connection.ready(1, 60.0) == 0
    assert client.body() == b"hello wide world"


def test_abort_ends_the_wait_for_what_will_be_ready(mode: Mode) -> None:
    client = mode.client(answering_and_stalling(length_head(100_000) + bytes(10_000)))
    client.get()
    is_reading = threading.Event()

    def wait() -> None:
        while client.connection.ready(80_000, 10.0) >= 0:
            client.connection.read_into(memoryview(bytearray(10)))

    with client.aborted_at(is_reading):
        assert client.connection.read_into(memoryview(bytearray(10_000))) > 0
        is_reading.set()
        with pytest.raises(Cancelled):
            wait()


def test_abort_ends_a_stream_that_never_ends(mode: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.answer(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.send(bytes(65_536))

    client = mode.client(script)
    client.get()
    is_reading = threading.Event()
    buffer = memoryview(bytearray(65_536))

    def read() -> None:
        while client.connection.read_into(buffer):
            is_reading.set()

    with client.aborted_at(is_reading), pytest.raises(Cancelled):
        read()


def test_abort_after_the_end_of_a_body_keeps_the_connection_from_being_used_again(mode: Mode) -> None:
    client = mode.client(answering(length_head(5) + b"hello"))
    client.get()
    assert client.body() == b"hello"
    client.connection.abort()
    assert not client.connection.is_reusable
    with pytest.raises(Cancelled):
        client.connection.read_into(memoryview(bytearray(5)))


def test_how_long_an_answer_took_is_told(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    real, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed[0])

    def script(peer: Peer) -> None:
        while peer.request():
            passed[0] += 7.0
            peer.send(length_head(0))

    client = mode.client(script)
    client.get()
    assert 7.0 <= client.connection.waited < 14.0


def test_nothing_is_asked_ahead_of_its_turn_where_no_connection_stands_open(mode: Mode) -> None:
    server = mode.serve(answering(length_head(5) + b"hello"))
    client = mode.connect(server)
    assert not client.connection.ask(client.request())
    client.get()
    assert not client.connection.ask(client.request())  # an answer is being read
    assert client.body() == b"hello"
    assert len(server.requests) == 1


def test_a_head_may_be_given_less_time_than_others_have(mode: Mode) -> None:
    client = mode.client(answering_and_stalling(b""))
    with pytest.raises(Stalled):
        client.connection.exchange(client.request(), 0.2)
