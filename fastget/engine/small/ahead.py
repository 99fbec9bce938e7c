"""Small objects asked for ahead of their turn: the next one is on its way while this one is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.governor import FAR
from fastget.engine.exchange.line import Line
from fastget.errors import NetworkError
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.messages import Request, ResponseHead
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.line import ConnectionPool
    from fastget.engine.exchange.moulding import Moulding
    from fastget.engine.exchange.stores import Store
    from fastget.sources.protocol import PlainSource


# Seconds that the first answer over a second connection may take: a server near by that serves one at once gives none.
PATIENCE = 1.0


@record
class Asked:
    """A request for `source`, as that made it and as it went out: it is within the gate of its store."""

    source: PlainSource
    request: Request
    cast: Request
    store: Store
    moulding: Moulding

    def leave(self) -> None:
        """Its answer is not wanted any more."""
        self.store.gate.leave(None, is_served=False)


class TwoLines:
    """One thread's lines to a store: over `line` an object is taken, over the other one the next is asked for.

    They change places with the turns. A connection over which nothing was asked lies in the pool, so that it can make
    room where a server serves few at once.
    """

    def __init__(self, pool: ConnectionPool, cancellation: Cancellation) -> None:
        self.line = Line(pool, cancellation)
        self._other = Line(pool, cancellation)
        self._now: Asked | None = None
        self._next: Asked | None = None
        self._is_alone = False

    def may_ask_ahead(self, store: Store) -> bool:
        """Whether that pays: far away there are many threads, and a server that serves few has none to spare."""
        facts = store.facts
        is_near = facts.wait is not None and facts.wait < FAR
        return is_near and facts.bears is None and not self._is_alone

    def claim(self, source: PlainSource) -> Asked | None:
        """What was asked for this object, whose turn it is now: it is within its gate, for the caller to leave."""
        asked = self._now
        if asked is not None and asked.source is source:
            self._now = None
            return asked
        self._forget()
        return None

    def send(self, request: Request, follow: Callable[[], Asked | None] | None) -> ResponseHead:
        """Send the request of this turn, unless it went out ahead of that, and read the head of its answer.

        While it is on its way, what `follow` gives is asked for; None: nothing is to be. Raises as `Line.send`.
        """
        line, other, origin = self.line, self._other, request.url.origin
        is_asked = line.has_asked(request)
        if follow is None or not (is_asked or line.find_open(origin)):
            return line.send(request)
        if not other.find_open(origin):
            return line.send(request) if is_asked else self._send_over_second(request)
        if is_asked or line.ask(request):
            self._ask(follow())
        return line.send(request)

    def _ask(self, following: Asked | None) -> None:
        if following is not None and self._other.ask(following.cast):
            self._next = following
        elif following is not None:
            following.leave()

    def _send_over_second(self, request: Request) -> ResponseHead:
        """Have a second connection made, which this request is to show to be served.

        The first one lies idle meanwhile. Where the second comes to nothing, the first is the only one from now on.
        """
        self._is_alone = True
        self.line.finish()
        try:
            head = self.line.send(request, over_new=PATIENCE)
        except NetworkError:
            return self.line.send(request)
        self._is_alone = False
        return head

    def turn(self, *, is_taken: bool) -> None:
        """The turn of this object is over; unless it `is_taken`, nothing that was asked for is waited for."""
        self._forget()
        if self._next is None:
            self._other.finish()
            return
        self._now, self._next = self._next, None
        self.line, self._other = self._other, self.line
        if not is_taken:
            self._forget()

    def _forget(self) -> None:
        """Want nothing any more of what was asked for, and not claimed."""
        if self._now is not None:
            self._now.leave()
            self._now = None
            self.line.drop()

    def drop(self) -> None:
        """Close what is open, and want nothing any more of what was asked for."""
        self._forget()
        self.line.drop()
        self._other.drop()

    def finish(self) -> None:
        """Give the connections back."""
        self._forget()
        self.line.finish()
        self._other.finish()
