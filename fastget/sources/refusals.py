"""Errors by meaning: what a status outside 2xx and its body say (wire-spec.md §1c, rows 74 - 92)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastget.errors import (
    AccessDenied,
    CredentialsError,
    FastgetError,
    NotFound,
    NotModified,
    ObjectArchived,
    ObjectDeleted,
    ProtocolError,
    RangeNotSupported,
    ServerError,
    ServerReply,
    SourceChanged,
    SourceError,
    Throttled,
)
from fastget.records import record
from fastget.sources.archives import RESTORE_HINT
from fastget.sources.corrections import ELSEWHERE
from fastget.sources.replies import safe_text, server_reply
from fastget.sources.settings import REGION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from fastget.core.messages import Headers, ResponseHead


@record
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
    "give an Authorization header, or user and password in the URL; if one was given, check it",
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
_NO_PART = _Meaning(RangeNotSupported, "the object has no part of that number")
_KMS = _Meaning(
    AccessDenied,
    "the KMS key that encrypts the object may not be used",
    "reading it takes kms:Decrypt on its key; ask the key's owner, or use other credentials",
)
_NO_KEY = _Meaning(
    AccessDenied,
    "the object is encrypted with a customer's key (SSE-C)",
    "give the key that it was stored with as sse_c_key",
)
_FAILED = _Meaning(ServerError, "the server failed", "try again later")
_REFUSED = _Meaning(ServerError, "the server refused the request")
_UNKNOWN = _Meaning(
    ServerError,
    "the server does not know what was asked of it",
    "leave out options that it may not have: versions, conditions and encryption are not for every store",
)
_SPEAKS_TLS = _Meaning(
    ServerError, "the server speaks TLS on that port", "write https:// instead of http://, in endpoint_url as well"
)

_CONDITIONS = ("If-Match", "If-Unmodified-Since")
_VALIDATORS = ("If-None-Match", "If-Modified-Since")
_KMS_WORDS = re.compile(r"\bkms\b|kms:|ciphertext refers to a customer master key", re.IGNORECASE)
# nginx, Go (MinIO, rclone) and Apache to one who speaks plain HTTP where they speak TLS.
_SPEAKS_TLS_WORDS = re.compile(
    rb"plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|plain HTTP to an SSL-enabled"
)
_SSE_C_WORDS = re.compile(
    r"stored using a form of server side encryption|requires.*customer.*encryption key", re.IGNORECASE
)

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
        RESTORE_HINT,
    ),
    "InvalidPart": _NO_PART,
    "InvalidPartNumber": _NO_PART,
    "InvalidRange": _RANGE,
    "InvalidSecurity": _BAD_KEY,
    "InvalidToken": _BAD_KEY,
    "KMS.ThrottlingException": _BUSY,
    "NoSuchBucket": _Meaning(
        NotFound, "there is no such bucket", "check the bucket's name, the region and endpoint_url"
    ),
    "NoSuchKey": _MISSING,
    "NoSuchVersion": _Meaning(NotFound, "there is no such version of the object", "check version_id"),
    "PreconditionFailed": _CHANGED,
    "RequestExpired": _EXPIRED_URL,
    "RequestLimitExceeded": _BUSY,
    "RequestThrottled": _BUSY,
    "RequestThrottledException": _BUSY,
    "RequestTimeTooSkewed": _SKEWED,
    "SignatureDoesNotMatch": _Meaning(
        CredentialsError,
        "the signature is not accepted",
        "check the secret key and region; send a signed URL unchanged",
    ),
    "SlowDown": _BUSY,
    "SlowDownRead": _BUSY,
    "ThrottledException": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "TokenRefreshRequired": _EXPIRED,
    "TooManyRequests": _BUSY,
    "TooManyRequestsException": _BUSY,
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
    501: _UNKNOWN,
    503: _BUSY,
    529: _BUSY,  # "site is overloaded", of no RFC
}


def refusal_error(head: ResponseHead, body: bytes, display_url: str, secrets: Iterable[str] = ()) -> FastgetError:
    """The error that an answer outside 2xx means, with the server's own words in `reply`.

    `body` is the start of the answer's body, at most 64 KiB of it count. None of `secrets` is repeated.
    """
    known = tuple(secrets)
    meaning = _SPEAKS_TLS if head.status == 400 and _SPEAKS_TLS_WORDS.search(body) else None
    return _error(head, server_reply(head, body, known), display_url, known, meaning)


def error_of_reply(head: ResponseHead, reply: ServerReply, display_url: str) -> FastgetError:
    """The same, for a reply that has been read already."""
    return _error(head, reply, display_url, ())


def _error(
    head: ResponseHead, reply: ServerReply, display_url: str, secrets: Iterable[str], meaning: _Meaning | None = None
) -> FastgetError:
    meaning = meaning or _meaning(head, reply)
    if meaning is _EXPIRED_URL and display_url.startswith(("s3://", "cos://")):
        meaning = _EXPIRED
    facts, more = _facts(head, reply, meaning.kind, secrets)
    return meaning.kind(
        f"{display_url}: {meaning.says}{more} ({_own_words(head, reply)})",
        hint=_region_hint(head, secrets) or meaning.hint,
        url=display_url,
        reply=reply,
        **facts,
    )


def explained(error: FastgetError, headers: Headers) -> FastgetError:
    """The refusal of a first request, in the light of what the caller asked for: `headers` are the request's."""
    if isinstance(error, SourceChanged) and (given := [name for name in _CONDITIONS if name in headers]):
        return _own_condition(error, given)
    if isinstance(error, NotModified) and not any(name in headers for name in _VALIDATORS):
        return ProtocolError(
            f"{error.url}: status 304 answers a request without a condition",
            hint="a cache on the way is broken, perhaps: try without it",
            url=error.url,
            reply=error.reply,
            is_transient=False,
        )
    if type(error) is AccessDenied and "x-amz-expected-bucket-owner" in headers and not is_about_kms(error):
        error.hint = f"the bucket may belong to another account than expected_bucket_owner; {error.hint}"
    return error


