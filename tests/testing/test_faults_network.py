"""Connections that break, stall or drip: what curl and a raw socket see of them."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Sequence
from typing import Any

import pytest
import trustme

from fastget.testing import Content, Fault, ObjectServer, StoredObject, faults
from fastget.testing.sending import Sender

DATA = Content.generated(300_000, seed=1).read()
OBJECTS = {"/b/k": StoredObject(Content.of(DATA))}

# The statuses are those of curl's manual, EXIT CODES.
NOT_HTTP, NO_CONNECTION, PARTIAL_FILE, EMPTY_REPLY, SEND_ERROR, RECEIVE_ERROR = 1, 7, 18, 52, 55, 56


def serving(*chosen: Fault) -> ObjectServer:
    return ObjectServer(OBJECTS, faults=chosen)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (faults.reset(after=1000), RECEIVE_ERROR),
        (faults.reset_before_answer(), RECEIVE_ERROR),
        (faults.close_mid_body(after=1000), PARTIAL_FILE),
        (faults.vanish_before_answer(), EMPTY_REPLY),
        (faults.server_speaks_first(), NOT_HTTP),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_curl_names_the_failure_and_the_next_request_is_answered(curl: Any, fault: Fault, status: int) -> None:
    with serving(fault) as server:
        assert curl(server.url("/b/k")).status == status
        assert curl(server.url("/b/k")).output == DATA
        assert server.faults_happened == (fault.name,)


def test_a_refused_connection_is_reset_whatever_curl_is_doing_just_then(curl: Any) -> None:
    with serving(faults.refuse_connection()) as server:
        assert curl(server.url("/b/k")).status in (NO_CONNECTION, SEND_ERROR, RECEIVE_ERROR)
        assert curl(server.url("/b/k")).output == DATA


@pytest.mark.parametrize("after", [0, 1, 1000, len(DATA) - 1])
def test_a_body_ends_after_exactly_so_many_bytes(ask: Any, after: int) -> None:
    with serving(faults.close_mid_body(after=after)) as server:
        answer = ask(server)
        assert (answer.body, answer.ending) == (DATA[:after], "fin")
        assert answer.headers.get("Content-Length") == str(len(DATA))
        assert server.requests[0].bytes_sent == after


def test_a_reset_is_seen_as_one(ask: Any) -> None:
    with serving(faults.reset(after=1000), faults.reset_before_answer().on(request=2)) as server:
        assert ask(server).ending == "reset"
        assert (ask(server).ending, ask(server).ending) == ("reset", "fin")


def test_a_stalled_body_goes_no_further_until_the_client_gives_up(ask: Any) -> None:
    with serving(faults.stall(after=1000)) as server:
        answer = ask(server, quiet_after=1000)
        assert (answer.body, answer.ending) == (DATA[:1000], "silence")


def test_silence_has_no_head(ask: Any) -> None:
    with serving(faults.silence()) as server:
        answer = ask(server, quiet_after=-1)
        assert (answer.data, answer.ending) == (b"", "silence")
        assert server.requests[0].status == 0


def test_a_drip_is_slow_from_its_byte_on(ask: Any) -> None:
    with serving(faults.drip(after=1000, rate=0.1)) as server:
        answer = ask(server, quiet_after=1000)
        assert (answer.body, answer.ending) == (DATA[:1000], "silence")


def test_a_slow_start_delivers_everything_in_the_end(ask: Any) -> None:
    with serving(faults.slow_start(until=2000, rate=50_000)) as server:
        assert ask(server).body == DATA


def test_a_connection_that_promised_to_stay_closes(curl: Any) -> None:
    with serving(faults.close_idle_connection()) as server:
        url = server.url("/b/k")
        assert curl(url, url).output == DATA + DATA
        assert [request.connection for request in server.requests] == [1, 2]
        assert "Connection: close" not in curl("-I", url).output.decode()


def test_each_so_manieth_request_fails(ask: Any) -> None:
    with serving(faults.reset_before_answer().every(3)) as server:
        endings = [ask(server).ending for _ in range(7)]
    assert endings == ["fin", "fin", "reset", "fin", "fin", "reset", "fin"]


def test_a_fault_on_the_third_connection_befalls_that_one_alone(ask: Any) -> None:
    with serving(faults.refuse_connection().on(connection=3)) as server:
        bodies = [ask(server).body for _ in range(4)]
    assert bodies == [DATA, DATA, b"", DATA]


def test_a_held_answer_goes_on_when_it_is_released(ask: Any) -> None:
    release, reached = threading.Event(), threading.Event()
    with serving(faults.hold(release, after=1000, reached=reached)) as server:
        assert ask(server, quiet_after=1000).body == DATA[:1000]
        assert reached.is_set()
        release.set()
        assert ask(server).body == DATA


def test_an_answer_can_be_held_before_its_head(ask: Any) -> None:
    release, reached = threading.Event(), threading.Event()
    with serving(faults.hold(release, after=None, reached=reached)) as server:
        found: list[Any] = []
        client = threading.Thread(target=lambda: found.append(ask(server)))
        client.start()
        assert reached.wait(10)
        assert server.requests[0].status == 0
        release.set()
        client.join(10)
    assert found[0].body == DATA


def test_a_held_answer_does_not_keep_the_server_from_closing(ask: Any, no_leaks: None) -> None:
    with serving(faults.hold(threading.Event(), after=10), faults.stall().on(request=2)) as server:
        assert ask(server, quiet_after=10).ending == "silence"
        assert ask(server, quiet_after=0).ending == "silence"
    assert server.open_connections == 0


def _tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


def _received_over_tls(server: ObjectServer, context: ssl.SSLContext) -> Sequence[bytes]:
    import socket

    request = b"GET /b/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    with context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as secured:
        secured.sendall(request)
        return list(iter(lambda: secured.recv(65536), b""))


def test_over_tls_an_end_that_is_meant_is_announced_and_a_truncation_is_not(no_leaks: None) -> None:
    theirs, ours = _tls()
    with ObjectServer(OBJECTS, tls=theirs, faults=[faults.truncated_close(after=1000).on(request=2)]) as server:
        assert b"".join(_received_over_tls(server, ours)).endswith(DATA)
        with pytest.raises(ssl.SSLEOFError):
            _received_over_tls(server, ours)


def test_a_server_that_closes_as_it_announces_the_end_of_tls_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = _tls()
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda found: raised.append(found.exc_value))
    finish = Sender._finish
    with ObjectServer(OBJECTS, tls=theirs) as server:

        def closing(sender: Sender) -> None:
            server.close_connections()
            finish(sender)

        monkeypatch.setattr(Sender, "_finish", closing)
        with contextlib.suppress(OSError):
            _received_over_tls(server, ours)
    assert not raised


def test_a_truncated_close_over_plain_http_looks_whole(curl: Any) -> None:
    with serving(faults.truncated_close(after=1000)) as server:
        run = curl(server.url("/b/k"))
        assert (run.status, run.output) == (0, DATA[:1000])
