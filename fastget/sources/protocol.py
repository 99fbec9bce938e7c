"""What the engine asks of a source: how its object is asked for, and what the answers mean."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fastget.core.messages import Request, ResponseHead
    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.core.ranges import Span
    from fastget.errors import FastgetError


@record
class StoreTraits:
    """What a kind of store is known to do, before it is asked.

    `part_numbers`: `?partNumber=` may be tried. `etag_is_md5`: an ETag of 32 hex digits (or of 32 and `-N`) is the MD5
    of the content (or of its parts' MD5s). `full_status_ranges`: it may answer a range with status 200 and a right
    Content-Range (faults.md §1, rule 1). `etag_may_look_like_md5`: stores that only follow S3 may have ETags of that
    shape that are something else (wire-spec.md §2.6), so that one that does not fit proves nothing.
    `object_attributes`: GetObjectAttributes may be asked for the parts (not of IBM COS, wire-spec.md row 118).
    `may_refuse_its_etag`: it may answer 412 to the very ETag that it has sent (wire-spec.md §3, §4; never AWS).
    """

    part_numbers: bool = False
    etag_is_md5: bool = False
    full_status_ranges: bool = False
    etag_may_look_like_md5: bool = False
    object_attributes: bool = False
    may_refuse_its_etag: bool = False


class Correction(Enum):
    """What a source does otherwise from now on, because an answer has shown that it must (wire-spec.md rows 89, 92).

    `PLACE`: a redirect leads elsewhere by now (wire-spec.md §4).
    """

    REGION = "region"
    CLOCK = "clock"
    CREDENTIALS = "credentials"
    PLACE = "place"


class PlainSource(Protocol):
    """As much of a source as an object takes that comes whole, in one answer. See `Source`."""

    @property
    def display_url(self) -> str: ...

    @property
    def store(self) -> str: ...

    @property
    def selection(self) -> str: ...

    def traits(self, info: ObjectInfo) -> StoreTraits: ...

    def get(self) -> Request: ...

    def as_stored(self, head: ResponseHead) -> PlainSource | None: ...

    def describe(self, head: ResponseHead) -> ObjectInfo: ...

    def refusal(self, head: ResponseHead, body: bytes) -> FastgetError | None: ...


class Source(PlainSource, Protocol):
    """One object in one store. Requests come back signed for this moment: ask for one when it is about to be sent.

    Used by many threads at once.
    """

    @property
    def display_url(self) -> str:
        """The object's name for people: no query, no user info, no key."""
        ...

    @property
    def filename(self) -> str:
        """The name that a download of it would have by default; empty where the URL ends in no plain file name."""
        ...

    @property
    def store(self) -> str:
        """A name for the endpoint and bucket: what one object of it teaches about the store holds for the others."""
        ...

    @property
    def selection(self) -> str:
        """What tells the object from others with the same `display_url`; it may hold secrets, and is only hashed."""
        ...

    @property
    def answers_head(self) -> bool:
        """Whether a HEAD may be sent: a URL that is signed for GET is good for nothing else (wire-spec.md §5)."""
        ...

    def traits(self, info: ObjectInfo) -> StoreTraits:
        """What the store behind `info` is known to do."""
        ...

    def get(self, span: Span | None = None, part_number: int | None = None, pin: Pin | None = None) -> Request:
        """A GET of the whole object, of a span or of a stored part (never both), pinned where `pin` is given.

        Carries every option of the user (version, SSE-C, requester pays, headers, …) on each request.
        Raises CredentialsError when the request has to be signed and cannot be.
        """
        ...

    def head(self, part_number: int | None = None, pin: Pin | None = None) -> Request:
        """A HEAD of the object, or of one of its parts."""
        ...

    def attributes(self, after: int, pin: Pin) -> Request:
        """GetObjectAttributes of the pinned version, for the parts beyond number `after` (fastget.sources.attributes).

        Where `traits` say that it may be asked.
        """
        ...

    def as_stored(self, head: ResponseHead) -> Source | None:
        """The same object, asked for in the coding that it is stored in; None where the 200 answer is in that already.

        Google Cloud Storage inflates gzip on the way: ranges, size and digests are then of other bytes
        (wire-spec.md §4).
        """
        ...

    def without_checksums(self) -> Source | None:
        """The object, asked for without its checksums; None where they are not asked for (wire-spec.md row 103)."""
        ...

    def describe(self, head: ResponseHead) -> ObjectInfo:
        """The object-level facts of a 200 answer to `get()` or `head()`."""
        ...

    def refusal(self, head: ResponseHead, body: bytes) -> FastgetError:
        """The error that a status outside 2xx means; `body` is the start of its body (at most 64 KiB)."""
        ...

    def without_secrets(self, text: str) -> str:
        """`text`, which quotes an answer, on one bounded line and without what was told to the server in confidence."""
        ...

    def redirected(self, head: ResponseHead) -> Source | None:
        """The same object at the place that a redirect names, with no credentials for a new origin.

        None where the answer is no redirect that this source follows. Every chain has its end here: a source counts
        its own redirects.
        Raises ProtocolError for a redirect to where fastget does not go (RFC 9110 §15.4; faults.md H27 to H31).
        """
        ...

    def keep_finding(self, find: Callable[[Source], Source]) -> None:
        """The object was found here. Where redirects have led here, `corrected` follows them again by `find`.

        `find` asks the source that it is given for as little as can be, and returns the one that has answered; it
        raises the error of a refusal, and what `ask` does (fastget/engine/exchange/asking.py).
        """
        ...

    def corrected(
        self, request: Request, head: ResponseHead, body: bytes, done: Collection[Correction] = ()
    ) -> Correction | None:
        """Whether `request`, which got this answer outside 2xx, would now be built otherwise: then it is asked again.

        Another region, another time, new credentials, a new signed URL or a new place: found out once, by one thread,
        while the others that need it wait, and in force for every request from then on. None where nothing changes,
        as with fixed keys, or where that was `done` for this request before. `body` is the start of the answer's body,
        at most 64 KiB.
        Raises CredentialsError, ConfigError or NetworkError where new credentials cannot be had.
        """
        ...
