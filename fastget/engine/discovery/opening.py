"""The first request: a plain GET, whose answer names the object and whose body already flows (wire-spec.md §0)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from fastget.core.messages import Framing
from fastget.core.objectinfo import is_strong
from fastget.core.ranges import ContentRange
from fastget.core.validators import SUCCESS
from fastget.engine.exchange.asking import ask
from fastget.engine.exchange.retries import persist
from fastget.engine.exchange.stores import Store
from fastget.errors import (
    AccessDenied,
    FastgetError,
    NetworkError,
    NotModified,
    ObjectArchived,
    ObjectDeleted,
    ProtocolError,
    SourceChanged,
    SourceError,
    Throttled,
)
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fastget.core.messages import Request, ResponseHead
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.line import Line
    from fastget.engine.exchange.moulding import Moulding
    from fastget.errors import ServerReply
    from fastget.events import Event
    from fastget.sources.protocol import Source

# So often is asked again what a download only profits from, and goes without where it fails all the same.
BESIDE_RETRIES = 1
# Digest fields that speak of the whole object in the answer to a range as well (wire-spec.md §6).
_OF_THE_WHOLE = frozenset({"repr-digest", "x-goog-hash"})
# The content is not the origin's, and neither ETag nor digest need be of it (RFC 9110 §15.3.4).
TRANSFORMED = 203
_HINTS = {
    206: "where the URL itself asks for a part (partNumber=…), leave that out, or get one that is signed without",
    TRANSFORMED: "a proxy on the way has changed the content, which nothing could tell from damage: go past it (https)",
}


@record
class Opening:
    """Where the object was found, after redirects, and what the answer to `request` says. The line holds the body.

    `least` is the number of bytes that it must have, where the answer itself does not say and another one did.
    `waited`: seconds from the request to the answer, on a connection that was there.
    """

    source: Source
    info: ObjectInfo
    head: ResponseHead
    request: Request
    least: int | None = None
    waited: float = 0.0

    @property
    def may_be_cut_unseen(self) -> bool:
        """Whether the body only ends with its connection, where a HEAD may know how long the same object is."""
        return self.head.framing is Framing.CLOSE and is_strong(self.info.etag)


class Discovery:
    """Asks for an object until it is found or refused for good; follows redirects, and retries what may pass.

    `store` is the one that is asked: its gate is passed, and its endpoint's retries are spent.
    """

    def __init__(
        self,
        line: Line,
        cancellation: Cancellation,
        retries: int,
        notify: Callable[[Event], None],
        store: Store | None = None,
    ) -> None:
        self._store = store or Store()
        self._line = line
        self._cancellation = cancellation
        self._retries = retries
        self._notify = notify
        self.retried = 0

    def open(self, source: Source, build: Callable[[Source], Request] = lambda at: at.get()) -> Opening:
        """GET the object, by the request that `build` makes.

        Raises the typed error of a refusal, NetworkError, or what the source raises.
        """
        return self._persist(source, _cast(self._store.moulding(source), source, build))

    def select(
        self, source: Source, build: Callable[[Source], Request], statuses: Collection[int] = SUCCESS
    ) -> Opening:
        """Ask for the object, or for some of it, by the request that `build` makes, which one of `statuses` answers.

        The facts of a 206 are those of the answer, which need not be the object's. Raises as `open`.
        """
        return self._persist(source, build, statuses)

    def head(self, source: Source) -> ObjectInfo:
        """The object's facts by HEAD. Raises the typed error of a refusal; it has no body to tell why."""
        return self._facts_by_head(source).info

    def length_of(self, opening: Opening) -> int | None:
        """What a HEAD says of a body that may be cut unseen; None where it does not tell."""
        try:
            info = self.head(opening.source)
        except (SourceError, NetworkError):
            return None
        return info.size if info.etag == opening.info.etag else None

    def facts(self, source: Source) -> Opening:
        """The object's facts alone: by HEAD or, where that is refused, by a GET that is dropped after its head.

        The refusal of a HEAD has no body to tell why (wire-spec.md row 78), and some URLs (presigned ones) are good
        for GET only.
        """
        if not source.answers_head:
            return self._facts_by_get(source)
        try:
            return self._facts_by_head(source)
        except (NotModified, ObjectDeleted, Throttled):
            raise
        except SourceError:
            return self._facts_in_spite(source)

    def readable(self, source: Source) -> Opening:
        """The same, of an object that can be read now. Raises ObjectArchived or RestoreInProgress for any other."""
        opening = self.facts(source)
        # What a GET has been answered can be read, whatever is said of it: to some stores such a class is but a name.
        is_by_head = opening.head.framing is Framing.NONE
        if is_by_head and (error := _archived_error(opening.info)) is not None:
            try:
                return self._facts_by_get(source)
            except SourceError:
                raise error from None
        return opening

    def _facts_by_head(self, source: Source) -> Opening:
        moulding = self._store.moulding(source, "HEAD")
        opening = self._persist(source, _cast(moulding, source, lambda at: at.head()))
        self._line.finish()
        if opening.head.reading is None and opening.source is source:
            moulding.learn(source, opening.request, opening.head)
        return opening

    def _facts_in_spite(self, source: Source) -> Opening:
        """HEAD was refused: a GET says why, or it is answered."""
        try:
            return self._facts_by_get(source)
        except SourceError as error:
            from fastget.sources.refusals import is_about_kms

            # To see the checksums of an object takes the right to decrypt it, to see the rest does not (row 103).
            quiet = source.without_checksums() if is_about_kms(error) else None
            if quiet is None:
                raise
            refusal = error
        try:
            return self._facts_by_head(quiet)
        except SourceError:
            raise refusal from None

    def _facts_by_get(self, source: Source) -> Opening:
        """What a GET is answered, dropped after its head: only a whole answer speaks of the whole (wire-spec.md §0)."""
        opening = self.open(source)
        self._line.drop()
        return opening

    def _persist(
        self, source: Source, build: Callable[[Source], Request], statuses: Collection[int] = (200,)
    ) -> Opening:
        def ask_once() -> Opening:
            return self._ask(source, build, statuses)

        def url() -> str:
            return source.display_url

        return persist(ask_once, url, self._store, self._retries, self._cancellation, self._count)

    def _count(self, retried: Event) -> None:
        self.retried += 1
        self._notify(retried)

    def _ask(self, source: Source, build: Callable[[Source], Request], statuses: Collection[int]) -> Opening:
        answered = ask(self._line, source, build)
        source, head = answered.source, answered.head
        if answered.error is not None:
            raise self._explained(answered.error, source)
        if head.status not in statuses:
            self._line.drop()
            asked = "a part of the object" if 206 in statuses else "the whole object"
            raise ProtocolError(
                f"{source.display_url}: status {head.status} answers a request for {asked}",
                hint=_HINTS.get(head.status),
                url=source.display_url,
                is_transient=head.status != TRANSFORMED and not (head.status == 206 and _names_part(answered.request)),
            )
        if head.reading is None and (stored := source.as_stored(head)) is not None:
            self._line.drop()
            return self._ask(stored, build, statuses)
        return Opening(source, source.describe(head), head, answered.request, waited=self._line.waited)

    def _explained(self, error: FastgetError, source: Source) -> FastgetError:
        """A refusal of the first request, with what the caller's own options or a look at the object add to it."""
        if type(error) is ObjectArchived:
            return self._archived(error, source)
        if not isinstance(error, SourceChanged | NotModified | AccessDenied):
            return error
        from fastget.sources.refusals import explained

        return explained(error, source.get().headers)

    def _archived(self, error: ObjectArchived, source: Source) -> FastgetError:
        """A GET says that the object lies in an archive, a HEAD also whether it is on its way out."""
        if not source.answers_head:
            return error
        try:
            answered = ask(self._line, source, lambda at: at.head())
        except NetworkError:
            return error
        self._line.drop()
        if answered.error is not None or answered.head.status != 200:
            return error
        return _archived_error(answered.source.describe(answered.head), error.reply) or error


