"""The body of one answer, read by its caller: over one line, resumed where the way breaks, checked as it passes."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.core import retry
from fastget.core.checksums.verification import verified_by_size
from fastget.core.ranges import MAXIMUM_SIZE, ContentRange, Span
from fastget.core.validators import GONE, UNSATISFIABLE, Accepted, Doubt, Expectation, judge, nothing_follows
from fastget.engine.discovery.opening import BESIDE_RETRIES, Discovery, Opening
from fastget.engine.exchange.asking import ask
from fastget.engine.exchange.floor import Floor
from fastget.engine.exchange.line import ConnectionPool, Line
from fastget.engine.exchange.pinning import Pinning
from fastget.engine.exchange.retries import Attempts
from fastget.engine.reading.inspection import Demanding, Extent, Inspection, inspection_of
from fastget.engine.reading.surveys import ObjectSurveys
from fastget.errors import Cancelled, FastgetError, NetworkError, ProtocolError, SourceChanged, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.config import Config
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.stores import Store
    from fastget.events import Verification
    from fastget.sources.protocol import Source


def open_body(
    source: Source,
    build: Callable[[Source], Request],
    pool: ConnectionPool,
    cancellation: Cancellation,
    *,
    config: Config,
    is_of_whole: bool,
    store: Store,
    part_number: int | None = None,
    on_end: Callable[[], None] = lambda: None,
) -> ObjectBody:
    """Send the request that `build` makes of the source, and take charge of its answer.

    That has to be a 200 where the whole object was asked for (`is_of_whole`), else it may be a 206. `on_end` is called
    once, when no connection is held any more. `store` is the one that is asked. Of `config` count `retries`,
    `stall_timeout`, and `require_verified`: then a body that no digest vouches for raises Unverifiable, at its first
    read where that is plain by then, else before its last bytes.
    Raises the typed error of a refusal, NetworkError, or what the source raises.
    """
    line = Line(pool, cancellation)
    discovery = Discovery(line, cancellation, config.retries, lambda _: None, store)
    try:
        opening = discovery.open(source, build) if is_of_whole else discovery.select(source, build)
        if opening.head.status != 200:
            opening = replace(opening, info=_of_part(opening.info, opening.head))
        is_ordinary = is_of_whole and opening.source is source
        return ObjectBody(
            opening, line, pool, cancellation, config, store, discovery.retried, part_number, on_end, is_ordinary
        )
    except BaseException:
        line.drop()
        raise


def _of_part(info: ObjectInfo, head: ResponseHead) -> ObjectInfo:
    """What a 206 says of the object: its total size, and no digest, which may be a part's (wire-spec.md §0)."""
    found = ContentRange.of(head.headers)
    return replace(info, size=found.total if found is not None else None, declared=())


