"""Objects of S3 and of the stores that follow it, named as s3://bucket/key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from fastget.core.messages import Headers, Request, ResponseHead, is_secret
from fastget.errors import FastgetError, InvalidURL
from fastget.sources.descriptions import object_info
from fastget.sources.endpoints import BucketRoute, ObjectRequest, S3Endpoints, S3Settings
from fastget.sources.protocol import StoreTraits
from fastget.sources.refusals import refusal_error
from fastget.sources.replies import http_date
from fastget.sources.requests import plain_headers, plain_name, range_headers, with_user_headers
from fastget.sources.stores import traits_of

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.core.ranges import Span

# An access point's ARN holds slashes of its own; the key follows the slash after it (rows 111 - 114).
_ARN = re.compile(
    r"(arn:aws[^:/]*:(?:s3|s3-object-lambda):[a-z0-9-]*:[0-9]{12}:accesspoint[:/][^/:]+"
    r"|arn:aws[^:/]*:s3-outposts:[a-z0-9-]+:[0-9]{12}:outpost[:/][^/:]+[:/]accesspoint[:/][^/:]+)(?:/(.*))?",
    re.DOTALL,
)
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z0-9]+){0,5}", re.ASCII)
_ELSEWHERE = frozenset({301, 302, 307, 400})
# S3 refuses signatures whose time is further than this from its own.
_LARGEST_SKEW = 15 * 60.0


@dataclass(frozen=True, slots=True)
class S3Source:
    """One object in one bucket. `region` and `skew` (seconds) are what the store has corrected."""

    bucket: str
    key: str
    settings: S3Settings
    endpoints: S3Endpoints = field(repr=False, compare=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    version_id: str | None = None
    request_payer: str | None = None
    expected_bucket_owner: str | None = None
    region: str | None = None
    skew: float = 0.0

    @classmethod
    def of(cls, url: str, config: Config, endpoints: S3Endpoints | None = None) -> Self:
        """The object that an s3:// URL names. The key stands as it is: nothing in it is an escape or a query.

        Raises InvalidURL when it lacks a bucket or a key.
        """
        bucket, key = parse_s3_url(url)
        return cls(
            bucket=bucket,
            key=key,
            settings=S3Settings.of(config),
            endpoints=endpoints or S3Endpoints(),
            headers=tuple(config.headers.items()),
            version_id=config.version_id,
            request_payer=config.request_payer,
            expected_bucket_owner=config.expected_bucket_owner,
        )

    @property
    def display_url(self) -> str:
        return f"s3://{_printable(self.bucket)}/{_printable(self.key)}"

    @property
    def filename(self) -> str:
        return plain_name(self.key.rpartition("/")[2])

    def traits(self, info: ObjectInfo) -> StoreTraits:
        known = traits_of(info.headers, part_numbers=True)
        if self._is_transformed:
            return StoreTraits(full_status_ranges=True)
        # Directory buckets: the ETag is opaque (row 97).
        etag_is_md5 = known.etag_is_md5 and not self.bucket.endswith("--x-s3")
        return StoreTraits(part_numbers=True, etag_is_md5=etag_is_md5, full_status_ranges=True)

    def get(self, span: Span | None = None, part_number: int | None = None, pin: Pin | None = None) -> Request:
        return self._request("GET", span, part_number, pin)

    def head(self, part_number: int | None = None, pin: Pin | None = None) -> Request:
        return self._request("HEAD", None, part_number, pin)

    def describe(self, head: ResponseHead) -> ObjectInfo:
        info = object_info(head, self.display_url)
        # What Object Lambda sends has passed through a function; the checksums are the original's (row 112).
        return replace(info, declared=()) if self._is_transformed else info

    def refusal(self, head: ResponseHead, body: bytes) -> FastgetError:
        secrets = [value for name, value in self.headers if is_secret(name)]
        return refusal_error(head, body, self.display_url, secrets)

    def redirected(self, head: ResponseHead) -> S3Source | None:
        """The source signed for the region, or at the time, that the store corrects it to; each of them once.

        To be asked of every answer outside 2xx: stores say so with 301, 307, 400 (row 89) and 403 (row 92).
        """
        return self._in_other_region(head) or self._at_other_time(head)

    def _in_other_region(self, head: ResponseHead) -> S3Source | None:
        region = (head.headers.get("x-amz-bucket-region") or "").strip()
        if head.status not in _ELSEWHERE or self.region is not None or not _REGION.fullmatch(region):
            return None
        if self.bucket.startswith("arn:") or region == self._route().region:
            return None
        self.endpoints.remember_region(self.settings, self.bucket, region)
        return replace(self, region=region)

    def _at_other_time(self, head: ResponseHead) -> S3Source | None:
        if head.status != 403 or self.skew or self.settings.anonymous:
            return None
        theirs = http_date(head.headers.get("date"))
        skew = (theirs - datetime.now(UTC)).total_seconds() if theirs is not None else 0.0
        return replace(self, skew=skew) if abs(skew) > _LARGEST_SKEW else None

    @property
    def _is_transformed(self) -> bool:
        return ":s3-object-lambda:" in self.bucket or self.bucket.endswith("--ol-s3")

    def _route(self) -> BucketRoute:
        return self.endpoints.route(self.settings, self.bucket, self.region, self.display_url)

    def _request(self, method: str, span: Span | None, part_number: int | None, pin: Pin | None) -> Request:
        fields = [
            *plain_headers(),
            *range_headers(span, part_number, pin),
            ("x-amz-checksum-mode", "ENABLED"),
            *self._optional(("x-amz-request-payer", self.request_payer)),
            *self._optional(("x-amz-expected-bucket-owner", self.expected_bucket_owner)),
        ]
        query = [
            *self._optional(("versionId", self._version(pin))),
            *self._optional(("partNumber", str(part_number) if part_number is not None else None)),
        ]
        headers = Headers(with_user_headers(fields, self.headers, pin))
        asked = ObjectRequest(method, self.key, tuple(query), headers)
        return self._route().request(asked, self.display_url, self.skew)

    def _version(self, pin: Pin | None) -> str | None:
        """The user's version, or the pinned one; whoever may not read by version asks again without (row 9)."""
        return self.version_id or (pin.version_id if pin else None)

    @staticmethod
    def _optional(item: tuple[str, str | None]) -> list[tuple[str, str]]:
        name, value = item
        return [] if value is None else [(name, value)]


def parse_s3_url(url: str) -> tuple[str, str]:
    """Bucket (or access point ARN) and key of an s3:// URL.

    Raises InvalidURL when either is missing.
    """
    rest = url.partition("://")[2]
    match = _ARN.fullmatch(rest)
    bucket, key = (match[1], match[2]) if match is not None else rest.partition("/")[::2]
    if not bucket:
        raise InvalidURL("the URL names no bucket", hint="write it as s3://bucket/key")
    if "@" in bucket or (":" in bucket and not bucket.startswith("arn:")):  # a password, maybe
        raise InvalidURL("the bucket's name holds a colon or an @", hint="write it as s3://bucket/key, without keys")
    if not key:
        raise InvalidURL(f"s3://{_printable(bucket)} names a bucket, not an object", hint="write it as s3://bucket/key")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise InvalidURL("the key cannot be written as UTF-8", hint="check the encoding of the terminal") from None
    return bucket, key


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else quote(letter) for letter in text)
