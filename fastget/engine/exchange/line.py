"""Requests and answers of one thread, over the connections of the pool."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, Self

from fastget.core.addresses import Trouble
from fastget.core.messages import Framing, Request, ResponseHead
from fastget.engine.exchange.stopwatch import Stopwatch
from fastget.errors import FastgetError, NetworkError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.urls import Origin
    from fastget.engine.cancellation import Cancellation
    from fastget.transport.protocol import Connection
    from fastget.transport.resolver import Peer

ERROR_BODY_LIMIT = 64 * 1024
# Seconds that the words of a refusal may take: one that trickles in would hold a download for hours (faults.md S16).
ERROR_BODY_SECONDS = 3.0


class Limit(Protocol):
    """What a line asks before it receives. See RateLimit in fastget/transport/limit.py."""

    @property
    def is_short(self) -> bool: ...

    def take(self, wanted: int, sleep: Callable[[float], None]) -> int: ...

    def give_back(self, count: int) -> None: ...


class ConnectionPool(Protocol):
    """Where connections come from and go back to. `limit`: how fast they may be read."""

    @property
    def limit(self) -> Limit | None: ...

    def acquire(self, origin: Origin, avoiding: Peer | None = None, *, is_new: bool = False) -> Connection: ...

    def release(self, connection: Connection) -> None: ...


class Line:
    """One thread's way to the store: at most one connection, taken from the pool and given back.

    Used as a context manager: leaving it gives back or closes what it holds. `requests` counts what was sent, `pauses`
    the time in which the thread waits for something else than the server, `waited` the seconds that the last answer
    took, without the making of its connection. For another thread to read at any time, by `time.monotonic`: `sent` is
    when the request went out that waits for its answer, if one does, `asked` the same where that is the first answer of
    its connection, `answered` when the latest answer of `origin`, which was asked last, came, `longest_wait` how long
    one took.
    """

    def __init__(self, pool: ConnectionPool, cancellation: Cancellation) -> None:
        self._pool = pool
        self._cancellation = cancellation
        self._connection: Connection | None = None
        self._head: ResponseHead | None = None
        # What was sent before its turn.
        self._ahead: Request | None = None
        self.peer: Peer | None = None
        self.avoiding: Peer | None = None
        self._putting_off: Peer | None = None
        self._limit = pool.limit
        self.requests = 0
        self.pauses = Stopwatch()
        self.origin: Origin | None = None
        self.sent: float | None = None
        self.asked: float | None = None
        self.answered = 0.0
        self.longest_wait = 0.0
        self.waited = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.drop()

    def find_open(self, origin: Origin) -> bool:
        """Have a connection that can carry a request at once: its own, or else an idle one. False: there is none."""
        if (held := self._connection) is not None:
            return held.origin == origin and held.is_reusable
        connection = self._pool.acquire(origin, self.avoiding or self._putting_off)
        if not connection.is_reusable:
            return False
        self._hold(connection)
        return True

    def has_asked(self, request: Request) -> bool:
        """Whether this very request went out ahead of its turn."""
        return self._ahead is request

    def ask(self, request: Request) -> bool:
        """Send a request ahead of its turn, if that can be at once: `send` of the very same one reads the answer.

        What goes wrong is left to `send`.
        """
        try:
            is_sent = self._connection is not None and self._connection.ask(request)
        except FastgetError:
            is_sent = False
        self._ahead = request if is_sent else None
        return is_sent

    def send(self, request: Request, *, over_new: float | None = None) -> ResponseHead:
        """Send a request and read the head of its answer, whatever its status.

        `over_new`: over a connection of its own, whatever lies idle, that has so many seconds to answer.
        Raises what `Connection.exchange` does; the connection is then closed.
        """
        self._cancellation.check()
        is_asked, self._ahead = self.has_asked(request), None
        connection = self._take(request.url.origin, is_asked=is_asked, is_new=over_new is not None)
        self.requests += 1
        self.peer = None
        if self.origin is not connection.origin and self.origin != connection.origin:
            self.origin, self.answered = connection.origin, 0.0
        self.sent = asked = time.monotonic()
        # One that has carried a request before is being served; one of which that is not known may not wait for long.
        self.asked = None if is_asked or over_new is not None or connection.is_reusable else asked
        try:
            self._head = connection.exchange(request, over_new)
            self.peer = connection.peer
        except BaseException:
            self.drop()
            raise
        finally:
            self.sent = self.asked = None
        self.answered = time.monotonic()
        self.waited = connection.waited
        self.longest_wait = max(self.longest_wait, self.answered - asked)
        return self._head

    def read_into(self, buffer: memoryview, *more: memoryview) -> int:
        """Body bytes of the last answer; 0 at its end. As `Connection.read_into`."""
        connection = self._held()
        try:
            if self._limit is None:
                return connection.read_into(buffer, *more)
            return self._read_in_turn(connection, buffer, self._limit)
        except BaseException:
            self.drop()
            raise

    @property
    def is_limited(self) -> bool:
        """Whether a limit decides what may be read."""
        return self._limit is not None

    def ready(self, least: int, seconds: float) -> int:
        """As `Connection.ready`; not for one that is limited."""
        return self._held().ready(least, seconds)

    def read_some(self, left: int, *buffers: memoryview, url: str | None = None) -> int:
        """As `read_into`, of a body that has `left` bytes still to come; the error names `url`, where one is given.

        Raises NetworkError where the answer ends before them.
        """
        if (count := self.read_into(*buffers)) == 0:
            raise NetworkError(_named(url, f"the answer ended {left} bytes early"), url=url)
        return count

    def _read_in_turn(self, connection: Connection, buffer: memoryview, limit: Limit) -> int:
        with self.pauses:
            granted = limit.take(len(buffer), self._cancellation.wait)
        count = 0
        try:
            count = connection.read_into(buffer[:granted])
        finally:
            limit.give_back(granted - count)
        return count

    @property
    def is_held_back(self) -> bool:
        """Whether it is the limit, and not the server, that decides how fast bytes come."""
        return self._limit is not None and self._limit.is_short

    def blame(self, trouble: Trouble) -> None:
        """Hold the last answer against the address that it came from: others of the same host go first for a while."""
        if self.peer is not None:
            self.peer.blame(trouble)

    def note_put_off(self) -> None:
        """The last answer puts the request off: that says nothing against its address, but another is asked next."""
        self._putting_off = self.peer

    def blame_mute(self) -> bool:
        """From any thread: whether it waits for an address that serves nobody, which is held against it then."""
        connection = self._connection
        peer = connection.peer if connection is not None and self.asked is not None else None
        if peer is None or not peer.is_mute:
            return False
        peer.blame(Trouble.SILENT)
        return True

    def cut(self) -> None:
        """From any thread: end the running exchange, with Cancelled; the next one takes another connection."""
        if (connection := self._connection) is not None:
            self._cancellation.abort_one(connection)

    def rest(self) -> bytes:
        """The start of the last answer's body, which tells why something was refused; the connection goes back."""
        body = bytearray(ERROR_BODY_LIMIT)
        filled = 0
        deadline = time.monotonic() + ERROR_BODY_SECONDS
        try:
            while filled < len(body) and (got := self.read_into(memoryview(body)[filled:])):
                filled += got
                if time.monotonic() >= deadline:
                    break
            self.finish()
        except ConnectionError:
            # The status decides; some servers declare a wrong length for their error bodies (faults.md H55).
            self.drop()
        return bytes(body[:filled])

    def is_at_end(self) -> bool:
        """Whether the body of the last answer ends here: no byte more than was read.

        A body of declared length is known to end; any other is asked for one byte more.
        """
        if self._head is not None and self._head.framing in (Framing.LENGTH, Framing.NONE):
            return True
        return self.read_into(memoryview(bytearray(1))) == 0

    def check_end(
        self,
        url: str | None = None,
        undo: Callable[[], None] | None = None,
        *,
        hint: str | None = None,
        is_transient: bool = True,
    ) -> None:
        """Believe nothing of an answer that goes on behind its end: `undo` what it has brought.

        Raises ProtocolError, which names `url` where one is given, and has the `hint`; unless it `is_transient`, it is
        not to be asked for again.
        """
        if self.is_at_end():
            return
        if undo is not None:
            undo()
        reason = _named(url, "the answer holds more bytes than it declared")
        raise ProtocolError(reason, hint=hint, url=url, is_transient=is_transient)

    def finish(self) -> None:
        """The answer was used up: the connection goes back to the pool if it can carry another."""
        if (connection := self._let_go()) is not None:
            self._pool.release(connection)

    def drop(self) -> None:
        """Close the connection: its answer is not wanted any more, or not to be trusted."""
        if (connection := self._let_go()) is not None:
            connection.close()

    def _take(self, origin: Origin, *, is_asked: bool, is_new: bool) -> Connection:
        held = self._connection
        if held is not None:
            if is_asked or (held.origin == origin and held.is_reusable):
                return held
            self.drop()
        # Once only: where the other address is dead, an idle connection to this one is better than a new one.
        avoiding, self._putting_off = self.avoiding or self._putting_off, None
        return self._hold(self._pool.acquire(origin, avoiding, is_new=is_new))

    def _hold(self, connection: Connection) -> Connection:
        self._connection = connection
        self._cancellation.add(connection)
        return connection

    def _let_go(self) -> Connection | None:
        connection, self._connection = self._connection, None
        self._ahead = None
        if connection is not None:
            self._cancellation.remove(connection)
        return connection

    def _held(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("no answer is being read")
        return self._connection


def _named(url: str | None, reason: str) -> str:
    return reason if url is None else f"{url}: {reason}"