class ObjectBody:
    """The bytes of one answer, in order. One thread reads; `close` may be called from any.

    `is_ordinary`: it is all of an object, from where it was asked for, and others are likely to be answered alike.
    `info` are the object's facts, `head` is that of the first answer, `retried` counts the requests that had to be
    repeated. `position` counts the bytes that were read. `verification` is None until the body has ended.
    """

    def __init__(
        self,
        opening: Opening,
        line: Line,
        pool: ConnectionPool,
        cancellation: Cancellation,
        config: Config,
        store: Store,
        retried: int,
        part_number: int | None,
        on_end: Callable[[], None],
        is_ordinary: bool,
    ) -> None:
        self._opening = opening
        self._url = opening.source.display_url
        self._line = line
        self._cancellation = cancellation
        self._store = store
        self._part_number = part_number
        self._require_verified = config.require_verified
        self._floor = Floor(line, config.stall_timeout)
        self._on_end: Callable[[], None] | None = on_end
        self._surveys = ObjectSurveys(opening, pool, cancellation, store, min(config.retries, BESIDE_RETRIES))
        self._extent = Extent.of(opening.head)
        if part_number is not None and opening.head.status == 200:
            self._extent = replace(self._extent, span=None)  # the part or, where the store knows no parts, all there is
        self._inspection: Inspection | None = None
        self._moulding = store.moulding(opening.source)
        self._is_ordinary = is_ordinary
        self._traits = self._moulding.traits(opening.source, opening.info, opening.head)
        self._pinning = Pinning(opening.info.pin, store, may_refuse_its_etag=self._traits.may_refuse_its_etag)
        # The bytes that the running answer may still bring end here, counted as `position` is; None: at its end.
        self._stop = self._extent.length
        self._is_flowing = True
        self._attempts = Attempts(config.retries, store)
        self._resumed_at = 0
        self._error: FastgetError | None = None
        # Who leaves last lets go of the line: the reader, or whoever closes.
        self._lock = threading.RLock()
        self._turn: object = None
        self._is_closed = False
        self._is_complete = False
        self._opened_in = os.getpid()
        self.retried = retried
        self.position = 0
        self.verification: Verification | None = None

    @property
    def info(self) -> ObjectInfo:
        return self._opening.info

    @property
    def head(self) -> ResponseHead:
        return self._opening.head

    @property
    def length(self) -> int | None:
        """How many bytes there are in all, None where only the end of the body tells."""
        return self._extent.length

    def read_into(self, buffer: memoryview) -> int:
        """Read some bytes, at most as many as `buffer` holds; 0 only at the end, when all that can be was verified.

        The last bytes are given out only after the digest has been found to hold. Raises ChecksumMismatch, the errors
        of a download, and Cancelled once the body was closed. An error stays: every later call raises it again.
        """
        turn, count = object(), None
        try:
            self._enter(turn)
            count = self._read(buffer)
            self._leave(turn)
        except BaseException as error:
            if self._turn is turn or count is not None:
                self.fail(error)
                self._leave(turn)
            raise
        else:
            return count

    def fail(self, error: BaseException) -> None:
        """Bytes that were read have got lost with this: every later call says so."""
        if self._error is None:
            self._error = error if isinstance(error, FastgetError) else Cancelled("a read of this body was interrupted")
            self._error.url = self._error.url or self._url
        self._let_go()

    def close(self) -> None:
        """Drop what has not been read; a read that waits in another thread ends with Cancelled. Safe to call twice."""
        with self._lock:
            self._is_closed = True
            is_busy = self._turn is not None
        if not is_busy:
            self._let_go()
        else:
            self._cancellation.cancel()

    # Who holds the line ------------------------------------------------------------------------------------------

    def _enter(self, turn: object) -> None:
        if self._opened_in != os.getpid():
            # Its bytes would be missing in the parent, who reads from the same socket.
            raise Cancelled("this process was forked after the body had been opened", hint="open one in each process")
        with self._lock:
            if self._turn is not None:
                raise RuntimeError("two threads read one body")
            if self._error is not None:
                raise self._error
            if self._is_closed and not self._is_complete:
                raise Cancelled("the body was closed")
            self._turn = turn

    def _leave(self, turn: object) -> None:
        with self._lock:
            is_mine = self._turn is turn
            if is_mine:
                self._turn = None
            is_closed = self._is_closed
        if is_mine and is_closed:
            self._let_go()

    def _let_go(self) -> None:
        """No connection is needed any more: what is held is closed, and whoever lent it is told."""
        with self._lock:
            on_end, self._on_end = self._on_end, None
        self._line.drop()
        if self.verification is None:
            self.verification = _unread(self.position, self._extent.length)
        if on_end is not None:
            on_end()

    # Bytes -------------------------------------------------------------------------------------------------------

    def _read(self, buffer: memoryview) -> int:
        if self._is_complete or not len(buffer):
            return 0
        if self._inspection is None:
            self._inspection = inspection_of(
                self._opening, self._traits, self._extent, self._part_number, self._surveys
            )
            if self._require_verified:
                self._inspection = Demanding(self._inspection, self._url)
        count = self._persist(buffer)
        self._inspection.take_in(buffer[:count])
        self.position += count
        if self.position == self._extent.length or not count:
            self._conclude(self._inspection)
        return count

    def _persist(self, buffer: memoryview) -> int:
        while True:
            try:
                if not self._is_flowing:
                    self._resume()
                return self._receive(buffer)
            except FastgetError as error:
                self._line.drop()
                self._is_flowing = False
                self._recover(error)

    def _receive(self, buffer: memoryview) -> int:
        """Some bytes of the running answer; 0 only at the end of the body."""
        if self._stop is None:
            with self._floor:
                count = self._line.read_into(buffer)
            if count:
                self._floor.count(count)
            else:
                self._check_length()
            return count
        left, count = self._stop - self.position, 0
        if left:
            with self._floor:
                count = self._line.read_some(left, buffer[:left], url=self._url)
        if count < left:
            self._floor.count(count)
        elif self._stop != self._extent.length:
            self._line.finish()
            self._is_flowing = False
        return count

    def _check_length(self) -> None:
        """The connection has ended, and with it the body: that was all of it only where a HEAD says no more."""
        if not (self._is_endless and self._opening.may_be_cut_unseen):
            return
        least = self._surveys.length()
        if least is not None and self.position < least:
            reason = f"{self._url}: the connection ended after {self.position} of {least} bytes"
            raise NetworkError(reason, url=self._url)

    def _conclude(self, inspection: Inspection) -> None:
        """Everything is here: the connection goes back, and the digests decide."""
        if self._is_flowing:
            self._line.check_end(self._url)
            self._line.finish()
        self._store.succeed()
        self.verification = inspection.conclude()
        self._is_complete = True
        opening = self._opening
        if self._is_ordinary and opening.head.reading is None:
            self._moulding.learn(opening.source, opening.request, opening.head)
        self._let_go()

    # Where the way breaks ----------------------------------------------------------------------------------------

    @property
    def _can_resume(self) -> bool:
        """Whether another answer can go on where this one stopped: something has to hold the two together."""
        info = self._opening.info
        if info.accepts_ranges is False:
            return False
        if self._extent.span is None:
            return self._is_endless and info.pin.is_strong
        return info.pin.can_be_combined or (self._inspection is not None and self._inspection.is_conclusive)

    @property
    def _is_endless(self) -> bool:
        """Whether it is the whole object, of a length that is not told: an answer to a range will tell it."""
        head = self._opening.head
        is_of_whole = head.status == 200 and self._part_number is None and "content-range" not in head.headers
        return is_of_whole and self._extent.length is None

    def _recover(self, error: FastgetError) -> None:
        if self.position - self._resumed_at >= retry.PROGRESS:
            self._attempts.begin_anew()
        self._resumed_at = self.position
        if not self._can_resume:
            raise error
        delay = self._attempts.after(error)
        self.retried += 1
        self._cancellation.wait(delay)

    def _resume(self) -> None:
        """Ask for the rest, of the very same version."""
        whole = self._extent.span or Span(0, MAXIMUM_SIZE)
        rest = Span(whole.start + self.position, whole.stop)
        with self._store.gate.passing(self._cancellation):
            answered = ask(self._line, self._opening.source, lambda at: at.get(span=rest, pin=self._pinning.pin))
            if isinstance(answered.error, Throttled):
                raise answered.error
        if answered.error is not None:
            self._refused(answered.head, answered.error)
            return
        is_checked = self._inspection is not None and self._inspection.is_conclusive
        asked = Expectation(rest, self._pinning.pin, None, self._traits.full_status_ranges, is_checked)
        verdict = judge(answered.head, asked)
        if isinstance(verdict, Accepted):
            self._pinning.accept()
            if self._is_endless:
                self._learn_length(answered.head)
            self._stop = verdict.span.stop - whole.start
            self._is_flowing = True
            return
        reason = self._opening.source.without_secrets(verdict.reason)
        if verdict.doubt is Doubt.CHANGED:
            raise self._changed(reason)
        raise ProtocolError(f"{self._url}: {reason}", url=self._url)

    def _learn_length(self, head: ResponseHead) -> None:
        """The length that the first answer did not tell: an accepted one to a range does."""
        found = ContentRange.of(head.headers)
        if found is not None and found.total is not None:
            self._extent = Extent(Span(0, found.total), found.total)

    def _refused(self, head: ResponseHead, error: FastgetError) -> None:
        """Ask once more with another pin, where it is the pin alone that is refused; else raise."""
        if self._pinning.loosen(head.status):
            self._resume()
        elif self._is_endless and nothing_follows(head, self._pinning.pin, self.position):
            self._learn_length(head)
            self._stop = self.position
        elif self._is_endless and head.status == UNSATISFIABLE:
            raise NetworkError(
                f"{self._url}: the transfer broke off, and the server has nothing behind its {self.position} bytes",
                hint="read it again from the start",
                url=self._url,
                is_transient=False,
            ) from error
        elif head.status in GONE:
            raise self._changed(GONE[head.status])
        else:
            raise error

    def _changed(self, reason: str) -> SourceChanged:
        return SourceChanged(
            f"{self._url} changed while it was read: {reason}", hint="read it again from the start", url=self._url
        )


def _unread(position: int, length: int | None) -> Verification:
    return verified_by_size(f"the body was left after {position} of {'?' if length is None else length} bytes")
