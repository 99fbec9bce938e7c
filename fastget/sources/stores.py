"""Which store an answer comes from, told by its header fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.sources.protocol import StoreTraits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastget.core.messages import Headers, ResponseHead

# Sent by every S3 and by the stores that follow it (wire-spec.md §1b).
_S3_FIELDS = ("x-amz-request-id", "x-amz-checksum-type", "x-amz-version-id")
_ACCEPT_ENCODING = "accept-encoding"
_ENCRYPTION = "x-amz-server-side-encryption"
_CUSTOMER_KEY_FIELDS = (f"{_ENCRYPTION}-customer-algorithm", f"{_ENCRYPTION}-customer-key-md5")


def looks_like_s3(headers: Headers) -> bool:
    """Whether a store with the S3 interface has answered."""
    return _is_amazon(headers) or any(name in headers for name in _S3_FIELDS)


def is_object_store(headers: Headers) -> bool:
    """Whether an object store has answered: one made for many requests at once."""
    return looks_like_s3(headers) or "x-goog-hash" in headers


def traits_of(headers: Headers, *, part_numbers: bool) -> StoreTraits:
    """What the store behind an answer with these fields is known to do.

    `part_numbers` says whether a partNumber may be added to the request at all (not to a signed URL).
    """
    is_s3 = looks_like_s3(headers)
    is_other = not _is_amazon(headers)
    return StoreTraits(
        part_numbers=part_numbers and is_s3,
        etag_is_md5=_etag_is_md5(headers),
        full_status_ranges=is_s3,
        etag_may_look_like_md5=is_other,
        may_refuse_its_etag=is_other,
    )


def is_transcoded(headers: Headers) -> bool:
    """Whether GCS inflates a stored gzip object on its way: ranges, size and digests are then of other bytes.

    wire-spec.md §4, decompressive transcoding.
    """
    stored = headers.get("x-goog-stored-content-encoding") or ""
    return "gzip" in stored.lower() and "gzip" not in (headers.get("content-encoding") or "").lower()


def in_stored_coding(head: ResponseHead, user: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...] | None:
    """The user's headers with what keeps GCS from inflating; None where it does not, or the user has decided."""
    fields = tuple(user)
    if not is_transcoded(head.headers) or any(name.lower() == _ACCEPT_ENCODING for name, _ in fields):
        return None
    return (*fields, (_ACCEPT_ENCODING, "gzip"))


def _is_amazon(headers: Headers) -> bool:
    return (headers.get("server") or "").startswith("AmazonS3")


def _etag_is_md5(headers: Headers) -> bool:
    """wire-spec.md §2.6: not with KMS or a customer's key, in directory buckets, or on an encrypted COS."""
    if not _is_amazon(headers) and "x-amz-request-id" not in headers:
        return False
    encryption = headers.get(_ENCRYPTION)
    if encryption not in (None, "AES256") or any(name in headers for name in _CUSTOMER_KEY_FIELDS):
        return False
    if (headers.get("x-amz-storage-class") or "").startswith("EXPRESS_"):
        return False
    return not (is_ibm(headers) and _is_encrypted_by_ibm(headers))


def is_ibm(headers: Headers) -> bool:
    names = "\n" + "\n".join(headers.names())
    return "\nx-clv-" in names or "\nibm-" in names


def _is_encrypted_by_ibm(headers: Headers) -> bool:
    key_protect = (headers.get("ibm-sse-kp-enabled") or "false").strip().lower()
    return _ENCRYPTION in headers or key_protect != "false"
