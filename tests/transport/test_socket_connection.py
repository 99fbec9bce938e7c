"""What SocketConnection does beyond the contract: kept connections, filled buffers, bounds of its own."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from itertools import pairwise
from string import ascii_lowercase
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.messages import Headers, Request
from fastget.core.moulds import Mould
from fastget.core.ranges import Span
from fastget.core.urls import URL
from fastget.errors import Cancelled, NetworkError, ProtocolError, Stalled
from fastget.transport import dial
from fastget.transport.heads import CastExchange, HeadExchange
from fastget.transport.route import Route

if TYPE_CHECKING:
    from fastget.core.addresses import Address
    from fastget.transport.cancellation import SocketCancellation
    from fastget.transport.wire import Wire
    from tests.transport.conftest import Client, Mode, Peer, Script

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"
LETTERS = ascii_lowercase
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def repeating(*answers: bytes) -> Script:
    """Give these answers on one connection, then keep silent."""

    def script(peer: Peer) -> None:
        for data in answers:
            peer.answer(data)
        peer.stall()

    return script


@pytest.mark.parametrize(
    "answer",
    [
        HELLO,
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, x\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_a_connection_carries_many_exchanges(data_plane: Mode, answer: bytes) -> None:
    server = data_plane.serve(repeating(answer, answer, answer))
    client = data_plane.connect(server)
    for _ in range(3):
        client.get()
        assert not client.connection.is_reusable
        assert client.body() == b"hello"
        assert client.connection.is_reusable
    assert server.connections == 1


def ask_ahead(client: Client) -> Request:
    """A request that went out ahead of its turn, behind an exchange as usual."""
    client.get()
    client.body()
    request = client.request()
    assert client.connection.ask(request)
    return request


def test_a_request_may_go_out_ahead_of_its_turn(data_plane: Mode) -> None:
    has_come = threading.Event()

    def script(peer: Peer) -> None:
        peer.answer(HELLO)
        peer.request()
        has_come.set()
        peer.send(HELLO)
        peer.stall()

    server = data_plane.serve(script)
    client = data_plane.connect(server)
    request = ask_ahead(client)
    assert has_come.wait(20)
    states = [client.connection.is_reusable]
    assert client.connection.exchange(request).status == 200
    assert client.body() == b"hello"
    states.append(client.connection.is_reusable)
    assert states == [False, True]
    assert (len(server.requests), server.connections) == (2, 1)


def test_one_that_went_out_ahead_and_is_not_answered_is_sent_again(data_plane: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.answer(HELLO)
        peer.request()
        peer.cut()

    server = data_plane.serve(script, repeating(HELLO))
    client = data_plane.connect(server)
    request = ask_ahead(client)
    assert client.connection.exchange(request).status == 200
    assert client.body() == b"hello"
    assert (len(server.requests), server.connections) == (3, 2)


def test_an_answer_is_never_taken_for_that_of_another_request(data_plane: Mode) -> None:
    other = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"
    server = data_plane.serve(repeating(HELLO, other), repeating(HELLO))
    client = data_plane.connect(server)
    ask_ahead(client)
    assert client.get().status == 200
    assert client.body() == b"hello"
    assert server.connections == 2


def test_a_connection_that_was_closed_has_asked_for_nothing(data_plane: Mode) -> None:
    server = data_plane.serve(repeating(HELLO, HELLO), repeating(HELLO))
    client = data_plane.connect(server)
    request = ask_ahead(client)
    client.connection.close()
    assert client.connection.exchange(request).status == 200
    assert client.body() == b"hello"
    assert server.connections == 2


def test_answers_without_a_body_keep_the_connection(data_plane: Mode) -> None:
    nothing = b"HTTP/1.1 204 No Content\r\n\r\n"
    server = data_plane.serve(repeating(nothing, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", nothing))
    client = data_plane.connect(server)
    for method in ("GET", "HEAD", "GET"):
        client.get(method)
        assert client.connection.is_reusable
    assert server.connections == 1


@pytest.mark.parametrize("options", [b"close", b"x, Close"])
def test_a_connection_that_the_server_wants_closed_is_not_reusable(data_plane: Mode, options: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: " + options + b"\r\nContent-Length: 5\r\n\r\nhello"
    client = data_plane.client(repeating(head), repeating(HELLO))
    client.get()
    assert client.body() == b"hello"
    assert not client.connection.is_reusable
    client.get()
    assert client.body() == b"hello"


@pytest.mark.fault("H59", "N26")
def test_bytes_that_come_unasked_between_exchanges_are_never_an_answer(data_plane: Mode) -> None:
    is_read, is_sent = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.answer(HELLO)
        assert is_read.wait(20)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        is_sent.set()
        peer.stall()

    client = data_plane.client(script, repeating(HELLO))
    client.get()
    assert client.body() == b"hello"
    is_read.set()
    assert is_sent.wait(20)
    client.get()
    assert client.body() == b"hello"


@pytest.mark.fault("N17")
def test_a_connection_that_closes_as_it_is_asked_again_is_replaced_once(data_plane: Mode) -> None:
    def closing(peer: Peer) -> None:
        peer.answer(HELLO)
        peer.request()
        peer.reset()

    server = data_plane.serve(closing, repeating(HELLO))
    client = data_plane.connect(server)
    for _ in range(2):
        client.get()
        assert client.body() == b"hello"
    assert (server.connections, len(server.requests)) == (2, 3)


def test_a_fresh_connection_that_closes_without_an_answer_is_not_tried_again(data_plane: Mode) -> None:
    def closing(peer: Peer) -> None:
        peer.request()

    def first(peer: Peer) -> None:
        peer.answer(HELLO)
        peer.request()

    server = data_plane.serve(first, closing, repeating(HELLO))
    client = data_plane.connect(server)
    client.get()
    client.body()
    with pytest.raises(NetworkError):
        client.get()
    assert server.connections == 2


def test_a_request_is_not_sent_again_once_the_answer_has_begun(data_plane: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.answer(HELLO)
        peer.answer(b"HTTP/1.1 ")

    server = data_plane.serve(script, repeating(HELLO))
    client = data_plane.connect(server)
    client.get()
    client.body()
    with pytest.raises(NetworkError, match="within the head"):
        client.get()
    assert server.connections == 1


@pytest.mark.parametrize("coding", ["length", "chunked", "close"])
def test_a_buffer_is_filled_though_the_bytes_trickle_in(data_plane: Mode, coding: str) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        if coding == "length":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
            peer.trickle(bytes(300))
        elif coding == "chunked":
            peer.send(CHUNKED)
            peer.trickle(b"64\r\n" + bytes(100) + b"\r\nC8\r\n" + bytes(200) + b"\r\n0\r\n\r\n")
        else:
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            peer.trickle(bytes(300))
        peer.stall()

    client = data_plane.client(script)
    client.get()
    counts = [client.connection.read_into(memoryview(bytearray(100))) for _ in range(3)]
    assert counts == [100, 100, 100]


def test_a_plain_socket_fills_many_memories_in_one_call(data_plane: Mode) -> None:
    has_head = threading.Event()

    def script(peer: Peer) -> None:
        peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        assert has_head.wait(20)
        peer.send(b"hello, you")
        peer.stall()

    client = data_plane.client(script)
    client.get()
    has_head.set()
    memory = memoryview(bytearray(10))
    count = client.connection.read_into(memory[:3], memory[3:7], memory[7:])
    assert count == (10 if data_plane.scheme == "http" else 3)
    assert memory[:count].tobytes() == b"hello, you"[:count]


def part(span: Span, date: str = "now") -> bytes:
    """An answer that holds the letters of a range of 26."""
    head = f'HTTP/1.1 206 Partial Content\r\nDate: {date}\r\nETag: "e"\r\nContent-Length: {span.length}\r\n'
    place = f"Content-Range: bytes {span.start}-{span.stop - 1}/26\r\n\r\n"
    return (head + place + LETTERS[span.start : span.stop]).encode()


def test_an_answer_to_a_cast_is_recognised_or_read_as_any_other(data_plane: Mode) -> None:
    spans = [Span(2, 10), Span(10, 15), Span(7, 9)]
    client = data_plane.client(repeating(part(spans[0]), part(spans[1], "later"), INTERIM + part(spans[2])))
    request = Request("GET", client.url, Headers([("Range", spans[0].header)]))
    head = client.connection.exchange(request)
    assert client.body().decode() == LETTERS[2:10]
    mould = Mould.of(request, HeadExchange().encode(request), head, spans[0])
    assert mould is not None
    for span, is_recognised in zip(spans[1:], (True, False), strict=True):
        answer = client.connection.exchange(mould.cast(span))
        assert (answer.status, answer.content_length) == (206, span.length)
        assert answer.is_recognised == is_recognised
        assert client.body().decode() == LETTERS[span.start : span.stop]
        assert client.connection.is_reusable


@given(cuts=st.lists(st.integers(1, 140), max_size=4).map(sorted), interim=st.sampled_from([b"", INTERIM]))
def test_a_cast_reads_heads_that_come_in_pieces(cuts: list[int], interim: bytes) -> None:
    first, second = Span(2, 10), Span(10, 15)
    request = Request("GET", URL.parse("http://host/object"), Headers([("Range", first.header)]))
    exchange = HeadExchange()
    encoded = exchange.encode(request)
    reception = exchange.feed(memoryview(part(first)))
    assert reception is not None
    mould = Mould.of(request, encoded, reception.head, first)
    assert mould is not None
    cast = mould.cast(second)
    assert cast.cast is not None
    reading, data = CastExchange(cast, cast.cast), interim + part(second)
    assert reading.encode(cast) == encoded.replace(b"2-9", b"10-14")
    pieces = [data[start:stop] for start, stop in pairwise([0, *cuts, len(data)]) if start < stop]
    found, read = None, 0
    for piece in pieces:
        read += len(piece)
        if (found := reading.feed(memoryview(piece))) is not None:
            break
    assert found is not None
    assert (found.head.status, found.head.content_length, found.is_kept_alive) == (206, 5, True)
    assert found.surplus == part(second)[-5:][: len(found.surplus)]
    assert data[read - len(found.surplus) : read] == found.surplus


def test_a_cast_says_on_the_wire_what_its_request_says(data_plane: Mode) -> None:
    server = data_plane.serve(repeating(part(Span(0, 1)), part(Span(4, 9)), part(Span(4, 9))))
    client = data_plane.connect(server)
    request = Request("GET", client.url, Headers([("A", "b"), ("Range", "bytes=0-0"), ("If-Match", '"e"')]))
    mould = Mould.of(request, HeadExchange().encode(request), client.connection.exchange(request), Span(0, 1))
    assert mould is not None
    client.body()
    for cast in (mould.cast(Span(4, 9)), replace(mould.cast(Span(4, 9)), cast=None)):
        client.connection.exchange(cast)
        assert client.body().decode() == LETTERS[4:9]
    assert server.requests[1] == server.requests[2] == server.requests[0].replace(b"0-0", b"4-8")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        CHUNKED + b"8\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_bytes_before_a_cut_are_delivered_before_the_error(data_plane: Mode, data: bytes, ending: str) -> None:
    is_read = threading.Event()

    def script(peer: Peer) -> None:
        peer.answer(data)
        assert is_read.wait(20)
        peer.cut() if ending == "cut" else peer.reset()

    client = data_plane.client(script, stall_timeout=20)
    client.get()
    is_read.set()
    assert client.connection.read_into(memoryview(bytearray(10))) == 5
    with pytest.raises(NetworkError):
        client.body()


@pytest.mark.fault("H25")
def test_a_folded_field_is_refused(data_plane: Mode) -> None:
    client = data_plane.client(repeating(b"HTTP/1.1 200 OK\r\nName: a\r\n b\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(ProtocolError, match="folded"):
        client.get()


@pytest.mark.parametrize(
    "coded",
    [
        b"5;" + b"x" * 100_000,
        b"0\r\n" + b"Name: value\r\n" * 10_000,
        b"0\r\nName: " + b"x" * 100_000,
        b"5 x\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"1_0\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n" + bytes(5000),
        b"FFFFFFFFFFFFFFFF\r\nhello",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_chunked_coding_past_its_bounds_is_refused(data_plane: Mode, coded: bytes) -> None:
    client = data_plane.client(repeating(CHUNKED + coded))
    client.get()
    with pytest.raises(ProtocolError):
        client.body()


def test_the_length_of_a_body_may_be_as_large_as_any_object(data_plane: Mode) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nhello"
    client = data_plane.client(repeating(head))
    assert client.get().content_length == 2**63 - 1
    assert client.connection.read_into(memoryview(bytearray(5))) == 5


@pytest.mark.fault("H23")
def test_interim_answers_are_bounded_in_number(data_plane: Mode) -> None:
    client = data_plane.client(repeating(b"HTTP/1.1 102 Processing\r\n\r\n" * 17 + HELLO))
    with pytest.raises(ProtocolError, match="interim"):
        client.get()


@pytest.mark.fault("N6")
def test_a_head_that_trickles_in_is_given_up_at_the_response_timeout(data_plane: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.answer(b"HTTP/1.1 200 OK\r\nName: ")
        while True:
            peer.send(b"x")

    client = data_plane.client(script, response_timeout=0.2)
    with pytest.raises((Stalled, ProtocolError)):
        client.get()


@pytest.mark.fault("N11")
def test_a_port_that_never_accepts_is_a_stall(data_plane: Mode, unanswering: int) -> None:
    with pytest.raises(Stalled):
        data_plane.connect(unanswering, connect_timeout=0.3).get()


def test_abort_ends_an_attempt_to_connect(data_plane: Mode, unanswering: int, monkeypatch: pytest.MonkeyPatch) -> None:
    is_connecting = threading.Event()
    wait = dial.Race.wait

    def noticed(race: dial.Race, seconds: float) -> tuple[socket.socket, Address] | None:
        is_connecting.set()
        return wait(race, seconds)

    monkeypatch.setattr(dial.Race, "wait", noticed)
    client = data_plane.connect(unanswering, connect_timeout=60)
    with client.aborted_at(is_connecting), pytest.raises(Cancelled):
        client.get()


def test_connecting_is_no_part_of_what_an_answer_took(data_plane: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    real, passed, open_route = time.monotonic, [0.0], Route.open

    def slowly(route: Route, cancellation: SocketCancellation, *, public_only: bool) -> Wire:
        wire = open_route(route, cancellation, public_only=public_only)
        passed[0] += 1000.0
        return wire

    monkeypatch.setattr(time, "monotonic", lambda: real() + passed[0])
    monkeypatch.setattr(Route, "open", slowly)
    client = data_plane.client(repeating(HELLO))
    client.get()
    assert 0.0 < client.connection.waited < 1000.0
