"""What is known of an object: size, identity and declared digests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fastget.core.messages import Headers

if TYPE_CHECKING:
    from fastget.core.checksums.declared import DeclaredDigest


def is_strong(etag: str | None) -> bool:
    """Whether an ETag may be sent as If-Match: weak ones never match (RFC 9110 §8.8.3.2), empty ones name nothing."""
    return etag is not None and etag not in ("", '""', "*") and not etag.startswith(("W/", "w/"))


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Facts of an object, from a plain GET or HEAD that was answered 200; never from a 206 (wire-spec.md §0).

    `url` is the redacted form, `size` in bytes (None where the server does not say). `etag` is exactly as received,
    quotes included. `accepts_ranges` is None where the server says nothing about it. `headers` are all of the answer's.
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

    @property
    def pin(self) -> Pin:
        """What every later answer must agree with."""
        return Pin(self.etag, self.version_id, self.last_modified, self.size, self.content_encoding)


@dataclass(frozen=True, slots=True)
class Pin:
    """The identity that a download holds on to from its first answer to its last."""

    etag: str | None
    version_id: str | None
    last_modified: str | None
    size: int | None
    content_encoding: str | None = None

    @property
    def if_match(self) -> str | None:
        """The value to send as If-Match, exactly as received, or None where the ETag is weak or missing."""
        return self.etag if is_strong(self.etag) else None

    def without_version(self) -> Pin:
        """The same pin for a caller who may read the object, but not by its version (wire-spec.md row 9)."""
        return replace(self, version_id=None)

    @property
    def can_be_combined(self) -> bool:
        """Whether ranges of several answers may be put together on this pin alone (RFC 9110 §15.3.7.3).

        Every object of a bucket without versioning has the version "null": it names a place, not a content.
        """
        return is_strong(self.etag) or self.version_id not in (None, "null")
