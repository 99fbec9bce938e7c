"""What is known of an object: size, identity and declared digests."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from fastget.core.messages import Headers
from fastget.core.store_memory import MatchForm
from fastget.records import frozen, record

if TYPE_CHECKING:
    from datetime import datetime

    from fastget.core.checksums.declared import DeclaredDigest


def is_strong(etag: str | None) -> bool:
    """Whether an ETag may be sent as If-Match: weak ones never match (RFC 9110 §8.8.3.2), empty ones name nothing."""
    return etag is not None and etag not in ("", '""', "*") and not etag.startswith(("W/", "w/"))


def names_content(etag: str | None, version_id: str | None) -> bool:
    """Whether these name one content, and not only a place (RFC 9110 §8.8.1).

    Every object of a bucket without versioning has the version "null": that is a place.
    """
    return is_strong(etag) or version_id not in (None, "null")


@frozen
class ObjectInfo:
    """Facts of an object, from a plain GET or HEAD that was answered 200; never from a 206 (wire-spec.md §0).

    `url` is the redacted form, `size` in bytes (None where the server does not say). `etag` is exactly as received,
    quotes included. `accepts_ranges` is None where the server says nothing about it. `headers` are all of the answer's.

    Of an entry in a listing, `url` has the `key` exactly as it is, and what a listing does not say is None or empty.
    `is_prefix` stands for all keys that begin with `key`. `is_latest` and `is_delete_marker` come with versions.
    `checksum_algorithms` are the store's names (CRC64NVME), `restore` has the form of the x-amz-restore header.
    """

    url: str
    size: int | None
    etag: str | None = None
    version_id: str | None = None
    last_modified: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    accepts_ranges: bool | None = None
    storage_class: str | None = None
    declared: tuple[DeclaredDigest, ...] = ()
    headers: Headers = field(default_factory=Headers, repr=False)
    key: str | None = None
    is_prefix: bool = False
    is_latest: bool | None = None
    is_delete_marker: bool = False
    checksum_algorithms: tuple[str, ...] = ()
    checksum_type: str | None = None
    owner: str | None = None
    restore: str | None = None

    @property
    def modified(self) -> datetime | None:
        """`last_modified` as a time with its zone, from an HTTP date or, in listings, ISO 8601; None for neither."""
        return _moment(self.last_modified or "")

    @property
    def pin(self) -> Pin:
        """What every later answer must agree with."""
        return Pin(self.etag, self.version_id, self.last_modified, self.size, self.content_encoding)


@record
class Pin:
    """The identity that a download holds on to from its first answer to its last."""

    etag: str | None
    version_id: str | None
    last_modified: str | None
    size: int | None
    content_encoding: str | None = None
    match_form: MatchForm = MatchForm.AS_RECEIVED

    @property
    def is_strong(self) -> bool:
        """Whether the ETag names one content, whether or not the store takes it in If-Match."""
        return is_strong(self.etag)

    @property
    def if_match(self) -> str | None:
        """The value to send as If-Match, exactly as received unless the store wants it otherwise; None for none.

        There is none where the ETag is weak or missing, or where the store refuses its own.
        """
        if self.etag is None or not self.is_strong or self.match_form is MatchForm.NONE:
            return None
        return self.etag.strip('"') if self.match_form is MatchForm.UNQUOTED else self.etag

    def in_form(self, form: MatchForm | None) -> Pin:
        """The same pin, with the ETag as the store is known to accept it."""
        return self if form in (None, self.match_form) else replace(self, match_form=form)

    def loosened(self) -> Pin | None:
        """What to try where a store refuses an ETag that it has just sent; None when nothing is left to try."""
        if self.if_match is None:
            return None
        next_form = self.match_form.next
        has_quotes = self.etag is not None and self.etag.startswith('"')
        if next_form is MatchForm.UNQUOTED and not has_quotes:
            next_form = next_form.next
        return replace(self, match_form=next_form) if next_form else None

    def without_version(self) -> Pin:
        """The same pin for a caller who may read the object, but not by its version (wire-spec.md row 9)."""
        return replace(self, version_id=None)

    @property
    def can_be_combined(self) -> bool:
        """Whether ranges of several answers may be put together on this pin alone (RFC 9110 §15.3.7.3)."""
        return names_content(self.etag, self.version_id)


def _moment(text: str) -> datetime | None:
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        found = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
