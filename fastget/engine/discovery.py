"""The first request: a plain GET, whose answer names the object and whose body already flows (wire-spec.md §0)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastget.core import retry
from fastget.errors import FastgetError, ProtocolError, SourceError
from fastget.events import Event, Retried

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.messages import Request, ResponseHead
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.line import Line
    from fastget.sources.protocol import Source


@dataclass(frozen=True, slots=True)
class Opening:
    """Where the object was found, after redirects, and what the answer says of it. The line holds the body.

    `least` is the number of bytes that it must have, where the answer itself does not say and another one did.
    """

    source: Source
    info: ObjectInfo
    head: ResponseHead
    least: int | None = None


class Discovery:
    """Asks for an object until it is found or refused for good; follows redirects, and retries what may pass."""

    def __init__(self, line: Line, cancellation: Cancellation, retries: int, notify: Callable[[Event], None]) -> None:
        self._line = line
        self._cancellation = cancellation
        self._retries = retries
        self._notify = notify
        self.retried = 0

    def open(self, source: Source) -> Opening:
        """GET the object. Raises the typed error of a refusal, NetworkError, or what the source raises."""
        return self._persist(source, lambda at: at.get())

    def head(self, source: Source) -> ObjectInfo:
        """The object's facts by HEAD. Raises the typed error of a refusal; it has no body to tell why."""
        info = self._persist(source, lambda at: at.head()).info
        self._line.finish()
        return info

    def facts(self, source: Source) -> Opening:
        """The object's facts alone: by HEAD or, where that is refused, by a GET that is dropped after its head.

        The refusal of a HEAD has no body to tell why, and some URLs (presigned ones) are good for GET only.
        """
        try:
            opening = self._persist(source, lambda at: at.head())
        except SourceError:
            opening = self.open(source)
            self._line.drop()
        else:
            self._line.finish()
        return opening

    def _persist(self, source: Source, build: Callable[[Source], Request]) -> Opening:
        attempt = 0
        while True:
            try:
                return self._ask(source, build)
            except FastgetError as error:
                attempt += 1
                if not retry.is_transient(error) or attempt > self._retries:
                    raise
                self.retried += 1
                delay = retry.delay_before(attempt, random.random(), error)
                self._notify(Retried(source.display_url, 0, None, attempt, delay, error.message))
                self._cancellation.wait(delay)

    def _ask(self, source: Source, build: Callable[[Source], Request]) -> Opening:
        """Ask where the source is, and where it is sent on to: every source bounds its own redirects."""
        while True:
            head = self._line.send(build(source))
            if head.status == 200:
                return Opening(source, source.describe(head), head)
            moved = source.redirected(head)
            if moved is None:
                raise self._refused(source, head)
            self._line.drop()
            source = moved

    def _refused(self, source: Source, head: ResponseHead) -> FastgetError:
        if 200 <= head.status < 300:
            self._line.drop()
            return ProtocolError(
                f"{source.display_url}: status {head.status} answers a plain GET", url=source.display_url
            )
        return self._line.refusal(source, head)
