"""TLS: whom it trusts, and which ends it takes for an end."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme

from fastget.config import Config
from fastget.core.messages import Request
from fastget.core.urls import URL
from fastget.errors import Cancelled, ConfigError, NetworkError, ProtocolError, Stalled
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.pool import Pool
from fastget.transport.tls import client_context, handshake

if TYPE_CHECKING:
    from pathlib import Path

    from tests.transport.conftest import Mode, Peer, ServerMaker

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
NOW = datetime.now(UTC)


def hello(peer: Peer) -> None:
    peer.answer(HELLO)
    peer.stall()


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def refused(authority: trustme.CA, fault: str) -> ssl.SSLContext:
    """The server side of TLS with a certificate that must not be accepted."""
    day = timedelta(days=1)
    if fault == "unknown authority":
        return context_of(trustme.CA().issue_cert("127.0.0.1"))
    if fault == "other host":
        return context_of(authority.issue_cert("elsewhere.example"))
    if fault == "expired":
        return context_of(authority.issue_cert("127.0.0.1", not_before=NOW - 9 * day, not_after=NOW - day))
    return context_of(authority.issue_cert("127.0.0.1", not_before=NOW + day, not_after=NOW + 9 * day))


@pytest.mark.fault("N19")
@pytest.mark.parametrize(
    ("fault", "way_out"),
    [
        ("unknown authority", "--ca-bundle"),
        ("other host", "a name that the certificate has"),
        ("expired", "it has ended: look at the clock"),
        ("not yet valid", "look at the clock"),
    ],
)
def test_a_certificate_that_does_not_hold_is_refused_for_good(
    secured: Mode, scripted: ServerMaker, authority: trustme.CA, fault: str, way_out: str
) -> None:
    server = scripted(hello, context=refused(authority, fault))
    with pytest.raises(NetworkError, match=r"certificate of 127\.0\.0\.1 is not trusted") as caught:
        secured.connect(server).get()
    assert not caught.value.is_transient
    assert way_out in (caught.value.hint or "")
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "heed"),
    [
        ("AWS_CA_BUNDLE", "is read for s3:// alone"),
        ("REQUESTS_CA_BUNDLE", "names those that are trusted where no option does"),
        ("CURL_CA_BUNDLE", "names those that are trusted where no option does"),
    ],
)
def test_what_counts_of_the_variables_that_name_a_bundle_is_told(
    secured: Mode, scripted: ServerMaker, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, name: str, heed: str
) -> None:
    monkeypatch.setenv(name, "/etc/ours.pem")
    server = scripted(hello, context=refused(authority, "unknown authority"))
    with pytest.raises(NetworkError) as caught:
        secured.connect(server).get()
    assert f"--ca-bundle ({name} {heed})" in (caught.value.hint or "")


def test_a_bundle_that_may_not_be_looked_at_hides_no_certificate_that_is_not_trusted(
    secured: Mode, scripted: ServerMaker, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is forbidden to the root of a test run; a name that is too long fails in the same way.
    monkeypatch.setenv("SSL_CERT_DIR", "/" + "x" * 300)
    server = scripted(hello, context=refused(authority, "unknown authority"))
    with pytest.raises(NetworkError) as caught:
        secured.connect(server).get()
    assert "which is not there" in (caught.value.hint or "")


def test_insecure_gives_up_the_check(secured: Mode, scripted: ServerMaker, authority: trustme.CA) -> None:
    client = secured.connect(scripted(hello, context=refused(authority, "other host")), insecure=True)
    client.get()
    assert client.body() == b"hello"


@pytest.mark.fault("N21")
def test_a_server_that_does_not_speak_tls_is_a_network_error(secured: Mode, scripted: ServerMaker) -> None:
    server = scripted(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(NetworkError):
        secured.connect(server).get()


@pytest.mark.fault("N21")
def test_a_connection_that_ends_within_the_handshake_is_a_network_error(secured: Mode, scripted: ServerMaker) -> None:
    server = scripted(lambda peer: peer.reset())
    with pytest.raises(NetworkError) as caught:
        secured.connect(server).get()
    assert caught.value.is_transient


def test_a_connection_that_was_reset_before_the_handshake_is_closed(no_leaks: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        select.select([sock], [], [])
        with pytest.raises(NetworkError):
            handshake(sock, "127.0.0.1", client_context(Config()), 20, SocketCancellation())
    assert sock.fileno() == -1


@pytest.mark.fault("N11")
def test_a_handshake_without_an_answer_is_a_stall(secured: Mode, scripted: ServerMaker) -> None:
    server = scripted(lambda peer: peer.stall())
    with pytest.raises(Stalled):
        secured.connect(server, connect_timeout=0.3).get()


def test_abort_ends_a_handshake(secured: Mode, scripted: ServerMaker) -> None:
    is_greeted = threading.Event()

    def script(peer: Peer) -> None:
        peer.socket.recv(1)
        is_greeted.set()
        peer.stall()

    client = secured.connect(scripted(script), connect_timeout=60)
    with client.aborted_at(is_greeted), pytest.raises(Cancelled):
        client.get()


@pytest.mark.parametrize("is_said_first", [False, True])
def test_a_server_that_wants_a_certificate_of_its_client_is_told_as_that_and_not_asked_again(
    secured: Mode, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, is_said_first: bool
) -> None:
    context = context_of(authority.issue_cert("127.0.0.1"))
    context.verify_mode = ssl.CERT_REQUIRED
    has_ended = threading.Event()

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            accepted, _ = listener.accept()
            with accepted, pytest.raises(ssl.SSLError):
                context.wrap_socket(accepted, server_side=True)
            has_ended.set()

        if is_said_first:  # the connection has ended before the request is sent
            send = ssl.SSLSocket.sendall

            def send_late(sock: ssl.SSLSocket, data: bytes) -> None:
                has_ended.wait(20)
                send(sock, data)

            monkeypatch.setattr(ssl.SSLSocket, "sendall", send_late)
        server = threading.Thread(target=refuse)
        server.start()
        with pytest.raises(NetworkError, match="asks its client for a certificate") as caught:
            secured.connect(listener.getsockname()[1]).get()
        server.join()
    assert not caught.value.is_transient
    assert "a tool that can show one" in (caught.value.hint or "")


@pytest.mark.fault("N20")
def test_a_body_that_ends_without_close_notify_is_cut_short(secured: Mode) -> None:
    def script(peer: Peer) -> None:
        peer.answer(b"HTTP/1.1 200 OK\r\n\r\nhello")
        peer.cut()

    client = secured.client(script)
    client.get()
    with pytest.raises(NetworkError) as caught:
        client.body()
    assert not isinstance(caught.value, ProtocolError)


def test_http_1_1_is_negotiated_and_the_host_named(
    scripted: ServerMaker, authority: trustme.CA, ca_bundle: str
) -> None:
    context = context_of(authority.issue_cert("localhost"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    negotiated: list[str | None] = []

    def script(peer: Peer) -> None:
        assert isinstance(peer.socket, ssl.SSLSocket)
        negotiated.append(peer.socket.selected_alpn_protocol())
        hello(peer)

    url = URL.parse(f"https://localhost:{scripted(script, context=context).port}/")
    pool = Pool(Config(ca_bundle=ca_bundle))
    connection = pool.connection(url.origin)
    assert connection.exchange(Request("GET", url)).status == 200
    assert (negotiated, names) == (["http/1.1"], ["localhost"])
    connection.close()
    pool.close()


def test_the_system_authorities_can_be_replaced_by_the_environment(
    ca_bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", ca_bundle)
    subjects = [certificate["subject"] for certificate in client_context(Config()).get_ca_certs()]
    assert len(subjects) == 1
    assert "trustme" in str(subjects)


def test_versions_before_1_2_are_not_offered(ca_bundle: str) -> None:
    assert client_context(Config(ca_bundle=ca_bundle)).minimum_version is ssl.TLSVersion.TLSv1_2


def test_no_connection_is_made_where_the_bundle_cannot_be_loaded(scripted: ServerMaker) -> None:
    server = scripted(hello)
    url = URL.parse(f"https://127.0.0.1:{server.port}/")
    with pytest.raises(ConfigError):
        Pool(Config(ca_bundle="/nowhere/ca.pem")).connection(url.origin).exchange(Request("GET", url))
    assert server.connections == 0


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_bundle_that_cannot_be_loaded_is_a_mistake_in_the_options(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        client_context(Config(ca_bundle=str(path)))
