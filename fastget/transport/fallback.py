"""The fallback: the same exchanges by httpx, for proxies that the data plane does not speak to."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from fastget.core.messages import Headers, ResponseHead, value_bytes
from fastget.errors import Cancelled, ConfigError, FastgetError, NetworkError, ProtocolError, Stalled, causes
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.heads import check_count, framing_of, not_allowed, unquoted
from fastget.transport.resolver import unresolved
from fastget.transport.tls import refusal_of_client, untrusted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from fastget.config import Config
    from fastget.core.messages import Request
    from fastget.core.urls import Origin
    from fastget.transport.proxies import Proxy
    from fastget.transport.resolver import Peer


class HttpxConnection:
    """Implements `Connection` with an httpx transport.

    Slower than the data plane, and never kept alive: httpx takes surplus bytes behind a body for the next
    answer. `read_into` gives what has come, and does not wait for the buffer to fill. `abort` ends everything
    but the TCP connection to the proxy, which comes or fails within `connect_timeout` an address.
    """

    def __init__(
        self, origin: Origin, proxy: Proxy | None, config: Config, tls_context: Callable[[], ssl.SSLContext]
    ) -> None:
        self.origin = origin
        self._proxy = proxy
        self._config = config
        self._tls_context = tls_context
        self._cancellation = SocketCancellation()
        self._transport: httpx.HTTPTransport | None = None
        self._stream: Any = None
        self._watched: socket.socket | None = None
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._rest = memoryview(b"")
        self._is_overdue = False
        self._sent = 0.0
        self.waited = 0.0

    def exchange(self, request: Request, patience: float | None = None) -> ResponseHead:
        if request.url.origin != self.origin:
            raise ValueError(f"a request to {request.url.origin} on a connection to {self.origin}")
        self.close()
        patience = self._config.response_timeout if patience is None else patience
        with self._ending_on_failure():
            prepared = self._prepared(request, patience)
            self._transport = self._new_transport()
            with self._deadline(patience):
                response = self._response = self._transport.handle_request(prepared)
            self.waited = time.monotonic() - self._sent
            prepared.extensions["timeout"]["read"] = self._config.stall_timeout
            self._chunks = iter(response.iter_raw())
            return self._head(request.method, response)

    def ask(self, request: Request) -> bool:
        del request
        return False

    def _prepared(self, request: Request, patience: float) -> httpx.Request:
        timeout = httpx.Timeout(patience, connect=self._config.connect_timeout)
        target = request.url.target.encode()
        headers = [(name.encode(), value_bytes(value)) for name, value in request.headers]
        if "host" not in request.headers:
            headers.insert(0, (b"Host", request.url.origin.host_header.encode()))
        prepared = httpx.Request(
            request.method,
            httpx.URL(str(self.origin)).copy_with(raw_path=target),
            headers=headers,
            extensions={"timeout": timeout.as_dict(), "trace": self._watch},
        )
        if prepared.url.raw_path != target:
            self._keep_target(prepared, target)
        return prepared

    def _keep_target(self, prepared: httpx.Request, target: bytes) -> None:
        """Send `target` as it is, though httpx would remove its dot segments: it may have been signed."""
        if self._proxy is not None and self._proxy.scheme == "https":
            # There the same extension would replace the target of the CONNECT request.
            raise ConfigError(f"a path with dot segments cannot go through the proxy {self._proxy}")
        prepared.extensions["target"] = target

    def _new_transport(self) -> httpx.HTTPTransport:
        context, proxy = self._tls_context(), self._proxy
        try:
            return httpx.HTTPTransport(
                verify=context,
                trust_env=False,
                limits=httpx.Limits(max_keepalive_connections=0),
                proxy=None if proxy is None else _for_httpx(proxy, context),
            )
        except ImportError as error:
            raise ConfigError(
                f"the proxy {proxy} needs a package that is not installed",
                hint="pip install 'fastget[socks]'",
            ) from error

    def _watch(self, event: str, info: dict[str, Any]) -> None:
        """Called by httpx at every step; a new socket is watched through a descriptor of our own."""
        if event.endswith("send_request_headers.started"):
            self._sent = time.monotonic()
        if not event.endswith("connect_tcp.complete"):
            return
        self._stream = info["return_value"]
        watched = self._stream.get_extra_info("socket").dup()
        try:
            self._cancellation.watch(watched)
        except Cancelled:
            watched.close()
            raise
        self._watched = watched
        if self._is_overdue:
            self._cancellation.shut_down()

    @contextmanager
    def _deadline(self, patience: float) -> Generator[None]:
        """Shut the socket down when the head is not there in time.

        httpx limits each read, not all of them together, and in a SOCKS handshake not even each.
        """
        timer = threading.Timer(self._config.connect_timeout + patience, self._overdue)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _overdue(self) -> None:
        self._is_overdue = True
        self._cancellation.shut_down()

    def _head(self, method: str, response: httpx.Response) -> ResponseHead:
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
        check_count(headers)
        if response.http_version not in ("HTTP/1.0", "HTTP/1.1"):
            raise ProtocolError(f"the server answers in {response.http_version[:10]}, which does not exist")
        if response.status_code < 200:
            raise ProtocolError(f"the server answers {response.status_code} to a request for nothing of the kind")
        framing, length = framing_of(method, response.status_code, headers)
        return ResponseHead(response.status_code, headers, framing, length, response.reason_phrase)

    def read_into(self, buffer: memoryview, *more: memoryview) -> int:
        del more  # one by one they are as quick here
        if not len(buffer):
            raise ValueError("the buffer is empty")
        with self._ending_on_failure():
            if self._response is None:
                raise NetworkError("there is no body to read: no exchange came before, or it failed")
            filled = 0
            while filled < len(buffer) and (not filled or self._rest or self._is_readable()):
                if not self._rest:
                    self._rest = memoryview(next(self._chunks, b""))
                    self._cancellation.check()
                count = min(len(self._rest), len(buffer) - filled)
                if not count:
                    break
                buffer[filled : filled + count] = self._rest[:count]
                self._rest = self._rest[count:]
                filled += count
            return filled

    def ready(self, least: int, seconds: float) -> int:
        del least, seconds
        return 0

    def _is_readable(self) -> bool:
        stream = self._response.extensions["network_stream"] if self._response is not None else None
        return stream is not None and bool(stream.get_extra_info("is_readable"))

    @property
    def is_reusable(self) -> bool:
        return False

    @property
    def peer(self) -> None:
        return None

    def avoid(self, peer: Peer | None) -> None:
        """httpx chooses the address."""

    @property
    def is_shunned(self) -> bool:
        return False

    @contextmanager
    def _ending_on_failure(self) -> Generator[None]:
        try:
            self._cancellation.check()
            yield
        except FastgetError:
            self.close()
            raise
        except Exception as error:  # the SOCKS library beneath httpx fails with errors of many kinds
            is_overdue, is_reached = self._is_overdue, self._proxy is None or self._stream is not None
            self.close()
            self._cancellation.check()
            translated = self._translated(error, is_overdue=is_overdue)
            if self._proxy is not None and not is_reached and isinstance(translated, NetworkError):
                translated = self._proxy.unreached(translated)
            # The text of these quotes the answer, in which a server may have repeated what it was told.
            if isinstance(error, httpx.ProxyError | httpx.RemoteProtocolError):
                raise translated from None
            raise translated from error
        except BaseException:
            self.close()
            raise

    def _translated(self, error: Exception, *, is_overdue: bool) -> FastgetError:
        for cause in causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return untrusted(self.origin.host, cause)
            if (refusal := refusal_of_client(str(self.origin), cause)) is not None:
                return refusal
            if isinstance(cause, socket.gaierror):
                return unresolved((self._proxy or self.origin).host, cause)
        if is_overdue or isinstance(error, httpx.TimeoutException):
            return Stalled(f"{self.origin} kept silent for too long")
        if isinstance(error, httpx.LocalProtocolError):
            return not_allowed()
        if isinstance(error, httpx.ProxyError):
            return self._refused(str(error) if self._proxy is None else self._proxy.without_secrets(str(error)))
        if isinstance(error, httpx.RemoteProtocolError) and not _is_cut(error):
            return ProtocolError(f"the server's answer breaks HTTP: {unquoted(error)}")
        return NetworkError(f"the connection to {self.origin} broke: {str(error)[:200] or type(error).__name__}")

    def _refused(self, answer: str) -> NetworkError:
        return NetworkError(
            f"the proxy {self._proxy} refuses: {answer}",
            hint="user and password go into the proxy URL: scheme://user:password@host:port",
            is_transient="could not connect" in answer or answer.startswith("5"),
        )

    def close(self) -> None:
        self._chunks, self._rest, self._is_overdue = iter(()), memoryview(b""), False
        for attribute in ("_response", "_transport", "_stream"):
            ended = getattr(self, attribute)
            setattr(self, attribute, None)
            if ended is not None:
                ended.close()
        watched, self._watched = self._watched, None
        if watched is not None:
            self._cancellation.close(watched)

    def abort(self) -> None:
        self._cancellation.cancel()


def _is_cut(error: httpx.RemoteProtocolError) -> bool:
    """Whether the connection only ended too early: httpx has no class of its own for that."""
    return any(words in str(error) for words in ("closed connection", "disconnected"))


def _for_httpx(proxy: Proxy, context: ssl.SSLContext) -> httpx.Proxy:
    auth = None if proxy.username is None else (proxy.username, proxy.password or "")
    return httpx.Proxy(str(proxy), auth=auth, ssl_context=context if proxy.scheme == "https" else None)