def _own_condition(error: SourceChanged, given: Collection[str]) -> SourceChanged:
    """412 to a first request: nothing has changed, but a condition of the caller's own does not hold (row 82)."""
    reply = error.reply
    named = (reply.detail("Condition") if reply else None) or " or ".join(given)
    words = f" ({reply.status} {reply.code or _standard_phrase(reply.status)})" if reply else ""
    return SourceChanged(
        f"{error.url}: the condition {named} that was given does not hold{words}",
        hint="the object there is another one than the condition names; without it, fastget fetches what is there",
        url=error.url,
        reply=reply,
    )


def is_about_kms(error: FastgetError) -> bool:
    """Whether a refusal is about the key that encrypts the object (wire-spec.md row 103)."""
    reply = error.reply
    return reply is not None and _names_kms(reply)


def _names_kms(reply: ServerReply) -> bool:
    return (reply.code or "").startswith("KMS.") or _KMS_WORDS.search(reply.message or "") is not None


def _facts(
    head: ResponseHead, reply: ServerReply, kind: type[SourceError], secrets: Iterable[str]
) -> tuple[dict[str, Any], str]:
    """What an error of this kind keeps beside its reply, and what it adds to the sentence."""
    if kind is ObjectArchived:
        storage_class, tier = reply.detail("StorageClass"), reply.detail("AccessTier")
        where = ", ".join(filter(None, (storage_class, tier)))
        return {"storage_class": storage_class, "access_tier": tier}, f": {where}" if where else ""
    if kind is ObjectDeleted:
        version = safe_text(head.headers.get("x-amz-version-id") or "", secrets) or reply.detail("VersionId")
        return {"version_id": version}, f" (version {version})" if version else ""
    if kind is RangeNotSupported:
        size, parts = reply.detail("ActualObjectSize"), reply.detail("ActualPartCount")
        if parts is not None:
            return {}, f": it has {parts}"
        return {}, f": the object has {size} bytes" if size is not None else ""
    return {}, ""


def _meaning(head: ResponseHead, reply: ServerReply) -> _Meaning:
    is_marker = (head.headers.get("x-amz-delete-marker") or "").strip().lower() == "true"
    if head.status in (404, 405) and (is_marker or reply.detail("ResourceType") == "DeleteMarker"):
        return _DELETED
    known = _BY_CODE.get(reply.code or "") if head.status >= 400 else None
    if known is _BUSY:
        return _BUSY  # of KMS as well, whose calls have a rate of their own
    if head.status in (400, 403) and _names_kms(reply):
        return _KMS
    if head.status == 400 and _SSE_C_WORDS.search(reply.message or ""):
        return _NO_KEY
    if head.status == 403 and "expired" in (reply.message or "").lower() and reply.code in (None, "AccessDenied"):
        return _EXPIRED_URL
    return known or _BY_STATUS.get(head.status) or _by_class(head)


def _by_class(head: ResponseHead) -> _Meaning:
    if head.status >= 500:
        return _FAILED
    if head.status >= 400:
        return _REFUSED
    return _Meaning(ServerError, "the answer is a redirect that cannot be followed", "check the URL and the region")


def _region_hint(head: ResponseHead, secrets: Iterable[str]) -> str | None:
    """A bucket that lives in another region says in which (wire-spec.md row 89). With 403 it may be the right one."""
    region = (head.headers.get("x-amz-bucket-region") or "") if head.status in ELSEWHERE else ""
    is_one = REGION.fullmatch(region) is not None and safe_text(region, secrets) == region
    return f"the bucket is in {region}: set region to it" if is_one else None


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
