"""What the server was asked and what it sent: the record that tests assert on."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastget.core.messages import Headers
    from fastget.testing.received import ReceivedRequest


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request and its answer. `status` is 0 until one is begun; `bytes_sent` counts body bytes alone."""

    method: str
    target: str
    path: str
    headers: Headers
    range: str | None
    part_number: int | None
    connection: int
    status: int
    bytes_sent: int
    faults: tuple[str, ...]


class Exchange:
    """A request that is being answered; written by the one thread that answers it."""

    __slots__ = ("bytes_sent", "faults", "request", "status")

    def __init__(self, request: ReceivedRequest) -> None:
        self.request = request
        self.status = 0
        self.bytes_sent = 0
        self.faults: tuple[str, ...] = ()

    def snapshot(self) -> RecordedRequest:
        asked = self.request
        return RecordedRequest(
            asked.method,
            asked.target,
            asked.path,
            asked.headers,
            asked.range,
            asked.part_number,
            asked.connection,
            self.status,
            self.bytes_sent,
            self.faults,
        )


class Record:
    """The requests in order of arrival, the last 100,000 of them.

    A request is here before its answer is, and its bytes are counted before they are sent: a client that has
    read an answer finds it recorded.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._lock = threading.Lock()
        self._exchanges: deque[Exchange] = deque(maxlen=limit)

    def begin(self, request: ReceivedRequest) -> Exchange:
        exchange = Exchange(request)
        with self._lock:
            self._exchanges.append(exchange)
        return exchange

    def snapshot(self) -> tuple[RecordedRequest, ...]:
        with self._lock:
            exchanges = tuple(self._exchanges)
        return tuple(exchange.snapshot() for exchange in exchanges)

    def clear(self) -> None:
        with self._lock:
            self._exchanges.clear()
