"""Small objects in one go: one request, its body into a buffer that is used again, digests, one write.

What is unusual in any way (a refusal, a composite of several parts, a body that fails, a file in the way) is left to
the ordinary way of a `Transfer`: so what such things mean is said in one place. Nothing is published here that was not
verified as there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, Self, TypeGuard, TypeVar

from fastget.buffers import shared_buffers
from fastget.core.checksums.algorithms import new_hasher
from fastget.core.checksums.verification import choose, verified_by, verified_by_size
from fastget.core.journal import Identity
from fastget.core.messages import Framing
from fastget.engine.discovery.preparing import reason_for, rungs_of
from fastget.engine.exchange.retries import Attempts
from fastget.engine.pieces.task import Replan, Tally
from fastget.engine.small.ahead import Asked, TwoLines
from fastget.errors import Cancelled, DestinationError, FastgetError, NetworkError, Throttled
from fastget.events import Method, Progress, Result, Retried, Started
from fastget.sinks.memory import room_of
from fastget.sinks.protocol import WholeSink
from fastget.sources.protocol import PlainSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.buffers import Buffer
    from fastget.config import Config
    from fastget.core.checksums.verification import Check
    from fastget.core.messages import ResponseHead
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.announcer import Announcer
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.discovery.opening import Opening
    from fastget.engine.exchange.line import ConnectionPool, Line
    from fastget.engine.exchange.moulding import Moulding
    from fastget.engine.exchange.stores import Store, Stores
    from fastget.events import Verification
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import Source

    # As `WholeSink.put`.
    Put = Callable[[memoryview, Identity | None], bool]

# From here on the request is the smaller part of the work, and what has landed is worth going on from.
LARGEST = 256 * 1024
# Kinds of sinks, and whether they are `WholeSink`s.
_KINDS: dict[type, bool] = {}


S = TypeVar("S", bound=PlainSource)


class SmallObjects(Generic[S]):
    """One thread's way to fetch small objects, one after the other, over connections that it keeps. Close it.

    `accepts`: whether the pool's connections are for a source. `found_size` is what the latest one's answer says of its
    size, in bytes; None where there is no such answer.
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
        self.found_size = None
        line, asked = self._lines.line, self._lines.claim(source)
        store, moulding = (asked.store, asked.moulding) if asked else self._known_of(source)
        if asked is None and not (may_be_asked(store) and config.split != "part" and (is_vacant or sink.is_vacant())):
            return None
        try:
            with store.gate.passing(self._cancellation, is_within=asked is not None):
                request = asked.request if asked else source.get()
                cast = asked.cast if asked else moulding.cast(request)
                head = self._lines.send(cast, self._follow(following, store))
                heed(source, head)
            if store.facts.wait is None:
                store.learn_from(head.headers, line.waited)
            result = self._take(head, source, moulding, sink, put, config, began)
        except (Cancelled, DestinationError):
            line.drop()
            raise
        except FastgetError:
            result = None
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
        receive(self.line, data)
        if wrong_digests(data, checks) or not put(data, Identity.of(info.url, source.selection, info)):
            return None
        size, seconds = len(data), time.monotonic() - began
        tally = Tally(received=size, requests=1)
        return result_of(info.url, sink.path, info, size, verdict(info, rungs, checks), seconds, tally)


