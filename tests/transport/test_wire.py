"""Wires over real sockets: what the kernel is asked for."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trustme

from fastget.transport import readiness
from fastget.transport.wire import TlsWire, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Pair = tuple[socket.socket, socket.socket]
# `tcpi_unacked` of linux/tcp.h: behind eight bytes and four numbers.
_UNACKNOWLEDGED = 24


class Refusing(socket.socket):
    """Of a system without SO_RCVLOWAT."""

    def setsockopt(self, level: int, name: int, value: object, *more: object) -> None:
        if (level, name) == (socket.SOL_SOCKET, socket.SO_RCVLOWAT):
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        super().setsockopt(level, name, value, *more)  # type: ignore[call-overload]


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


def test_a_wire_waits_for_as_many_bytes_as_are_wanted_and_tells_how_many_have_come(pair: Pair) -> None:
    client, server = pair
    wire = Wire(client, 5.0)
    server.sendall(bytes(1000))
    later = threading.Timer(0.2, server.sendall, [bytes(2000)])
    later.start()
    assert wire.ready(3000, 10.0) == 3000
    later.join()
    assert wire.fill(memoryview(bytearray(3000))) == 3000


def test_less_than_is_wanted_is_told_when_the_time_is_up_or_the_stream_ends(pair: Pair) -> None:
    client, server = pair
    wire = Wire(client, 5.0)
    assert wire.ready(1000, 0.01) == 0
    server.sendall(bytes(100))
    assert wire.ready(100, 10.0) == 100
    assert wire.ready(1000, 0.01) == 100
    server.shutdown(socket.SHUT_WR)
    assert wire.ready(1000, 60.0) == 100
    assert wire.fill(memoryview(bytearray(1000))) == 100


def test_who_has_waited_for_much_is_woken_by_one_byte_again(pair: Pair) -> None:
    """By whatever reads, and by the look at what came unasked."""
    client, server = pair
    wire = Wire(client, 60.0)

    def sent_after(wait: Callable[[], object]) -> object:
        assert wire.ready(1000, 0.01) == 0
        later = threading.Timer(0.1, server.sendall, [b"x"])
        later.start()
        began = time.monotonic()
        found = wait()
        later.join()
        assert time.monotonic() - began < 30
        return found

    assert sent_after(lambda: wire.receive(memoryview(bytearray(10)))) == 1
    assert sent_after(lambda: wire.fill(memoryview(bytearray(1)))) == 1
    assert wire.ready(1000, 0.01) == 0
    server.sendall(b"x")
    assert select.select([client], [], [], 0.2)[0] == []  # so it is the wire that has to ask for less
    assert not wire.is_silent()


def test_of_what_has_come_some_may_be_read_and_the_rest_is_still_known(pair: Pair) -> None:
    client, server = pair
    wire = Wire(client, 60.0)
    server.sendall(bytes(3000))
    assert wire.ready(3000, 10.0) == 3000
    assert wire.fill(memoryview(bytearray(1000))) == 1000
    assert wire.fill(memoryview(bytearray(2000))) == 2000
    later = threading.Timer(0.1, server.sendall, [b"x"])
    later.start()
    assert wire.fill(memoryview(bytearray(1))) == 1
    later.join()


def test_a_system_that_refuses_to_wait_for_much_breaks_nothing(pair: Pair) -> None:
    client, server = pair
    refusing = Refusing(family=client.family, type=client.type, fileno=client.detach())
    with refusing:
        wire = Wire(refusing, 5.0)
        server.sendall(bytes(1000))
        assert wire.ready(1000, 60.0) == 0
        assert wire.fill(memoryview(bytearray(1000))) == 1000


def test_where_it_cannot_be_known_nothing_is_ready(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = pair
    monkeypatch.setattr(readiness, "IS_KNOWN", False)
    server.sendall(bytes(1000))
    assert Wire(client, 5.0).ready(1000, 60.0) == 0


def test_over_tls_payload_does_not_tell_how_many_bytes_have_come(pair: Pair) -> None:
    """There are fewer of them: the end of an answer, a moment late, is not waited for as if it were much."""
    client, server = pair
    authority = trustme.CA()
    contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(contexts[0])
    authority.issue_cert("localhost").configure_cert(contexts[1])
    size, late, is_wide, is_read = 400 * 1024, 300, threading.Event(), threading.Event()
    lengths: list[int] = []

    def serve() -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = contexts[1].wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                server.sendall(outgoing.read())
                incoming.write(server.recv(65_536))
        server.sendall(outgoing.read())
        tls.write(bytes(size))
        data = outgoing.read()
        is_wide.wait(60)
        server.sendall(data[:-late])
        lengths.append(len(data))
        is_read.wait(60)
        server.sendall(data[-late:])

    serving = threading.Thread(target=serve)
    serving.start()
    with contexts[0].wrap_socket(client, server_hostname="localhost") as secured:
        wire, view = TlsWire(secured, 60.0), memoryview(bytearray(size))
        wire.ready(size, 0.01)  # from here on the window has room for all of it
        is_wide.set()
        while not lengths:
            time.sleep(0.01)
        got = wire.fill(view[: wire.ready(lengths[0] - late + 17 * 1024, 10.0)]) or 0
        assert got > size // 2
        threading.Timer(0.1, is_read.set).start()
        began = time.monotonic()
        while got < size:
            got += wire.fill(view[got:]) or 0
        assert time.monotonic() - began < 30
    serving.join()
