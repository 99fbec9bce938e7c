"""A small object within the `Transfer` that has asked for it: its first answer is all of it, without a plan."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastget.buffers import shared_buffers
from fastget.core.journal import Identity
from fastget.engine.discovery.preparing import rungs_of
from fastget.engine.exchange.floor import receive
from fastget.engine.exchange.retries import Attempts
from fastget.engine.pieces.task import Replan
from fastget.engine.small.plain import is_small, plain_checks, result_of, takes_whole, verdict, wrong_digests
from fastget.errors import NetworkError
from fastget.events import Method, Progress, Retried, Started
from fastget.sinks.memory import room_of

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.checksums.verification import Check
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.announcer import Announcer
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.discovery.opening import Opening
    from fastget.engine.exchange.line import Line
    from fastget.engine.exchange.stores import Store
    from fastget.engine.pieces.task import Tally
    from fastget.events import Result
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import Source


class AtOnce:
    """Of one `Transfer`, whose discovery has been answered."""

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
            receive(line, data, self._config.stall_timeout)
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
