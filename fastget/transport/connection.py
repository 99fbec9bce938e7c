"""The data plane: HTTP/1.1 over a socket, with the body received in the caller's buffer."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastget.errors import FastgetError, NetworkError, Stalled
from fastget.transport.body import Body, Intake, body_of
from fastget.transport.cancellation import Cancellation
from fastget.transport.dial import dial
from fastget.transport.heads import HeadExchange, Reception
from fastget.transport.wire import Wire

if TYPE_CHECKING:
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.urls import Origin
    from fastget.config import Config
    from collections.abc import Generator
    pass

_HEAD_READ_BYTES = 4096
_LONGEST_TICK = 1.0


class SocketConnection:
    """Implements `Connection` with a blocking socket: plain, over TLS, and through HTTP proxies."""

    def __init__(self, origin: Origin, config: Config) -> None:
        self.origin = origin
        self._config = config
        self._cancellation = Cancellation()
        self._wire: Wire | None = None
        self._intake: Intake | None = None
        self._body: Body | None = None
        self._is_kept_alive = False
        self._stage = memoryview(bytearray(_HEAD_READ_BYTES))

    def exchange(self, request: Request) -> ResponseHead:
        with self._ending_on_failure():
            if self._wire is not None and not (self.is_reusable and self._wire.is_silent()):
                self.close()
            is_reused = self._wire is not None
            try:
                return self._attempt(request)
            except _NoAnswer:
                if not is_reused:
                    raise
            self.close()
            return self._attempt(request)

    def _attempt(self, request: Request) -> ResponseHead:
        exchange = HeadExchange()
        data = exchange.encode(request)
        wire = self._wire or self._connect()
        self._body = None
        reception = self._send_and_receive(wire, exchange, data)
        self._is_kept_alive = reception.is_kept_alive
        self._intake = Intake(wire, reception.surplus, self._config.stall_timeout, self._cancellation)
        self._body = body_of(reception.head, self._intake)
        return reception.head

    def _send_and_receive(self, wire: Wire, exchange: HeadExchange, data: bytes) -> Reception:
        deadline = time.monotonic() + self._config.response_timeout
        is_answered = False
        while True:
            try:
                if data:
                    wire.send(data)
                    data = b""
                count = wire.receive(self._stage)
            except OSError as error:
                self._cancellation.check()
                raise self._broken(error, is_answered=is_answered) from error
            self._cancellation.check()
            if count == 0:
                raise self._broken(None, is_answered=is_answered)
            is_answered = is_answered or count is not None
            if count is not None and (reception := exchange.feed(self._stage[:count])):
                return reception
            if time.monotonic() >= deadline:
                raise Stalled(f"{self.origin} did not answer within {self._config.response_timeout:g} s")

    def _broken(self, error: OSError | None, *, is_answered: bool) -> NetworkError:
        cause = f": {error.strerror or error}" if error else ""
        if is_answered:
            return NetworkError(f"{self.origin} closed the connection within the head of its answer{cause}")
        return _NoAnswer(f"{self.origin} closed the connection without an answer{cause}")

    def _connect(self) -> Wire:
        sock = dial(self.origin.host, self.origin.port, self._config.connect_timeout, self._cancellation)
        try:
            self._wire = Wire(sock, self._tick)
        except BaseException:
            self._cancellation.close(sock)
            raise
        return self._wire

    @property
    def _tick(self) -> float:
        return min(_LONGEST_TICK, self._config.stall_timeout, self._config.response_timeout)

    def read_into(self, buffer: memoryview) -> int:
        if not len(buffer):
            raise ValueError("the buffer is empty")
        if self._body is None:
            raise ValueError("there is no body to read: no exchange came before, or it failed")
        with self._ending_on_failure():
            self._cancellation.check()
            return self._body.read_into(buffer)

    @property
    def is_reusable(self) -> bool:
        return (
            self._is_kept_alive
            and self._body is not None
            and self._body.is_finished
            and self._intake is not None
            and not self._intake.has_surplus
            and not self._cancellation.is_set
        )

    @contextmanager
    def _ending_on_failure(self) -> Generator[None]:
        """Every failure ends the connection, and leaves as one of fastget's errors."""
        try:
            self._cancellation.check()
            yield
        except OSError as error:
            self.close()
            self._cancellation.check()
            if isinstance(error, FastgetError):
                raise
            raise NetworkError(f"the connection to {self.origin} broke: {error.strerror or error}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        wire, self._wire = self._wire, None
        self._is_kept_alive = False
        self._intake = self._body = None
        if wire is not None:
            self._cancellation.close(wire.socket)

    def abort(self) -> None:
        self._cancellation.cancel()


class _NoAnswer(NetworkError):
    """The connection ended before the first byte of an answer: the request may be sent again."""