class AtOnce:
    """The same within one `Transfer`, whose discovery has been answered."""

    def __init__(
        self, source: Source, sink: Sink, config: Config, tally: Tally, announcer: Announcer, store: Store
    ) -> None:
        self._source = source
        self._sink = sink
        self._config = config
        self._tally = tally
        self._announcer = announcer
        self._store = store
        self._began = time.monotonic()
        self._is_over = config.split == "part"

    def take(self, opening: Opening, line: Line, scope: Cancellation) -> Result | None:
        """Fetch and publish what is small and plain; None for anything else, whose body still flows then.

        Once alone: what goes wrong with the body raises Replan, for the ordinary way. Raises NetworkError where there
        are no retries, DestinationError, Cancelled.
        """
        sink, info = self._sink, opening.info
        if self._is_over or not (is_small(opening.head) and takes_whole(sink) and sink.is_vacant()):
            return None
        moulding = self._store.moulding(opening.source)
        rungs = rungs_of(info, moulding.traits(opening.source, info, opening.head), self._config.checksum)
        checks = plain_checks(rungs, self._config)
        if checks is None:
            return None
        size = opening.head.content_length or 0
        data, lent = room_of(sink, size), None
        if data is None:
            lent = shared_buffers(self._config.max_memory).spare(size)
            if lent is None:
                return None
            data = lent.view[:size]
        self._is_over = True
        self._tell_start(info, checks)
        try:
            self._receive(line, data, scope)
            if wrong := wrong_digests(data, checks):
                raise Replan(seen=wrong)
            line.finish()
            # The next run of the same call asks for the facts alone where the file bears a note; memory bears none.
            identity = Identity.of(info.url, self._source.selection, info) if lent is not None else None
            if not sink.put(data, identity):
                raise Replan
        finally:
            if lent is not None:
                lent.close()
        if opening.head.reading is None and opening.source is self._source:
            moulding.learn(opening.source, opening.request, opening.head)
        tally, seconds = self._tally, time.monotonic() - self._began
        tally.verified = size if checks else 0
        url = self._source.display_url
        if self._announcer.is_heard:
            self._announcer.tell(Progress(url, size, tally.received, size, tally.verified, 1, seconds))
        tally.requests += line.requests
        return result_of(url, sink.path, info, size, verdict(info, rungs, checks), seconds, tally)

    def _receive(self, line: Line, data: memoryview, scope: Cancellation) -> None:
        try:
            receive(line, data)
        except NetworkError as error:
            delay = Attempts(self._config.retries, self._store).after(error)
            self._tally.requests += line.requests
            self._tally.retries += 1
            url = self._source.display_url
            self._announcer.tell(Retried(url, 0, len(data), 1, delay, error.message))
            scope.wait(delay)
            raise Replan from error
        self._store.succeed()
        self._tally.received += len(data)

    def _tell_start(self, info: ObjectInfo, checks: tuple[Check, ...]) -> None:
        if self._announcer.is_heard:
            method = checks[0].method if checks else Method.SIZE
            algorithm = str(checks[0].algorithm) if checks else None
            url, path = self._source.display_url, self._sink.path
            self._announcer.tell(
                Started(url, path, info.size, info.etag, info.version_id, "stream", 1, 1, method, algorithm)
            )


def may_be_asked(store: Store) -> bool:
    """Whether nobody has to wait there. An endpoint that fails all the time is not asked twice for every object."""
    return store.gate.is_open and not store.is_ailing


def heed(source: PlainSource, head: ResponseHead) -> None:
    """Raise the Throttled of an answer that asks for fewer requests: its gate learns of it, and of the wait.

    Whatever else an answer refuses is for the ordinary way, which asks again.
    """
    error = source.refusal(head, b"") if head.status >= 400 else None
    if isinstance(error, Throttled):
        raise error


def takes_whole(sink: Sink) -> TypeGuard[WholeSink]:
    """`isinstance`, which looks for every member of a protocol, asked once for each kind of sink."""
    kind = type(sink)
    if (known := _KINDS.get(kind)) is None:
        known = _KINDS[kind] = isinstance(sink, WholeSink)
    return known


def is_small(head: ResponseHead) -> bool:
    """Whether an answer has a body of a length that is known and small."""
    return head.framing is Framing.LENGTH and (head.content_length or 0) <= LARGEST


def plain_checks(rungs: tuple[Check, ...], config: Config) -> tuple[Check, ...] | None:
    """What the object is held to; None where parts have to be known for that, or there is nothing though wanted."""
    checks = choose(rungs, layout_is_known=True)
    for check in checks:
        if check.parts is not None:
            return None
    return None if config.require_verified and not checks else checks


def receive(line: Line, data: memoryview) -> None:
    """Fill `data` from the line's answer. Raises NetworkError where that ends early."""
    filled = 0
    while filled < len(data):
        filled += line.read_some(len(data) - filled, data[filled:])


def wrong_digests(data: memoryview, checks: tuple[Check, ...]) -> tuple[bytes, ...]:
    """The digests of `data` that are not the declared ones."""
    wrong = []
    for check in checks:
        hasher = new_hasher(check.algorithm)
        hasher.update(data)
        if (digest := hasher.digest()) != check.declared.value:
            wrong.append(digest)
    return tuple(wrong)


def verdict(info: ObjectInfo, rungs: tuple[Check, ...], checks: tuple[Check, ...]) -> Verification:
    """The verdict on bytes that have no wrong digest."""
    return verified_by(checks[0]) if checks else verified_by_size(reason_for(info, rungs))


def result_of(
    url: str,
    path: str | None,
    info: ObjectInfo,
    size: int,
    verification: Verification,
    seconds: float,
    tally: Tally,
    *,
    was_here: bool = False,
) -> Result:
    """The result of a transfer that was one request, at best."""
    return Result(
        url=url,
        path=path,
        size=size,
        etag=info.etag,
        version_id=info.version_id,
        seconds=seconds,
        bytes_received=tally.received,
        bytes_resumed=tally.resumed,
        requests=tally.requests,
        retries=tally.retries,
        rescues=0,
        repairs=tally.repairs,
        connections=0 if was_here else 1,
        split="stream",
        verification=verification,
        was_here=was_here,
    )
