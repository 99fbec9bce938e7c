"""Small objects in one go: one request, its body into a buffer that is used again, digests, one write.

What is unusual in any way (a refusal, a composite of several parts, a body that fails, a file in the way) is left to
the ordinary way of a `Transfer`: so what such things mean is said in one place. Nothing is published here that was not
verified as there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from fastget.buffers import shared_buffers
from fastget.core.journal import Identity
from fastget.core.retry import is_transient
from fastget.engine.discovery.preparing import rungs_of
from fastget.engine.exchange.floor import receive
from fastget.engine.pieces.task import Tally
from fastget.engine.small.ahead import Asked, TwoLines
from fastget.engine.small.plain import (
    LARGEST,
    heed,
    is_small,
    may_be_asked,
    plain_checks,
    result_of,
    verdict,
    wrong_digests,
)
from fastget.errors import Cancelled, DestinationError, FastgetError
from fastget.sources.protocol import PlainSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.buffers import Buffer
    from fastget.config import Config
    from fastget.core.messages import ResponseHead
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.line import ConnectionPool, Line
    from fastget.engine.exchange.moulding import Moulding
    from fastget.engine.exchange.stores import Store, Stores
    from fastget.events import Result
    from fastget.sinks.protocol import WholeSink

    # As `WholeSink.put`.
    Put = Callable[[memoryview, Identity | None], bool]

S = TypeVar("S", bound=PlainSource)


class SmallObjects(Generic[S]):
    """One thread's way to fetch small objects, one after the other, over connections that it keeps. Close it.

    `accepts`: whether the pool's connections are for a source. `found_size` is what the latest one's answer says of its
    size, in bytes; None where there is no such answer. `failure` is what may pass of the latest request: one try of
    those that the object has.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        stores: Stores,
        cancellation: Cancellation,
        accepts: Callable[[S], bool] = lambda _: True,
    ) -> None:
        self._lines = TwoLines(pool, cancellation)
        self._accepts = accepts
        self._stores = stores
        self._cancellation = cancellation
        self._lent: Buffer | None = None
        self.found_size: int | None = None
        self.failure: FastgetError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def line(self) -> Line:
        """What the next object is taken over, for others to look at."""
        return self._lines.line

    def drop(self) -> None:
        """Let go of the connections until they are needed again, and of what was asked for."""
        self._lines.drop()

    def close(self) -> None:
        """Give the connections and the buffer back."""
        self._lines.finish()
        lent, self._lent = self._lent, None
        if lent is not None:
            lent.close()

    def room(self, config: Config, size: int) -> memoryview | None:
        """Room for so many bytes; None where they are more than there is room for."""
        if self._lent is None:
            self._lent = shared_buffers(config.max_memory).lend(LARGEST)
        return self._lent.view[:size] if size <= len(self._lent) else None

    def fetch(
        self,
        source: S,
        sink: WholeSink,
        config: Config,
        *,
        is_vacant: bool = False,
        put: Put | None = None,
        following: Callable[[], S | None] | None = None,
    ) -> Result | None:
        """Fetch an object; None where that is up to a `Transfer`, and nothing has happened but a request.

        `is_vacant`: the caller knows that nothing stands in the way; `put` finds out where that is wrong. That is the
        sink's, unless the caller takes the verified bytes itself. There are no events: the caller knows when the
        object is there. `following` is called once this object's own request has gone out, if at all: what it gives is
        asked for then, and fetched by the next call if that is for the very same source, and this one succeeds.
        Raises DestinationError, Cancelled.
        """
        result = None
        try:
            result = self._fetch(source, sink, config, put or sink.put, following, is_vacant=is_vacant)
        finally:
            self._lines.turn(is_taken=result is not None)
        return result

    def _fetch(
        self,
        source: S,
        sink: WholeSink,
        config: Config,
        put: Put,
        following: Callable[[], S | None] | None,
        *,
        is_vacant: bool,
    ) -> Result | None:
        began = time.monotonic()
        self.found_size = self.failure = None
        line, asked = self._lines.line, self._lines.claim(source)
        store, moulding = (asked.store, asked.moulding) if asked else self._known_of(source)
        if asked is None and not (may_be_asked(store) and config.split != "part" and (is_vacant or sink.is_vacant())):
            return None
        try:
            with store.gate.passing(self._cancellation, is_within=asked is not None):
                request = asked.request if asked else source.get()
                cast = asked.cast if asked else moulding.cast(request)
                head = self._lines.send(cast, self._follow(following, store))
                heed(source, head, line)
            if store.facts.wait is None:
                store.learn_from(head.headers, line.waited)
            result = self._take(head, source, moulding, sink, put, config, began)
        except (Cancelled, DestinationError):
            line.drop()
            raise
        except FastgetError as error:
            result, self.failure = None, error if is_transient(error) else None
        if result is None:
            line.drop()
            return None
        if head.reading is None:
            moulding.learn(source, request, head)
        store.succeed()
        return result

    def _known_of(self, source: S) -> tuple[Store, Moulding]:
        store = self._stores.of(source.store)
        return store, store.moulding(source)

    def _follow(self, following: Callable[[], S | None] | None, store: Store) -> Callable[[], Asked | None] | None:
        """What gives the request for the following object; None where nothing is to be asked for ahead."""
        if following is None or not self._lines.may_ask_ahead(store):
            return None
        return lambda: self._ask_for(following())

    def _ask_for(self, source: S | None) -> Asked | None:
        if source is None or not self._accepts(source):
            return None
        store, moulding = self._known_of(source)
        if not may_be_asked(store) or store.gate.enter() > 0:
            return None
        try:
            request = source.get()
            return Asked(source, request, moulding.cast(request), store, moulding)
        except BaseException as error:
            store.gate.leave(None, is_served=False)
            if isinstance(error, FastgetError):
                return None  # it is told when its turn comes
            raise

    def _take(
        self,
        head: ResponseHead,
        source: PlainSource,
        moulding: Moulding,
        sink: WholeSink,
        put: Put,
        config: Config,
        began: float,
    ) -> Result | None:
        self.found_size = head.content_length if head.status == 200 else None
        if head.status != 200 or not is_small(head):
            return None
        if head.reading is None and source.as_stored(head) is not None:
            return None
        info = source.describe(head)
        rungs = rungs_of(info, moulding.traits(source, info, head), config.checksum)
        checks = plain_checks(rungs, config)
        if checks is None:
            return None
        data = self.room(config, head.content_length or 0)
        if data is None:
            return None
        receive(self.line, data, config.stall_timeout)
        if wrong_digests(data, checks) or not put(data, Identity.of(info.url, source.selection, info)):
            return None
        size, seconds = len(data), time.monotonic() - began
        tally = Tally(received=size, requests=1)
        return result_of(info.url, sink.path, info, size, verdict(info, rungs, checks), seconds, tally)
