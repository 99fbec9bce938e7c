"""Errors by meaning: what a status outside 2xx and its body say (wire-spec.md §1c, rows 74 - 92)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastget.errors import (
    AccessDenied,
    CredentialsError,
    FastgetError,
    NotFound,
    NotModified,
    ObjectArchived,
    ObjectDeleted,
    RangeNotSupported,
    ServerError,
    ServerReply,
    SourceChanged,
    SourceError,
    Throttled,
)
from fastget.sources.replies import server_reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastget.core.messages import Headers, ResponseHead


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: type[SourceError]
    says: str
    hint: str | None = None


_MISSING = _Meaning(NotFound, "there is no such object", "check the spelling; keys and paths are case-sensitive")
_DELETED = _Meaning(
    ObjectDeleted,
    "the object was deleted: a delete marker stands in its place",
    "ask for an earlier version_id",
)
_DENIED = _Meaning(
    AccessDenied,
    "access is denied",
    "denied, or missing: a store tells which only to those who may list; check key and permissions",
)
_UNAUTHORIZED = _Meaning(
    CredentialsError,
    "the server asks for credentials",
    "give an Authorization header, or user and password in the URL",
)
_BAD_KEY = _Meaning(CredentialsError, "the access key is not accepted", "check the credentials, profile and endpoint")
_EXPIRED = _Meaning(CredentialsError, "the credentials have expired", "get new ones, then run the same again")
_EXPIRED_URL = _Meaning(CredentialsError, "the signed URL has expired", "get a new one, then run the same again")
_SKEWED = _Meaning(CredentialsError, "this machine's clock is too far from the store's", "set the clock")
_CHANGED = _Meaning(
    SourceChanged, "the object is no longer the one that was asked for", "start again to fetch the new one"
)
_BUSY = _Meaning(Throttled, "the server asks for fewer requests", "try later, or with fewer connections")
_RANGE = _Meaning(RangeNotSupported, "the server cannot serve the range that was asked for")
_FAILED = _Meaning(ServerError, "the server failed", "try again later")
_REFUSED = _Meaning(ServerError, "the server refused the request")

_BY_CODE = {
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _Meaning(AccessDenied, "there is a problem with the account", "ask the store's support"),
    "AuthorizationHeaderMalformed": _Meaning(
        CredentialsError, "the request was signed for another region or service", "set region to the bucket's"
    ),
    "AuthorizationQueryParametersError": _Meaning(CredentialsError, "the signed URL is not valid", "get a new one"),
    "BandwidthLimitExceeded": _BUSY,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidAccessKeyId": _BAD_KEY,
    "InvalidObjectState": _Meaning(
        ObjectArchived,
        "the object lies in an archive",
        "restore it first (S3 RestoreObject), then run the same again",
    ),
    "InvalidPartNumber": _RANGE,
    "InvalidRange": _RANGE,
    "InvalidSecurity": _BAD_KEY,
    "InvalidToken": _BAD_KEY,
    "NoSuchBucket": _Meaning(
        NotFound, "there is no such bucket", "check the bucket's name, the region and endpoint_url"
    ),
    "NoSuchKey": _MISSING,
    "NoSuchVersion": _Meaning(NotFound, "there is no such version of the object", "check version_id"),
    "PreconditionFailed": _CHANGED,
    "RequestExpired": _EXPIRED_URL,
    "RequestLimitExceeded": _BUSY,
    "RequestTimeTooSkewed": _SKEWED,
    "SignatureDoesNotMatch": _Meaning(
        CredentialsError,
        "the signature is not accepted",
        "check the secret key and region; send a signed URL unchanged",
    ),
    "SlowDown": _BUSY,
    "SlowDownRead": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "TokenRefreshRequired": _EXPIRED,
    "TooManyRequests": _BUSY,
}

_BY_STATUS = {
    304: _Meaning(NotModified, "it has not changed since the version that was named"),
    401: _UNAUTHORIZED,
    403: _DENIED,
    404: _MISSING,
    407: _Meaning(CredentialsError, "the proxy asks for credentials", "give user and password in the proxy URL"),
    410: _Meaning(NotFound, "the object is gone for good"),
    412: _CHANGED,
    416: _RANGE,
    429: _BUSY,
    451: _Meaning(AccessDenied, "the server may not serve it, for legal reasons"),
    503: _BUSY,
}


def refusal_error(head: ResponseHead, body: bytes, display_url: str, secrets: Iterable[str] = ()) -> FastgetError:
    """The error that an answer outside 2xx means, with the server's own words in `reply`.

    `body` is the start of the answer's body, at most 64 KiB of it count. None of `secrets` is repeated.
    """
    return error_of_reply(head, server_reply(head, body, secrets), display_url)


def error_of_reply(head: ResponseHead, reply: ServerReply, display_url: str) -> FastgetError:
    """The same, for a reply that has been read already."""
    meaning = _meaning(head, reply)
    return meaning.kind(
        f"{display_url}: {meaning.says} ({_own_words(head, reply)})",
        hint=_region_hint(head.headers) or meaning.hint,
        url=display_url,
        reply=reply,
    )


def _meaning(head: ResponseHead, reply: ServerReply) -> _Meaning:
    if head.status in (404, 405) and (head.headers.get("x-amz-delete-marker") or "").strip().lower() == "true":
        return _DELETED
    if head.status == 403 and "expired" in (reply.message or "").lower() and reply.code in (None, "AccessDenied"):
        return _EXPIRED_URL
    known = _BY_CODE.get(reply.code or "") if head.status >= 400 else None
    return known or _BY_STATUS.get(head.status) or _by_class(head)


def _by_class(head: ResponseHead) -> _Meaning:
    if head.status >= 500:
        return _FAILED
    if head.status >= 400:
        return _REFUSED
    return _Meaning(ServerError, "the answer is a redirect that cannot be followed", "check the URL and the region")


def _region_hint(headers: Headers) -> str | None:
    """A bucket that lives in another region says in which (wire-spec.md row 89)."""
    region = headers.get("x-amz-bucket-region")
    moved = region is not None and region.replace("-", "").isalnum() and region.isascii() and len(region) < 64
    return f"the bucket is in {region}: set region to it" if moved else None


def _own_words(head: ResponseHead, reply: ServerReply) -> str:
    words = reply.code or _standard_phrase(head.status)
    named = f"{head.status} {words}".rstrip()
    return f"{named}: {reply.message}" if reply.message else named


def _standard_phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
