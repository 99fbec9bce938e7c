"""The server itself: connections, its record, and that it ends without a trace."""

from __future__ import annotations

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.testing.pace import Link, Pace

CONTENT = Content.generated(3 * 2**20 + 11, seed=2)
OBJECTS = {"/b/k": StoredObject(CONTENT), "/b/a key+%/é": StoredObject(Content.of(b"odd"))}


def test_one_connection_carries_many_requests() -> None:
    with ObjectServer(OBJECTS) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for start in (0, 2**20 - 3, 3 * 2**20):
            client.request("GET", "/b/k", headers={"Range": f"bytes={start}-{start + 9}"})
            assert client.getresponse().read() == CONTENT.read(start, start + 10)
        client.close()
        assert [request.connection for request in server.requests] == [1, 1, 1]
        assert server.connections == 1


def test_requests_sent_ahead_are_answered_in_order() -> None:
    requests = "".join(f"GET /b/k HTTP/1.1\r\nHost: x\r\nRange: bytes={n}-{n}\r\n\r\n" for n in range(3))
    last = "GET /b/none HTTP/1.0\r\n\r\n"
    with (
        ObjectServer(OBJECTS) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock,
    ):
        sock.sendall((requests + last).encode())
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in received.split(b"HTTP/1.1 ")[1:]]
    assert bodies[:3] == [CONTENT.read(n, n + 1) for n in range(3)]
    assert b"NoSuchKey" in bodies[3]


def test_the_record_tells_what_was_asked_and_sent(ask: Any) -> None:
    with ObjectServer(OBJECTS) as server:
        ask(server, "/b/k?partNumber=1&x=y", If_Match='"e"')
        ask(server, Range="bytes=0-99")
        first, second = server.requests
        assert (first.method, first.target, first.path) == ("GET", "/b/k?partNumber=1&x=y", "/b/k")
        assert (first.part_number, first.headers.get("if-match"), first.status) == (1, '"e"', 412)
        assert (second.range, second.status, second.bytes_sent) == ("bytes=0-99", 206, 100)
        assert (first.connection, second.connection) == (1, 2)
        server.forget_requests()
        assert server.requests == ()


def test_keys_are_what_their_encoded_paths_mean(curl: Any) -> None:
    with ObjectServer(OBJECTS) as server:
        url = server.url("/b/a key+%/é")
        assert url.endswith("/b/a%20key%2B%25/%C3%A9")
        assert curl(url).output == b"odd"


def test_many_clients_at_once_get_the_right_bytes() -> None:
    def fetch(server: ObjectServer, number: int) -> bool:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        client.request("GET", "/b/k", headers={"Range": f"bytes={number * 100_000}-{number * 100_000 + 149_999}"})
        body = client.getresponse().read()
        client.close()
        return body == CONTENT.read(number * 100_000, number * 100_000 + 150_000)

    with ObjectServer(OBJECTS) as server, ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda number: fetch(server, number), range(30)))


def test_connections_past_the_maximum_wait_their_turn(ask: Any) -> None:
    with ObjectServer(OBJECTS, max_connections=1) as server:
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        idle.sendall(b"GET /b/none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 404")
        answers: list[Any] = []
        waiting = threading.Thread(target=lambda: answers.append(ask(server, Range="bytes=0-0")))
        waiting.start()
        assert server.connections == 1
        idle.close()
        waiting.join(10)
        assert answers[0].status == 206


@pytest.mark.usefixtures("no_leaks")
def test_closing_ends_every_connection_thread_and_socket() -> None:
    server = ObjectServer(OBJECTS, faults=[faults.stall().on(path="/b/k")])
    sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(5)]
    for sock in sockets[:3]:
        sock.sendall(b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(65536)
    server.close()
    server.close()
    assert server.open_connections == 0
    for sock in sockets:
        sock.close()


@pytest.mark.usefixtures("no_leaks")
def test_closing_does_not_wait_for_slow_answers() -> None:
    slow = Behaviour(first_byte_delay=(3600, 3600))
    dripping = Behaviour(rate_per_connection=0.001)
    for behaviour in (slow, dripping):
        server = ObjectServer(OBJECTS, behaviour=behaviour)
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
            sock.sendall(b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n")
            server.close()
        assert server.open_connections == 0


def test_connections_can_be_cut_while_the_server_goes_on(ask: Any) -> None:
    with (
        ObjectServer(OBJECTS) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock,
    ):
        sock.sendall(b"GET /b/none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(65536)
        server.close_connections()
        assert sock.recv(65536) == b""
        assert ask(server, Range="bytes=0-0").status == 206


def test_objects_come_and_go(ask: Any) -> None:
    with ObjectServer({}) as server:
        assert ask(server).status == 404
        server.put("/b/k", OBJECTS["/b/k"])
        assert ask(server, method="HEAD").status == 200
        server.remove("/b/k")
        assert ask(server).status == 404
        with pytest.raises(KeyError):
            server.remove("/b/k")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_not_allowed(ask: Any, method: str) -> None:
    with ObjectServer(OBJECTS) as server:
        assert ask(server, method=method).status == 405


@pytest.mark.parametrize(
    "request_head", [b"NONSENSE\r\n\r\n", b"GET /b/k HTTP/2\r\n\r\n", b"GET / HTTP/1.1\r\nbad\r\n\r\n"]
)
def test_what_is_not_http_is_refused(request_head: bytes) -> None:
    with (
        ObjectServer(OBJECTS) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock,
    ):
        sock.sendall(request_head)
        assert sock.recv(65536).startswith(b"HTTP/1.1 400 ")
        assert sock.recv(65536) == b""


def send_without_end(sock: socket.socket) -> None:
    while True:
        sock.sendall(b"x" * 65536)


def test_a_request_head_without_end_is_given_up() -> None:
    with (
        ObjectServer(OBJECTS) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock,
    ):
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_without_end(sock)
        assert server.requests == ()


def test_a_client_that_goes_away_does_not_disturb_the_others(ask: Any) -> None:
    with ObjectServer(OBJECTS) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
            sock.sendall(b"GET /b/k HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ask(server).body == CONTENT.read()


def test_a_proxy_request_names_the_whole_url(curl: Any) -> None:
    with ObjectServer(OBJECTS) as server:
        url = "http://store.invalid/b/k"
        assert curl("-x", server.base_url, "-r", "0-9", url).output == CONTENT.read(0, 10)
        assert server.requests[0].target == url


def test_connections_share_the_rate_of_the_server() -> None:
    link, moments = Link(), []
    for connection in (Pace(((0, None),), None, link, 1e6), Pace(((0, None),), None, link, 1e6)):
        assert connection.is_limited
        assert connection.limit() == 20_000
        moments.append(connection.delay(20_000))
    assert moments[0] == pytest.approx(0.02, abs=0.005)
    assert 0.019 < moments[1] < 0.041
