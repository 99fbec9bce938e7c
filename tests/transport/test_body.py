"""Body readers against h11, over every way in which the bytes may be cut into pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.messages import Framing, Headers, ResponseHead
from fastget.errors import FastgetError, NetworkError
from fastget.transport.body import Body, Intake, body_of
from fastget.transport.cancellation import SocketCancellation

if TYPE_CHECKING:
    from fastget.transport.wire import Wire

CUTS = st.lists(st.integers(1, 50), min_size=1, max_size=20)


class Pieces:
    """A wire that gives its bytes in pieces of given sizes, in turn; then it ends."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = data
        self._sizes = sizes
        self._turn = 0
        self.acknowledged: list[int] = []

    def acknowledge(self) -> None:
        self.acknowledged.append(len(self._data))

    def receive(self, view: memoryview) -> int:
        size = min(self._sizes[self._turn % len(self._sizes)], len(view), len(self._data))
        view[:size] = self._data[:size]
        self._data = self._data[size:]
        self._turn += 1
        return size

    fill = receive


def body_over(framing: Framing, data: bytes, cuts: list[int], length: int | None = None) -> tuple[Body, Intake]:
    """A body whose first bytes came along with the head."""
    surplus, rest = data[: cuts[0]], data[cuts[0] :]
    intake = Intake(cast("Wire", Pieces(rest, cuts)), surplus, 1.0, SocketCancellation())
    return body_of(ResponseHead(200, Headers(), framing, length), intake), intake


def read(body: Body, buffer_sizes: list[int]) -> bytes:
    found = b""
    turn = 0
    while True:
        buffer = memoryview(bytearray(buffer_sizes[turn % len(buffer_sizes)]))
        count = body.read_into(buffer)
        assert count <= len(buffer)
        if not count:
            return found
        found += bytes(buffer[:count])
        turn += 1


def encode(chunks: list[bytes]) -> bytes:
    """The chunked coding that an h11 server writes."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    server.next_event()
    server.send(h11.Response(status_code=200, headers=[("Transfer-Encoding", "chunked")]))
    coded = [server.send(h11.Data(data=chunk)) for chunk in chunks]
    return b"".join(part or b"" for part in [*coded, server.send(h11.EndOfMessage(headers=[("A", "b")]))])


def decode(coded: bytes) -> bytes | None:
    """What an h11 client makes of chunked coding; None where it refuses it, or waits for more."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + coded)
    found = b""
    try:
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Data):
                found += event.data
    except h11.RemoteProtocolError:
        return None
    return found


def test_what_has_come_is_acknowledged_before_the_last_bytes_of_an_answer_are_waited_for() -> None:
    wire = Pieces(b"x" * 100, [40])
    intake = Intake(cast("Wire", wire), b"surplus", 1.0, SocketCancellation())
    body = body_of(ResponseHead(200, Headers(), Framing.LENGTH, 107), intake)
    view = memoryview(bytearray(107))
    assert body.read_into(view[:20]) == 20
    assert wire.acknowledged == []
    assert body.read_into(view[20:50]) == 30
    assert wire.acknowledged == []
    assert body.read_into(view[:60]) == 40
    assert wire.acknowledged == [57]


def test_nothing_is_acknowledged_for_a_body_that_came_with_its_head() -> None:
    wire = Pieces(b"", [1])
    intake = Intake(cast("Wire", wire), b"surplus", 1.0, SocketCancellation())
    body = body_of(ResponseHead(200, Headers(), Framing.LENGTH, 7), intake)
    assert body.read_into(memoryview(bytearray(7))) == 7
    assert wire.acknowledged == []


@given(st.lists(st.binary(max_size=40), max_size=20), CUTS, CUTS)
def test_what_h11_codes_is_decoded(chunks: list[bytes], cuts: list[int], buffer_sizes: list[int]) -> None:
    body, intake = body_over(Framing.CHUNKED, encode(chunks), cuts)
    assert read(body, buffer_sizes) == b"".join(chunks)
    assert body.is_finished
    assert not intake.has_surplus


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=6), CUTS, st.data())
def test_damaged_coding_is_refused_or_read_as_h11_reads_it(
    chunks: list[bytes], cuts: list[int], data: st.DataObject
) -> None:
    coded = bytearray(encode(chunks))
    coded[data.draw(st.integers(0, len(coded) - 1))] = data.draw(st.integers(0, 255))
    body, _ = body_over(Framing.CHUNKED, bytes(coded), cuts)
    try:
        found = read(body, [7])
    except FastgetError:
        return
    assert found == decode(bytes(coded))


@given(st.binary(max_size=300), CUTS)
def test_noise_is_refused_or_ends(noise: bytes, cuts: list[int]) -> None:
    body, _ = body_over(Framing.CHUNKED, noise, cuts)
    try:
        found = read(body, [7])
    except FastgetError:
        return
    assert len(found) < len(noise)


@given(st.binary(max_size=200), st.integers(0, 200), CUTS, CUTS)
def test_a_declared_length_is_kept_to_the_byte(
    data: bytes, length: int, cuts: list[int], buffer_sizes: list[int]
) -> None:
    body, intake = body_over(Framing.LENGTH, data, cuts, length)
    if length > len(data):
        with pytest.raises(NetworkError, match=f"after {len(data)} of {length} bytes"):
            read(body, buffer_sizes)
        return
    assert read(body, buffer_sizes) == data[:length]
    assert body.is_finished
    assert not intake.has_surplus or length < len(data)


@pytest.mark.fault("N3")
@given(st.binary(max_size=200), CUTS, CUTS)
def test_a_body_that_ends_with_its_connection_is_all_there_was(
    data: bytes, cuts: list[int], buffer_sizes: list[int]
) -> None:
    body, _ = body_over(Framing.CLOSE, data, cuts)
    assert read(body, buffer_sizes) == data
    assert body.is_finished
