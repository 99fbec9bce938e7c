"""What a server or a proxy repeats of what it was told is in no error, and in none of its causes."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from fastget.config import Config
from fastget.core.messages import Headers, Request
from fastget.core.urls import URL
from fastget.errors import FastgetError
from fastget.transport.pool import Pool

if TYPE_CHECKING:
    import ssl

    from fastget.transport.protocol import Connection
    from tests.transport.conftest import ServerMaker

MARKED = "MARKEDSECRET"
# Answers that break HTTP, and repeat what they were asked where they do.
BROKEN = {
    "status line": b"HTTP/1.1 abc MARKEDSECRET\r\n\r\n",
    "version": b"HTTP/MARKEDSECRET 200 OK\r\n\r\n",
    "no HTTP": b"MARKEDSECRET\r\n\r\n",
    "field without a colon": b"HTTP/1.1 200 OK\r\nMARKEDSECRET here\r\n\r\n",
    "field's name": b"HTTP/1.1 200 OK\r\nMARKED\x01SECRET: a\r\nMARKEDSECRET\x01: a\r\n\r\n",
    "field's value": b"HTTP/1.1 200 OK\r\nA: MARKEDSECRET\x00\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nA: b\r\n MARKEDSECRET\r\nContent-Length: 1\r\n\r\nx",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: MARKEDSECRET\r\n\r\n",
    "lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1, MARKEDSECRET\r\n\r\n",
    "coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: MARKEDSECRET\r\n\r\n",
    "interim": b"HTTP/1.1 103 MARKEDSECRET\r\nMARKEDSECRET\r\n\r\n",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nMARKEDSECRET\r\n\r\n",
    "trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nMARKEDSECRET\r\n\r\n",
}
# It puts folded lines together.
THROUGH_HTTPX = {name: answer for name, answer in BROKEN.items() if name != "folded"}
# What a proxy says of a tunnel, and what stands in the place of it.
PROXIES = {
    "reason": b"HTTP/1.1 403 MARKEDSECRET\r\nContent-Length: 0\r\n\r\n",
    "whole field": b"HTTP/1.1 502 no Basic dTpNQVJLRURTRUNSRVQ=\r\nContent-Length: 0\r\n\r\n",
    "credentials": b"HTTP/1.1 407 MARKEDSECRET\r\nContent-Length: 0\r\n\r\n",
    **{f"broken {name}": answer for name, answer in BROKEN.items() if name not in ("chunk", "trailer")},
}


def failure(origin: str, config: Config) -> FastgetError:
    """What comes of one GET."""
    pool = Pool(config)
    url = URL.parse(f"{origin}/object?X-Amz-Signature={MARKED}")
    connection = pool.connection(url.origin)
    try:
        with pytest.raises(FastgetError) as caught:
            fetch(connection, Request("GET", url, Headers([("Authorization", f"Bearer {MARKED}")])))
    finally:
        connection.close()
        pool.close()
    return caught.value


def fetch(connection: Connection, request: Request) -> None:
    """The request's answer, to its end."""
    connection.exchange(request)
    buffer = memoryview(bytearray(64))
    while connection.read_into(buffer):
        """It is not looked at."""


def assert_silent(error: FastgetError) -> None:
    shown = "".join(traceback.format_exception(error))
    cause: BaseException | None = error
    while cause is not None:
        shown += f"{cause!r} {cause.args!r} {getattr(cause, 'hint', '')}"
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for form in (MARKED, "dTpNQVJLRURTRUNSRVQ"):
        assert form not in shown


@pytest.mark.fault("S12")
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_an_answer_that_breaks_http_is_not_quoted(scripted: ServerMaker, answer: bytes) -> None:
    origin = scripted(lambda peer: peer.answer(answer))
    assert_silent(failure(f"http://127.0.0.1:{origin.port}", Config(proxy="")))


@pytest.mark.fault("S12")
@pytest.mark.parametrize("answer", THROUGH_HTTPX.values(), ids=THROUGH_HTTPX)
def test_nor_is_one_that_came_through_httpx(scripted: ServerMaker, answer: bytes) -> None:
    origin = scripted(lambda peer: peer.answer(answer))
    proxy = scripted(lambda peer: peer.socks5())
    config = Config(proxy=f"socks5h://127.0.0.1:{proxy.port}")
    assert_silent(failure(f"http://127.0.0.1:{origin.port}", config))


@pytest.mark.fault("S12")
@pytest.mark.parametrize("answer", PROXIES.values(), ids=PROXIES)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_password_of_a_proxy_is_not_repeated_from_its_words(
    scripted: ServerMaker, trusted: ssl.SSLContext, ca_bundle: str, scheme: str, answer: bytes
) -> None:
    proxy = scripted(lambda peer: peer.answer(answer), context=trusted if scheme == "https" else None)
    config = Config(proxy=f"{scheme}://u:{MARKED}@127.0.0.1:{proxy.port}", ca_bundle=ca_bundle)
    assert_silent(failure("https://127.0.0.1:1", config))
