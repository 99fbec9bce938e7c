"""Objects of S3 and of the stores that follow it, named as s3://bucket/key."""

from __future__ import annotations

import re
from dataclasses import field, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from fastget.config import ENCODING_HINT, is_text
from fastget.core.messages import Headers, Request, ResponseHead, is_secret
from fastget.errors import FastgetError, InvalidURL
from fastget.records import record
from fastget.sources import request_rules as rules
from fastget.sources.attributes import QUERY as ATTRIBUTES
from fastget.sources.attributes import attributes_headers
from fastget.sources.corrections import identity, may_refuse_token, refuses_credentials, region_named, time_named
from fastget.sources.descriptions import object_info
from fastget.sources.endpoints import BucketRoute, ObjectRequest, S3Endpoints
from fastget.sources.parameters import Parameters
from fastget.sources.protocol import Correction, StoreTraits
from fastget.sources.requests import plain_headers, plain_name, range_headers, with_user_headers
from fastget.sources.settings import S3Settings
from fastget.sources.stores import in_stored_coding, is_ibm, traits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.core.ranges import Span
    from fastget.sources.protocol import Source

# An access point's ARN holds slashes of its own; the key follows the slash after it (rows 111 - 114).
_ARN = re.compile(
    r"(arn:aws[^:/]*:(?:s3|s3-object-lambda):[a-z0-9-]*:[0-9]{12}:accesspoint[:/][^/:]+"
    r"|arn:aws[^:/]*:s3-outposts:[a-z0-9-]+:[0-9]{12}:outpost[:/][^/:]+[:/]accesspoint[:/][^/:]+)(?:/(.*))?",
    re.DOTALL,
)
# Endings of the names of directory buckets, and of access points to them (rows 95 and 111).
DIRECTORY_BUCKETS = ("--x-s3", "--xa-s3")


