"""Wires over real sockets: what the kernel is asked for."""

from __future__ import annotations

import select
import socket
import struct
import sys
from typing import TYPE_CHECKING

import pytest

from fastget.transport.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

Pair = tuple[socket.socket, socket.socket]
# `tcpi_unacked` of linux/tcp.h: behind eight bytes and four numbers.
_UNACKNOWLEDGED = 24


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        with server:
            yield client, server


def unacknowledged(sock: socket.socket) -> int:
    """Segments that the other end has not acknowledged."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("@I", info, _UNACKNOWLEDGED)[0])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell, and are not asked")
def test_what_has_come_is_acknowledged_as_it_is_read_when_that_is_asked_for(pair: Pair) -> None:
    client, server = pair
    wire = Wire(client, 5.0)
    for _ in range(50):  # a conversation, in which the kernel acknowledges with the next request
        wire.send(b"request")
        server.recv(100)
        server.sendall(b"answer")
        assert select.select([client], [], [], 5)[0]
        wire.receive(memoryview(bytearray(100)))
    wire.send(b"request")
    server.recv(100)
    server.sendall(b"the start of an answer")
    assert select.select([client], [], [], 5)[0]
    wire.acknowledge()
    wire.receive(memoryview(bytearray(100)))
    assert unacknowledged(server) == 0
