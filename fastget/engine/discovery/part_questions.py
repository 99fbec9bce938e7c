"""Questions to a store about the parts of one object, and what their answers teach about the store."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fastget.core.layout import read_part_answer, read_part_length
from fastget.core.ranges import ContentRange
from fastget.core.validators import FORBIDDEN, looser_pin
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.asking import ask
from fastget.engine.exchange.line import Line
from fastget.engine.exchange.pinning import Pinning
from fastget.errors import NetworkError, SourceChanged
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.layout import PartAnswer, PartLength
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.engine.exchange.line import ConnectionPool
    from fastget.engine.exchange.stores import Store
    from fastget.sources.attributes import AttributesPage
    from fastget.sources.protocol import Source

_MOMENTARY = frozenset({206, 408, 425, 429, 500, 502, 503, 504})
# What a store answers to a question that it does not understand, or does not allow; 404 and 416 are of the object.
_INABILITY = frozenset({200, 400, 405, 501})
_NOT_FOR_US = _INABILITY | {FORBIDDEN}
_TRIES = 2
OK = 200


@record
class PartReply:
    """The head of an answer about one part, and what it proves: its place, or its length alone."""

    head: ResponseHead
    place: PartAnswer | None
    length: PartLength | None


class PartQuestions:
    """Asks about one object; from several threads at once. `requests` counts what was sent.

    A question that gets no proof has None for an answer: the download goes on without.
    """

    def __init__(
        self, source: Source, info: ObjectInfo, pool: ConnectionPool, cancellation: Cancellation, store: Store
    ) -> None:
        self._source = source
        self._info = info
        self._pool = pool
        self._cancellation = cancellation
        self._store = store
        self._lock = threading.Lock()
        self._scope = cancellation
        self.requests = 0

    def new_scope(self) -> Cancellation:
        """What stops the questions that are asked from now on, and leaves later ones alone."""
        self._scope = Cancellation()
        self._cancellation.add(self._scope)
        return self._scope

    def head(self, number: int, *, teaches: bool = False) -> PartReply | None:
        """What `HEAD ?partNumber=` proves of one part. `teaches`: a refusal is one of the store, not of the part."""
        reply, last = self._ask(lambda at, pin: at.head(part_number=number, pin=pin), is_head=True)
        if reply is not None:
            self._store.learn(part_heads=reply.place is not None, part_lengths=reply.place is None)
        elif teaches and last in _INABILITY:
            self._store.learn(part_heads=False, part_lengths=False)
        return reply

    def get(self, number: int, *, teaches: bool = False) -> PartReply | None:
        """What the head of `GET ?partNumber=` proves; its body is left unread, and the connection closed."""
        reply, last = self._ask(lambda at, pin: at.get(part_number=number, pin=pin), is_head=False)
        if reply is not None or (teaches and last in _INABILITY):
            self._store.learn(part_gets=reply is not None and reply.place is not None)
        return reply

    def page(self, after: int) -> AttributesPage | None:
        """The parts beyond number `after` as the store lists them, of this version of the object."""
        from fastget.sources.attributes import read_page

        last = None
        pin = self._info.pin
        for _ in range(_TRIES):
            head, body = self._document(after, pin)
            page = read_page(head, body) if head is not None and head.status == OK else None
            if page is not None:
                self._store.learn(attributes=True)
                return page if self._is_of_this_version(page) else None
            last = head.status if head is not None else None
            looser = looser_pin(pin, last, may_refuse_its_etag=False) if last is not None else None
            if looser is not None:
                pin = looser
            elif last not in _MOMENTARY:
                break
        if last in _NOT_FOR_US:
            self._store.learn(attributes=False)
        return None

    def _is_of_this_version(self, page: AttributesPage) -> bool:
        """The operation knows no If-Match; in its document the ETag has no quotes."""
        same_etag = page.etag is not None and page.etag == (self._info.etag or "").strip('"')
        same_version = page.version_id in (None, self._info.version_id)
        return same_etag and same_version and page.size in (None, self._info.size)

    def _ask(self, build: Callable[[Source, Pin], Request], *, is_head: bool) -> tuple[PartReply | None, int | None]:
        """A reply that proves itself, or None and the last status.

        Asked once more where the first answer says nothing about the store, only about the moment.
        """
        may_refuse = self._source.traits(self._info).may_refuse_its_etag
        # Some stores take the ETag of an object in one piece, and not that of one in parts.
        pinning = Pinning(self._info.pin, self._store, may_refuse_its_etag=may_refuse, is_form_proof=False)
        contradiction, last, left = None, None, _TRIES
        while left:
            left -= 1
            head = self._try(build, pinning.pin, is_head=is_head)
            if head is None:
                continue
            if (reply := self._read(head)) is not None:
                pinning.accept()
                return reply, head.status
            last, contradiction = head.status, self._contradiction(head)
            if pinning.loosen(head.status):
                left += 1
            elif head.status not in _MOMENTARY:
                break
        if contradiction is not None:
            raise SourceChanged(contradiction, hint="run it again", url=self._source.display_url)
        return None, last

    def _read(self, head: ResponseHead) -> PartReply | None:
        place, length = read_part_answer(head, self._info.pin), read_part_length(head, self._info.pin)
        return PartReply(head, place, length) if place or length else None

    def _contradiction(self, head: ResponseHead) -> str | None:
        """Two answers about one version that cannot both be true (faults.md H45, C18)."""
        found = ContentRange.of(head.headers)
        same = head.status == 206 and head.headers.get("etag") == self._info.etag
        if not same or found is None or found.total in (None, self._info.size):
            return None
        url = self._source.display_url
        return f"{url} has {self._info.size} bytes by one answer and {found.total} by another of the same version"

    def _try(self, build: Callable[[Source, Pin], Request], pin: Pin, *, is_head: bool) -> ResponseHead | None:
        with Line(self._pool, self._scope) as line:
            try:
                head = ask(line, self._source, lambda at: build(at, pin)).head
                if is_head:
                    line.finish()
            except NetworkError:
                return None
            finally:
                self._count(line)
            return head

    def _document(self, after: int, pin: Pin) -> tuple[ResponseHead | None, bytes]:
        """The answer to GetObjectAttributes, with its body unless that is larger than such a document can be."""
        from fastget.sources.attributes import LARGEST_PAGE

        body = bytearray()
        with Line(self._pool, self._scope) as line:
            try:
                head = ask(line, self._source, lambda at: at.attributes(after, pin)).head
                if head.status != OK:
                    return head, b""
                buffer = memoryview(bytearray(64 * 1024))
                while len(body) <= LARGEST_PAGE and (count := line.read_into(buffer)):
                    body += buffer[:count]
                if len(body) <= LARGEST_PAGE:
                    line.finish()
            except NetworkError:
                return None, b""
            finally:
                self._count(line)
        return head, bytes(body)

    def _count(self, line: Line) -> None:
        with self._lock:
            self.requests += line.requests
