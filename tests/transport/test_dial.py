"""From names to connected sockets: many addresses, broken ones, names that nobody knows."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from fastget.errors import Cancelled, NetworkError, Stalled
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.dial import dial
from fastget.transport.resolver import Host

Answer = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]
Resolve = Callable[..., None]

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port that nobody listens on: it is taken, so that nobody else gets it meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Sets what every name resolves to: ports of the loopback, or socket addresses."""

    def to(*addresses: int | tuple[socket.AddressFamily, tuple[object, ...]]) -> None:
        pairs = [
            (socket.AF_INET, ("127.0.0.1", address)) if isinstance(address, int) else address for address in addresses
        ]
        answers: list[Answer] = [(family, socket.SOCK_STREAM, 0, "", name) for family, name in pairs]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answers)

    return to


def connected_port(timeout: float = 20) -> int:
    cancellation = SocketCancellation()
    sock, _ = dial(Host("host.example", 80), timeout, cancellation)
    port: int = sock.getpeername()[1]
    cancellation.close(sock)
    return port


@pytest.mark.fault("N15")
def test_a_refused_address_is_passed_over(resolve: Resolve, listening: int, refusing: int) -> None:
    resolve(refusing, refusing, listening)
    assert connected_port() == listening


@pytest.mark.fault("N24")
def test_a_broken_family_is_passed_over(resolve: Resolve, listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    make = socket.socket

    def without_ipv6(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return make(family, *rest)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    resolve((socket.AF_INET6, ("::1", 80, 0, 0)), listening)
    assert connected_port() == listening


@pytest.mark.fault("N15")
def test_an_address_that_keeps_silent_does_not_hold_up_the_next(
    resolve: Resolve, listening: int, unanswering: int
) -> None:
    resolve(unanswering, listening)
    assert connected_port(timeout=60) == listening


def test_the_first_address_that_answers_is_taken(resolve: Resolve, listening: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        resolve(other.getsockname()[1], listening)
        assert connected_port() == other.getsockname()[1]


def test_addresses_that_all_refuse_are_a_network_error(resolve: Resolve, refusing: int) -> None:
    resolve(refusing, refusing)
    with pytest.raises(NetworkError, match="port 80: Connection refused") as caught:
        connected_port()
    assert caught.value.is_transient
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.hint == "check that the server is running, and that the port is the right one"


@pytest.mark.fault("N11")
def test_addresses_that_all_keep_silent_are_a_stall(resolve: Resolve, unanswering: int) -> None:
    resolve(unanswering, unanswering)
    with pytest.raises(Stalled, match=r"host\.example"):
        connected_port(timeout=0.2)


@pytest.mark.fault("N27")
def test_descriptors_that_ran_out_are_a_network_error(
    resolve: Resolve, listening: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: int) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    resolve(listening)
    monkeypatch.setattr(socket, "socket", fail)
    with pytest.raises(NetworkError, match="Too many open files"):
        connected_port()


@pytest.mark.fault("N13", "N14")
@pytest.mark.parametrize(("code", "is_transient"), [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True)])
def test_a_name_without_an_address_is_a_network_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, code: int, is_transient: bool
) -> None:
    def fail(*_args: object, **_options: object) -> list[Answer]:
        raise socket.gaierror(code, "as the resolver puts it")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NetworkError, match=r"host\.example cannot be resolved") as caught:
        connected_port()
    assert caught.value.is_transient == is_transient


def test_a_name_that_is_too_long_is_a_network_error() -> None:
    with pytest.raises(NetworkError):
        dial(Host("x" * 300, 80), 1, SocketCancellation())


def test_cancelling_during_the_resolution_holds_afterwards(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cancellation = SocketCancellation()

    def cancelled(*_args: object, **_options: object) -> list[Answer]:
        cancellation.cancel()
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", listening))]

    monkeypatch.setattr(socket, "getaddrinfo", cancelled)
    with pytest.raises(Cancelled):
        dial(Host("host.example", listening), 20, cancellation)


def test_a_watched_socket_is_shut_down_and_a_forgotten_one_is_not() -> None:
    cancellation = SocketCancellation()
    watched, forgotten = socket.socketpair(), socket.socketpair()
    cancellation.watch(watched[0])
    cancellation.watch(forgotten[0])
    cancellation.forget(forgotten[0])
    reader = threading.Thread(target=watched[0].recv, args=(1,))
    reader.start()
    cancellation.cancel()
    reader.join(20)
    assert not reader.is_alive()
    forgotten[1].send(b"x")
    assert forgotten[0].recv(1) == b"x"
    for sock in (*watched, *forgotten):
        sock.close()


def test_a_socket_may_be_cancelled_by_the_thread_that_begins_to_watch_it() -> None:
    """As the garbage collector has it, which ends a stream that nobody closed in whatever thread it runs."""
    cancellation = SocketCancellation()

    class Watched(socket.socket):
        def __hash__(self) -> int:
            cancellation.cancel()
            return 1

    with Watched() as watched, pytest.raises(Cancelled):
        cancellation.watch(watched)
    with pytest.raises(Cancelled), cancellation.waking(lambda: None):
        pass