@record
class S3Source:
    """One object in one bucket. What a store has corrected (region, clock, credentials) is kept by `endpoints`."""

    bucket: str
    key: str
    settings: S3Settings
    endpoints: S3Endpoints = field(repr=False, compare=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    parameters: Parameters = field(default_factory=Parameters)

    @classmethod
    def of(cls, url: str, config: Config, endpoints: S3Endpoints | None = None) -> Self:
        """The object that an s3:// or cos:// URL names. The key stands as it is: nothing in it is an escape or a query.

        Raises InvalidURL when it lacks a bucket or a key, ConfigError for options that do not go with it.
        """
        bucket, key = parse_s3_url(url)
        store = url.partition("://")[0].lower()
        return cls.named(bucket, key, config, Parameters.of(config), endpoints, store)

    @classmethod
    def named(
        cls,
        bucket: str,
        key: str,
        config: Config,
        parameters: Parameters,
        endpoints: S3Endpoints | None = None,
        store: str = "s3",
    ) -> Self:
        """The object `key` in `bucket` (or behind an access point's ARN), asked for with `parameters`.

        Of `config`, only what concerns the account, the endpoint and the user's headers counts.
        Raises ConfigError for parameters that do not go together, or not with this bucket (wire-spec.md rows 97, 105).
        """
        settings = S3Settings.of(config, store)
        rules.check_conditions(parameters)
        rules.check_given_twice(parameters, config.headers)
        if not settings.is_unsigned:
            rules.check_signed_headers(config.headers)
        if config.no_sign_request:
            rules.check_unsigned(parameters)
        if bucket.endswith(DIRECTORY_BUCKETS):
            rules.check_directory_bucket(parameters)
        endpoints = endpoints or S3Endpoints()
        for name in ("request_payer", "expected_bucket_owner"):
            if getattr(parameters, name) is not None and settings.is_ibm:
                endpoints.say_once(f"IBM COS ignores {name}")  # wire-spec.md rows 19 and 20
        return cls(bucket, key, settings, endpoints, tuple(config.headers.items()), parameters)

    def beside(self, key: str) -> S3Source:
        """The object `key` in the same bucket, as the same caller would ask for it."""
        return S3Source(self.bucket, key, self.settings, self.endpoints, self.headers, self.parameters)

    @property
    def display_url(self) -> str:
        return _printable(f"{self.settings.store}://{self.bucket}/{self.key}")

    @property
    def filename(self) -> str:
        return plain_name(self.key.rpartition("/")[2])

    @property
    def store(self) -> str:
        # A profile may have an endpoint of its own.
        named = "s3" if self.settings.profile is None else f"s3, {self.settings.profile}"
        return f"{self.settings.endpoint_url or named}/{self.bucket}"

    @property
    def selection(self) -> str:
        return f"{self.settings.endpoint_url or 's3'}/{self.bucket}?{self.parameters.version_id or ''}"

    @property
    def answers_head(self) -> bool:
        return True

    def traits(self, info: ObjectInfo) -> StoreTraits:
        known = traits_of(info.headers, part_numbers=True)
        if self._is_transformed:
            return StoreTraits(full_status_ranges=True)
        # Directory buckets: the ETag is opaque (row 97).
        etag_is_md5 = known.etag_is_md5 and not self.bucket.endswith(DIRECTORY_BUCKETS)
        return replace(
            known,
            part_numbers=True,
            etag_is_md5=etag_is_md5,
            full_status_ranges=True,
            object_attributes=not (self.settings.is_ibm or is_ibm(info.headers)),
        )

    def get(self, span: Span | None = None, part_number: int | None = None, pin: Pin | None = None) -> Request:
        return self.request("GET", span.header if span is not None else None, part_number, pin)

    def head(self, part_number: int | None = None, pin: Pin | None = None) -> Request:
        return self.request("HEAD", None, part_number, pin)

    def request(
        self, method: str, range_header: str | None = None, part_number: int | None = None, pin: Pin | None = None
    ) -> Request:
        """GET or HEAD, with the text of a Range header as it stands.

        Raises ConfigError for a range with a part number, a part number that cannot be, a customer's key over plain
        http, and header fields of more than 8 KB.
        """
        given = self.parameters
        fields = (
            *plain_headers(),
            *range_headers(range_header, part_number, pin),
            *given.headers(pinned=pin is not None),
        )
        query = given.query(response=method == "GET" or not self.settings.is_ibm)
        if (version := self._version(pin)) is not None:
            query = (*query, ("versionId", version))
        if part_number is not None:
            query = (*query, ("partNumber", str(part_number)))
        headers = Headers(with_user_headers(fields, self.headers, pin))
        made = self._made(ObjectRequest(method, self.key, query, headers))
        if pin is None:
            rules.check_size(made)
        return made

    def attributes(self, after: int, pin: Pin) -> Request:
        # The key and the account of GetObject, and its version; none of its conditions, and no range.
        fields = (*plain_headers(), *attributes_headers(after), *self.parameters.headers(pinned=True))
        version = self._version(pin)
        query = (ATTRIBUTES,) if version is None else (ATTRIBUTES, ("versionId", version))
        headers = Headers(with_user_headers(fields, self.headers, pin))
        return self._made(ObjectRequest("GET", self.key, query, headers))

    def as_stored(self, head: ResponseHead) -> S3Source | None:
        headers = in_stored_coding(head, self.headers)
        return None if headers is None else replace(self, headers=headers)

    def without_checksums(self) -> S3Source | None:
        asks = self.parameters.checksum_mode is not None
        return replace(self, parameters=replace(self.parameters, checksum_mode=None)) if asks else None

    def describe(self, head: ResponseHead) -> ObjectInfo:
        url = self.display_url
        self.parameters.check_answer(head.headers, url)
        info = object_info(head, url, self._secrets())
        # What Object Lambda sends has passed through a function; the checksums are the original's (row 112).
        return replace(info, declared=()) if self._is_transformed else info

    def refusal(self, head: ResponseHead, body: bytes) -> FastgetError:
        from fastget.sources.refusals import refusal_error

        return refusal_error(head, body, self.display_url, self._secrets())

    def without_secrets(self, text: str) -> str:
        from fastget.sources.replies import safe_text

        return safe_text(text, self._secrets())

    def _secrets(self) -> tuple[str, ...]:
        given = tuple(value for name, value in self.headers if is_secret(name))
        key = self.settings.ibm_api_key_id
        api_key = () if key is None else (key,)
        return (*self.parameters.secrets, *given, *api_key, *self.endpoints.secrets(self.settings, self.bucket))

    def redirected(self, head: ResponseHead) -> S3Source | None:
        """None: S3 says where a bucket is by its region, never by an address that a signature would be sent to."""
        del head
        return None

    def keep_finding(self, find: Callable[[Source], Source]) -> None:
        """No redirect leads here."""

    def corrected(
        self, request: Request, head: ResponseHead, body: bytes, done: Collection[Correction] = ()
    ) -> Correction | None:
        ways = {
            Correction.REGION: self._corrected_region,
            Correction.CLOCK: self._corrected_clock,
            Correction.CREDENTIALS: self._corrected_credentials,
        }
        return next((kind for kind, way in ways.items() if kind not in done and way(request, head, body)), None)

    def _corrected_region(self, request: Request, head: ResponseHead, body: bytes) -> bool:
        region = region_named(head, body)
        if region is None or self.bucket.startswith("arn:"):
            return False
        route = self._route()  # before the question whether it is outdated: another thread may correct it in between
        if not self._is_outdated(request):
            if region == route.region:
                return False
            self.endpoints.remember_region(self.settings, self.bucket, region)
        return True

    def _corrected_clock(self, request: Request, head: ResponseHead, body: bytes) -> bool:
        theirs = time_named(request, head, body)
        if theirs is None or not self._route().can_sign_for_another_time:
            return False
        self.endpoints.remember_time(self.settings, theirs)
        return True

    def _corrected_credentials(self, request: Request, head: ResponseHead, body: bytes) -> bool:
        if self.settings.anonymous:
            return False
        is_certain = refuses_credentials(request, head, body)
        if not is_certain and (self.settings.token_endpoint is None or not may_refuse_token(request, head, body)):
            return False
        route = self._route()
        if not self._is_outdated(request):
            self.endpoints.renew(self.settings, route, request, self.display_url, is_certain=is_certain)
        return self._is_outdated(request)

    def _is_outdated(self, request: Request) -> bool:
        """Whether the same would now go to another place, or in another name: someone has corrected it already."""
        return identity(self.head()) != identity(request)

    @property
    def is_plain(self) -> bool:
        """Whether an answer can be judged by its own fields: no customer's key, function or opaque ETag has a say."""
        return not (self.parameters.secrets or self._is_transformed or self.bucket.endswith(DIRECTORY_BUCKETS))

    @property
    def _is_transformed(self) -> bool:
        return ":s3-object-lambda:" in self.bucket or self.bucket.endswith("--ol-s3")

    def _route(self) -> BucketRoute:
        return self.endpoints.route(self.settings, self.bucket, self.display_url)

    def _made(self, asked: ObjectRequest) -> Request:
        """The request for now, signed. Raises what `S3Endpoints.route` does, ConfigError for a key in the clear."""
        url = self.display_url
        route = self.endpoints.route(self.settings, self.bucket, url)
        made = route.request(asked, url, self.endpoints.skew(self.settings))
        rules.check_secrecy(made.url.origin, made.headers)
        return made

    def _version(self, pin: Pin | None) -> str | None:
        """The user's version, or the pinned one; whoever may not read by version asks again without (row 9)."""
        return self.parameters.version_id or (pin.version_id if pin else None)


def parse_s3_url(url: str) -> tuple[str, str]:
    """Bucket (or access point ARN) and key of an s3:// or cos:// URL.

    Raises InvalidURL when either is missing.
    """
    store, _, rest = url.partition("://")
    store = store.lower()
    match = _ARN.fullmatch(rest)
    bucket, key = (match[1], match[2]) if match is not None else rest.partition("/")[::2]
    if not bucket:
        raise InvalidURL("the URL names no bucket", hint=f"write it as {store}://bucket/key")
    if "@" in bucket or (":" in bucket and not bucket.startswith("arn:")):  # a password, maybe
        raise InvalidURL(
            "the bucket's name holds a colon or an @", hint=f"write it as {store}://bucket/key, without keys"
        )
    for what, text in (("bucket's name", bucket), ("key", key or "")):
        if not is_text(text):
            raise InvalidURL(f"the {what} cannot be written as UTF-8", hint=ENCODING_HINT)
    if not key:
        raise InvalidURL(
            f"{store}://{_printable(bucket)} names a bucket, not an object", hint=f"write it as {store}://bucket/key"
        )
    return bucket, key


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else quote(letter) for letter in text)
