"""Everything fastget raises, by meaning.

    FastgetError
     ├─ ConfigError              an option or argument that cannot be meant (also a ValueError)
     │   └─ InvalidURL           a URL that names no object
     ├─ SourceError              what the store answered; `reply` keeps its own words
     │   ├─ NotFound             there is no such object (or bucket, or version)
     │   ├─ ObjectDeleted        a delete marker stands where the object was
     │   ├─ AccessDenied         the store refuses this caller
     │   ├─ CredentialsError     no credentials, or ones that the store does not accept
     │   ├─ ObjectArchived       the object must be restored from its archive first
     │   │   └─ RestoreInProgress  it is being restored: try again later
     │   ├─ SourceChanged        the object is no longer the one that this download began with
     │   ├─ NotModified          the caller's own condition says that there is nothing to fetch
     │   ├─ RangeNotSupported    the server cannot serve the range that was asked for
     │   ├─ Throttled            the store asks for fewer requests, and went on asking
     │   └─ ServerError          any other refusal
     ├─ NetworkError             the way to the store failed (also a ConnectionError)
     │   ├─ Stalled              nothing arrived for too long (also a TimeoutError)
     │   └─ ProtocolError        the answer breaks HTTP, or lies about what it holds
     ├─ ChecksumMismatch         the bytes are not the ones that the store, or the caller, declared
     ├─ Unverifiable             verification was required, and nothing here can be verified against
     ├─ DestinationError         the file could not be made (also an OSError)
     │   └─ NoSpace              the disk, or the quota, is too small
     ├─ NoThreadError            the system has no thread for what cannot do without (also a RuntimeError)
     └─ Cancelled                the transfer was told to stop

All of them pickle, so that they cross process borders (data loaders, pools). No message holds a query string, a
key or a token: URLs in them are the redacted form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastget.records import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "AccessDenied",
    "Cancelled",
    "ChecksumMismatch",
    "ConfigError",
    "CredentialsError",
    "DestinationError",
    "FastgetError",
    "InvalidURL",
    "NetworkError",
    "NoSpace",
    "NoThreadError",
    "NotFound",
    "NotModified",
    "ObjectArchived",
    "ObjectDeleted",
    "ProtocolError",
    "RangeNotSupported",
    "RestoreInProgress",
    "ServerError",
    "ServerReply",
    "SourceChanged",
    "SourceError",
    "Stalled",
    "Throttled",
    "Unverifiable",
]


@frozen
class ServerReply:
    """What a server said when it refused: its status and its own words.

    `retry_after` is in seconds. `code`, `request_id` and `host_id` are those of S3 error documents and headers,
    `details` the further elements of the document that say what it is about (Condition, StorageClass,
    ActualObjectSize, …), as name and text.
    """

    status: int
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    host_id: str | None = None
    retry_after: float | None = None
    details: tuple[tuple[str, str], ...] = ()

    def detail(self, name: str) -> str | None:
        """The text of one of the details, or None."""
        return dict(self.details).get(name)


class FastgetError(Exception):
    """The root of the tree. `hint` says what to do about it, in one line."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        url: str | None = None,
        reply: ServerReply | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.url = url
        self.reply = reply

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))


def _rebuild(kind: type[FastgetError], message: str, state: dict[str, Any]) -> FastgetError:
    error = kind(message)
    error.__dict__.update(state)
    return error


class ConfigError(FastgetError, ValueError):
    """An option or argument cannot be what was meant."""


class InvalidURL(ConfigError):
    """The URL names no object that fastget can fetch."""


class SourceError(FastgetError):
    """The store answered, and its answer was no."""


class NotFound(SourceError):
    """There is no such object, bucket or version."""


class ObjectDeleted(SourceError):
    """A delete marker stands where the object was. `version_id` is the marker's, where the store names it."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        url: str | None = None,
        reply: ServerReply | None = None,
        version_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, url=url, reply=reply)
        self.version_id = version_id


class AccessDenied(SourceError):
    """The store refuses this caller."""


class CredentialsError(SourceError):
    """There are no credentials, or the store does not accept them."""


class ObjectArchived(SourceError):
    """The object lies in an archive and must be restored first.

    `storage_class` (GLACIER, DEEP_ARCHIVE, …) and `access_tier` (ARCHIVE_ACCESS, …) are what the store says of it.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        url: str | None = None,
        reply: ServerReply | None = None,
        storage_class: str | None = None,
        access_tier: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, url=url, reply=reply)
        self.storage_class = storage_class
        self.access_tier = access_tier


class RestoreInProgress(ObjectArchived):
    """The object is on its way out of its archive, which takes minutes to days."""


class SourceChanged(SourceError):
    """The object was replaced or deleted while it was being fetched."""


class NotModified(SourceError):
    """The caller's condition (If-None-Match, If-Modified-Since) says that there is nothing new."""


class RangeNotSupported(SourceError):
    """The server cannot serve the range that was asked for."""


class Throttled(SourceError):
    """The store asked for fewer requests until the retries were spent."""


class ServerError(SourceError):
    """The store failed, or refused for a reason with no class of its own."""


class NetworkError(FastgetError, ConnectionError):
    """The way to the server failed: name, address, connection, TLS, or an answer cut short.

    `is_transient` is False where asking again cannot help: an unknown name, a certificate that is not trusted.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        url: str | None = None,
        reply: ServerReply | None = None,
        is_transient: bool = True,
    ) -> None:
        super().__init__(message, hint=hint, url=url, reply=reply)
        self.is_transient = is_transient


class Stalled(NetworkError, TimeoutError):
    """Nothing arrived for longer than the stall timeout."""


class ProtocolError(NetworkError):
    """The answer breaks HTTP, or contradicts what was asked."""


class ChecksumMismatch(FastgetError):
    """The bytes that arrived are not the declared ones. Digests are in hex."""

    def __init__(
        self,
        message: str,
        *,
        algorithm: str | None = None,
        expected: str | None = None,
        actual: str | None = None,
        hint: str | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, url=url)
        self.algorithm = algorithm
        self.expected = expected
        self.actual = actual


class Unverifiable(FastgetError):
    """Verification was required, and the store declares nothing to verify against."""


class DestinationError(FastgetError, OSError):
    """The destination cannot be written. `path` is the file in question."""

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class NoSpace(DestinationError):
    """The disk or the quota is too small for the object."""


class NoThreadError(FastgetError, RuntimeError):
    """The system has no thread for what cannot be done without one; most can be done with fewer."""


class Cancelled(FastgetError):
    """The transfer was told to stop; nothing stands under the final name."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, then what it came from, and so on to the first of all."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