def _cast(moulding: Moulding, source: Source, build: Callable[[Source], Request]) -> Callable[[Source], Request]:
    """What `build` makes, with what was learned of the answers to it; not of another source, where a redirect leads."""
    return lambda at: moulding.cast(build(at)) if at is source else build(at)


def _names_part(request: Request) -> bool:
    """Whether the URL itself asks for a part of the object: no second answer to it will be the whole."""
    return any(name == "partNumber" for name, _ in parse_qsl(request.url.query or ""))


def _archived_error(info: ObjectInfo, reply: ServerReply | None = None) -> ObjectArchived | None:
    # What refusals are told by is a tenth of what a command loads, and most are never refused anything.
    from fastget.sources.archives import archived_error

    return archived_error(info, reply)


def whole(opening: Opening) -> ObjectInfo | None:
    """The object's facts in the answer to a range of it; None where that does not say them."""
    if "content-range" not in opening.head.headers:
        return opening.info if opening.head.status == 200 else None
    place = ContentRange.of(opening.head.headers)
    if place is None or place.total is None:
        return None
    # All digests of the answer may be of the range alone (wire-spec.md §2.2), but for these.
    declared = tuple(digest for digest in opening.info.declared if digest.origin in _OF_THE_WHOLE)
    return replace(opening.info, size=place.total, accepts_ranges=True, declared=declared)
