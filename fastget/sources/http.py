"""Objects behind plain http and https URLs, presigned ones and public S3 objects among them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, unquote

from fastget.core.messages import Headers, Request, ResponseHead, is_secret
from fastget.errors import ConfigError, FastgetError, ProtocolError
from fastget.sources.descriptions import object_info
from fastget.sources.redirects import LONGEST_CHAIN, redirect_target, stays_with_origin
from fastget.sources.refusals import refusal_error
from fastget.sources.requests import plain_headers, plain_name, range_headers, with_user_headers
from fastget.sources.stores import traits_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.core.ranges import Span
    from fastget.core.urls import URL
    from fastget.sources.protocol import StoreTraits

CHECKSUM_MODE = "x-amz-checksum-mode"
_SHORTEST_TOKEN = 12


@dataclass(frozen=True, slots=True)
class HttpSource:
    """One object at one URL. `named` is the URL that the user gave, `hops` the redirects since then."""

    url: URL
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    named: URL | None = None
    hops: int = 0

    @classmethod
    def of(cls, url: URL, headers: Mapping[str, str]) -> Self:
        """The object at `url`, asked for with the user's headers; user info becomes Basic credentials.

        RFC 7617. An Authorization header of the user wins over the user info.
        """
        fields = tuple(headers.items())
        if url.userinfo is None or any(name.lower() == "authorization" for name, _ in fields):
            return cls(replace(url, userinfo=None), fields)
        token = b64encode(unquote(url.userinfo).encode()).decode("ascii")
        return cls(replace(url, userinfo=None), (*fields, ("Authorization", f"Basic {token}")))

    @property
    def display_url(self) -> str:
        return str(self.named or self.url)

    @property
    def filename(self) -> str:
        return plain_name((self.named or self.url).filename)

    def traits(self, info: ObjectInfo) -> StoreTraits:
        return traits_of(info.headers, part_numbers=not is_signed(self.url))

    def get(self, span: Span | None = None, part_number: int | None = None, pin: Pin | None = None) -> Request:
        extra: list[tuple[str, str]] = []
        if span is None and part_number is None and pin is None:
            extra.append(("Want-Repr-Digest", "sha-256=10, sha-512=5"))
        return self._request("GET", span, part_number, pin, extra)

    def head(self, part_number: int | None = None, pin: Pin | None = None) -> Request:
        return self._request("HEAD", None, part_number, pin, ())

    def describe(self, head: ResponseHead) -> ObjectInfo:
        return object_info(head, self.display_url)

    def refusal(self, head: ResponseHead, body: bytes) -> FastgetError:
        return refusal_error(head, body, self.display_url, self._secrets())

    def redirected(self, head: ResponseHead) -> HttpSource | None:
        target = redirect_target(head, self.url, self.display_url)
        if target is None:
            return None
        if self.hops >= LONGEST_CHAIN:
            raise ProtocolError(
                f"{self.display_url} redirects more than {LONGEST_CHAIN} times",
                hint="the server sends the request in a circle",
                url=self.display_url,
                is_transient=False,
            )
        same_origin = target.origin == self.url.origin
        headers = tuple(item for item in self.headers if same_origin or not stays_with_origin(item[0]))
        return HttpSource(replace(target, userinfo=None), headers, self.named or self.url, self.hops + 1)

    def _request(
        self,
        method: str,
        span: Span | None,
        part_number: int | None,
        pin: Pin | None,
        extra: Iterable[tuple[str, str]],
    ) -> Request:
        url = self.url if part_number is None else self._part_url(part_number)
        fields = [*plain_headers(), *extra, *range_headers(span, part_number, pin)]
        if _may_ask_for_checksums(self.url):
            fields.append((CHECKSUM_MODE, "ENABLED"))
        return Request(method, url, Headers(with_user_headers(fields, self.headers, pin)))

    def _part_url(self, part_number: int) -> URL:
        if is_signed(self.url):
            raise ConfigError(
                f"{self.display_url} is a signed URL, so that no part number can be added to it",
                hint="use split=range",
                url=self.display_url,
            )
        return self.url.with_query(f"partNumber={part_number}")

    def _secrets(self) -> tuple[str, ...]:
        values = [value for name, value in self.headers if is_secret(name)]
        if self.url.query:
            # Short values are no secrets, and words such as "host" would be struck out of every message.
            found = (value for _, value in _query_items(self.url))
            values += [self.url.query, *(value for value in found if len(value) >= _SHORTEST_TOKEN)]
        return tuple(values)


def is_signed(url: URL) -> bool:
    """Whether the query carries a signature, which covers the rest of it (wire-spec.md §5)."""
    names = (name.lower() for name, _ in _query_items(url))
    return any(name == "sig" or "signature" in name for name in names)


def _may_ask_for_checksums(url: URL) -> bool:
    # S3 refuses an x-amz- header that a signature does not cover; anyone else ignores this one.
    if not is_signed(url):
        return True
    signed = [value for name, value in _query_items(url) if name.lower() == "x-amz-signedheaders"]
    return any(CHECKSUM_MODE in value.lower().split(";") for value in signed)


def _query_items(url: URL) -> list[tuple[str, str]]:
    return parse_qsl(url.query or "", keep_blank_values=True)
