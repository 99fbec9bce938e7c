"""Connections that are only opened: how long they take, and what they are encrypted with."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from fastget.config import Config
from fastget.core.urls import URL
from fastget.errors import Cancelled, NetworkError
from fastget.testing import Content, ObjectServer, StoredObject
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.probe import Probe

OBJECTS = {"/b/x": StoredObject(Content.of(b"x"))}


def test_a_plain_connection_has_no_tls(no_leaks: None) -> None:
    with ObjectServer(OBJECTS) as server:
        probe = Probe(URL.parse(server.url("/b/x")).origin, Config())
        found = probe.open(SocketCancellation())
    assert probe.is_possible
    assert found.connect > 0
    assert (found.tls, found.version, found.cipher) == (None, None, None)


def test_tls_is_timed_apart_and_its_cipher_named(tmp_path: Path, no_leaks: None) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with ObjectServer(OBJECTS, tls=context) as server:
        origin = URL.parse(server.url("/b/x")).origin
        found = Probe(origin, Config(ca_bundle=str(tmp_path / "ca.pem"))).open(SocketCancellation())
        with pytest.raises(NetworkError, match="not trusted"):
            Probe(origin, Config()).open(SocketCancellation())
    assert found.tls is not None
    assert found.tls > 0
    assert found.version == "TLSv1.2"
    assert found.cipher is not None
    assert found.cipher.endswith("AES128-GCM-SHA256")


def test_a_way_through_socks_is_not_one_of_ours() -> None:
    assert not Probe(URL.parse("https://h/x").origin, Config(proxy="socks5://127.0.0.1:1")).is_possible


def test_a_probe_can_be_cancelled() -> None:
    cancellation = SocketCancellation()
    cancellation.cancel()
    with ObjectServer(OBJECTS) as server, pytest.raises(Cancelled):
        Probe(URL.parse(server.url("/b/x")).origin, Config()).open(cancellation)
