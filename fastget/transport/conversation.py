"""One request head sent and the answer's head received, on a wire."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastget.errors import NetworkError, Stalled
from fastget.interrupts import is_of_handler

if TYPE_CHECKING:
    from fastget.transport.cancellation import SocketCancellation
    from fastget.transport.heads import HeadExchange, Reception
    from fastget.transport.wire import Wire

_READ_BYTES = 4096


class NoAnswerError(NetworkError):
    """The connection ended before the first byte of an answer: the request may be sent again.

    A word between rooms of the transport; whoever asks in vain is told a NetworkError.
    """

    def told(self) -> NetworkError:
        return NetworkError(self.message)


class Conversation:
    """What the exchanges of one connection share: with whom, how long a head may take, who may end them.

    `waited`: seconds from the latest request until the head of its answer was there.
    """

    def __init__(self, peer: str, response_timeout: float, cancellation: SocketCancellation) -> None:
        self._peer = peer
        self._response_timeout = response_timeout
        self._cancellation = cancellation
        self._stage = memoryview(bytearray(_READ_BYTES))
        self.waited = 0.0
        self._said = 0.0

    def hold(self, wire: Wire, exchange: HeadExchange, data: bytes) -> Reception:
        """Both of `say` and `hear`, once. Raises NetworkError, ProtocolError, Stalled, Cancelled."""
        try:
            self.say(wire, data)
            return self.hear(wire, exchange)
        except NoAnswerError as error:
            raise error.told() from error.__cause__

    def say(self, wire: Wire, data: bytes) -> None:
        """Send `data`, an encoded request. Raises NoAnswerError, Cancelled."""
        self._said = time.monotonic()
        try:
            wire.send(data)
        except OSError as error:
            if is_of_handler(error):
                raise
            raise self._ended(error, is_answered=False) from error

    def hear(self, wire: Wire, exchange: HeadExchange, patience: float | None = None) -> Reception:
        """Read up to the end of the final answer's head, which may take `patience`, or as long as any.

        Raises NoAnswerError, NetworkError, ProtocolError, Stalled (no whole head in time), Cancelled.
        """
        patience = self._response_timeout if patience is None else patience
        deadline = time.monotonic() + patience
        is_answered = False
        while True:
            count = self._receive(wire, is_answered=is_answered)
            if count:
                is_answered = True
                reception = exchange.feed(self._stage[:count])
                if reception is not None:
                    self.waited = time.monotonic() - self._said
                    return reception
            if time.monotonic() >= deadline:
                raise Stalled(f"{self._peer} did not answer within {patience:g} s")

    def _receive(self, wire: Wire, *, is_answered: bool) -> int | None:
        try:
            count = wire.receive(self._stage)
        except OSError as error:
            if is_of_handler(error):
                raise
            raise self._ended(error, is_answered=is_answered) from error
        self._cancellation.check()
        if count == 0:
            raise self._ended(None, is_answered=is_answered)
        return count

    def _ended(self, error: OSError | None, *, is_answered: bool) -> NetworkError:
        self._cancellation.check()
        if getattr(error, "reason", None) is not None:
            from fastget.transport.tls import refusal_of_client

            if (refusal := refusal_of_client(self._peer, error)) is not None:
                return refusal
        cause = f": {error.strerror or error}" if error else ""
        if is_answered:
            return NetworkError(f"{self._peer} closed the connection within the head of its answer{cause}")
        return NoAnswerError(f"{self._peer} closed the connection without an answer{cause}")
