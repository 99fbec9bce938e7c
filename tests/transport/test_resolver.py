"""Names are resolved once for all connections, in a thread that nobody has to wait for."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from fastget.core.addresses import Address, Trouble
from fastget.errors import Cancelled, NetworkError, Stalled
from fastget.transport import resolver as resolver_module
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.resolver import LIFETIME, Host, Resolver

pytestmark = pytest.mark.usefixtures("no_leaks")


def address(last: int) -> Address:
    return Address(socket.AF_INET, socket.SOCK_STREAM, 0, (f"10.0.0.{last}", 443))


A, B = address(1), address(2)


class NameServer:
    """Answers with what it is told; `asked` are the names, `silent` holds answers back until it is set."""

    def __init__(self) -> None:
        self.answer: list[Address] | Exception = [A, B]
        self.asked: list[str] = []
        self.threads: list[str] = []
        self.has_been_asked = threading.Event()
        self.silent = threading.Event()
        self.silent.set()

    def __call__(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        self.threads.append(threading.current_thread().name)
        self.has_been_asked.set()
        answer = self.answer
        self.silent.wait(60)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.silent.set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The resolver's time, in seconds; it moves when a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(resolver_module, "monotonic", lambda: now[0])
    return now


def host_of(names: NameServer, name: str = "store.example") -> Host:
    return Resolver(names).host(name, 443)


def order(host: Host, timeout: float = 20.0) -> list[Address]:
    host.resolve(timeout, SocketCancellation())
    found = host.reserve(lambda _: True)
    host.closed(found[0])
    return found


def test_a_name_is_asked_for_once_for_all_connections(names: NameServer) -> None:
    resolver = Resolver(names)
    for _ in range(3):
        assert order(resolver.host("store.example", 443)) == [A, B]
    assert names.asked == ["store.example"]
    order(resolver.host("other.example", 443))
    assert names.asked == ["store.example", "other.example"]


def test_threads_that_connect_at_once_wait_for_one_answer(names: NameServer) -> None:
    names.silent.clear()
    host, found = host_of(names), []
    threads = [threading.Thread(target=lambda: found.append(order(host))) for _ in range(8)]
    for thread in threads:
        thread.start()
    names.has_been_asked.wait(20)
    names.silent.set()
    for thread in threads:
        thread.join(20)
    # Which of the two comes first, depends on who else holds a connection at that moment.
    assert [sorted(each) for each in found] == [sorted([A, B])] * 8
    assert len(names.asked) == 1


@pytest.mark.parametrize("literal", ["127.0.0.1", "::1", "10.20.30.40"])
def test_an_address_needs_no_thread_and_is_asked_for_once(names: NameServer, clock: list[float], literal: str) -> None:
    host = host_of(names, literal)
    for _ in range(3):
        order(host)
        clock[0] += 10 * LIFETIME
    assert names.threads == [threading.current_thread().name]


def test_a_name_is_resolved_in_a_thread_that_does_not_hold_up_the_end(names: NameServer) -> None:
    order(host_of(names))
    assert names.threads == ["fastget-resolver"]


def test_an_old_answer_is_replaced_by_a_new_one(names: NameServer, clock: list[float]) -> None:
    host = host_of(names)
    order(host)
    names.answer = [B]
    clock[0] += LIFETIME - 1
    assert order(host) == [A, B]
    clock[0] += 1
    assert order(host) == [B]
    assert len(names.asked) == 2


@pytest.mark.parametrize("answer", [socket.gaierror(socket.EAI_AGAIN, "no"), socket.gaierror(socket.EAI_NONAME, "no")])
def test_an_old_answer_does_where_there_is_no_new_one(names: NameServer, clock: list[float], answer: Exception) -> None:
    host = host_of(names)
    order(host)
    names.answer = answer
    clock[0] += LIFETIME
    assert order(host) == [A, B]
    assert order(host) == [A, B]
    assert len(names.asked) == 2


def test_a_new_answer_that_does_not_come_is_not_waited_for_twice(names: NameServer, clock: list[float]) -> None:
    host = host_of(names)
    order(host)
    clock[0] += LIFETIME
    names.answer = [B]
    names.silent.clear()
    assert order(host, timeout=60.0) == [A, B]
    assert order(host, timeout=60.0) == [A, B]
    assert len(names.asked) == 2


@pytest.mark.fault("N15")
def test_a_name_is_asked_for_again_when_all_of_its_addresses_are_bad(names: NameServer) -> None:
    host = host_of(names)
    order(host)
    names.answer = [A, B, address(3)]
    host.blame(A, Trouble.UNREACHABLE)
    assert order(host) == [B, A]
    host.blame(B, Trouble.UNREACHABLE)
    assert order(host) == [address(3), A, B]
    assert len(names.asked) == 2


@pytest.mark.fault("N14")
def test_a_name_server_that_keeps_silent_is_a_stall_that_names_the_host(names: NameServer) -> None:
    names.silent.clear()
    host = host_of(names)
    for _ in range(2):
        with pytest.raises(Stalled, match=r"store\.example was not resolved within 0\.05 s") as caught:
            order(host, timeout=0.05)
        assert caught.value.is_transient
    assert len(names.asked) == 1
    names.silent.set()
    assert order(host) == [A, B]


@pytest.mark.fault("N14")
def test_whoever_waits_for_a_silent_name_server_can_be_stopped(names: NameServer) -> None:
    names.silent.clear()
    host, cancellation = host_of(names), SocketCancellation()

    def stop() -> None:
        names.has_been_asked.wait(20)
        cancellation.cancel()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(Cancelled):
        host.resolve(600.0, cancellation)
    stopper.join(20)


def test_a_name_that_failed_is_asked_for_again_by_the_next_one(names: NameServer) -> None:
    host = host_of(names)
    names.answer = socket.gaierror(socket.EAI_AGAIN, "no answer")
    with pytest.raises(NetworkError, match="no answer"):
        order(host)
    names.answer = [B]
    assert order(host) == [B]


def test_a_name_without_any_address_is_a_network_error(names: NameServer) -> None:
    names.answer = []
    with pytest.raises(NetworkError, match=r"store\.example cannot be resolved"):
        order(host_of(names))


def test_where_no_thread_can_be_had_the_caller_asks_by_itself(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert order(host_of(names)) == [A, B]


def test_the_number_of_hosts_is_bounded(names: NameServer) -> None:
    resolver = Resolver(names)
    hosts = [resolver.host(f"h{number}.example", 443) for number in range(300)]
    assert resolver.host("h299.example", 443) is hosts[299]
    assert resolver.host("h0.example", 443) is not hosts[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_asks_anew_while_its_parent_waits(names: NameServer) -> None:
    names.silent.clear()
    resolver = Resolver(names)
    waiting = threading.Thread(target=lambda: order(resolver.host("store.example", 443)))
    waiting.start()
    names.has_been_asked.wait(20)
    host = resolver.host("store.example", 443)
    with host._lock:
        child = os.fork()
        if not child:
            resolver.begin_anew()
            names.silent = threading.Event()
            names.silent.set()
            os._exit(0 if order(resolver.host("store.example", 443)) == [A, B] else 1)
    assert os.waitpid(child, 0)[1] == 0
    names.silent.set()
    waiting.join(20)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names may be resolved by other means")
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_system_is_asked_without_the_tables_of_international_names(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: bytes, *rest: object, **options: object) -> object:
        asked.append(host)
        return real(host, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert "127.0.0.1" in [str(one) for one in order(Resolver().host(name, 80))]
    assert asked == [name.encode()]
