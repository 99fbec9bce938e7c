"""Objects behind plain http and https URLs, presigned ones and public S3 objects among them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import parse_qsl, unquote

from fastget.core.messages import Headers, Request, ResponseHead, is_secret
from fastget.core.urls import URL
from fastget.errors import AccessDenied, ConfigError, CredentialsError, FastgetError, ProtocolError
from fastget.records import record
from fastget.sources import request_rules as rules
from fastget.sources.attributes import QUERY as ATTRIBUTES
from fastget.sources.attributes import attributes_headers
from fastget.sources.descriptions import object_info
from fastget.sources.presigned import Signature, signature_of
from fastget.sources.protocol import Correction
from fastget.sources.redirects import LONGEST_CHAIN, redirect_target, stays_with_origin
from fastget.sources.requests import plain_headers, plain_name, range_headers, with_user_headers
from fastget.sources.stores import in_stored_coding, traits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.core.ranges import Span
    from fastget.sources.links import Link
    from fastget.sources.parameters import Parameters
    from fastget.sources.protocol import Source, StoreTraits
    from fastget.sources.trails import Trail

CHECKSUM_MODE = "x-amz-checksum-mode"
NEW_URL_HINT = "get a new one, then run the same again; from Python, refresh_url can do it"
# An end as near as this is worth a warning.
SOON = timedelta(minutes=5)
_SHORTEST_TOKEN = 12
# What a first request asks for beside the object itself (RFC 9530 §4).
_WANTED = ("Want-Repr-Digest", "sha-256=10, sha-512=5")
_CHECKSUMS = (CHECKSUM_MODE, "ENABLED")
# The fields of first requests, GET and HEAD, to which nobody adds any: lists name thousands of such URLs.
_FIRST = Headers((*plain_headers(), _WANTED, _CHECKSUMS))
_FIRST_HEAD = Headers((*plain_headers(), _CHECKSUMS))


@record
class HttpSource:
    """One object at one URL. `named` is the URL that the user gave, `hops` the redirects since then.

    `is_confined`: one of those came from the open internet, so that none may lead into a private network.
    """

    url: URL
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    named: URL | None = None
    hops: int = 0
    conditions: tuple[tuple[str, str], ...] = ()
    is_confined: bool = False
    link: Link | None = field(default=None, repr=False, compare=False)
    """Where the URL in force comes from, if it can be renewed."""
    trail: Trail | None = field(default=None, repr=False, compare=False)
    """The redirects that have led here, if any have."""

    @classmethod
    def of(
        cls,
        url: URL,
        headers: Mapping[str, str],
        parameters: Parameters | None = None,
        refresh: Callable[[str], str] | None = None,
    ) -> Self:
        """The object at `url`, asked for with the user's headers; user info becomes Basic credentials.

        RFC 7617. An Authorization header of the user wins over the user info. Of the parameters, the conditions count
        (RFC 9110 §13). `refresh` gives a new URL in the place of a signed one that has ended.
        Raises ConfigError for ones that contradict each other, or a customer's key over plain http.
        """
        fields = tuple(headers.items())
        rules.check_secrecy(url.origin, fields)
        conditions: tuple[tuple[str, str], ...] = ()
        if parameters is not None:
            rules.check_conditions(parameters)
            rules.check_given_twice(parameters, headers)
            conditions = parameters.conditions
        if url.userinfo is not None and not any(name.lower() == "authorization" for name, _ in fields):
            user, _, password = url.userinfo.partition(":")
            token = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode("ascii")
            fields = (*fields, ("Authorization", f"Basic {token}"))
        url = replace(url, userinfo=None)
        if refresh is None:
            return cls(url, fields, conditions=conditions)
        from fastget.sources.links import Link

        return cls(url, fields, conditions=conditions, link=Link(url, refresh))

    def beside(self, path: str) -> HttpSource:
        """The object at this path of the same server, as the same caller would ask for it, from the beginning."""
        return HttpSource(URL(self.url.origin, path), self.headers, conditions=self.conditions)

    @property
    def display_url(self) -> str:
        return str(self.named or self.url)

    @property
    def filename(self) -> str:
        return plain_name((self.named or self.url).filename)

    @property
    def store(self) -> str:
        # Where buckets are part of the path, it is the first folder that names them.
        return f"{self.url.origin}/{self.url.path.split('/', 2)[1]}"

    @property
    def selection(self) -> str:
        return (self.named or self.url).query or ""

    @property
    def answers_head(self) -> bool:
        return signature_of(self.url) is None

    def traits(self, info: ObjectInfo) -> StoreTraits:
        return traits_of(info.headers, part_numbers=signature_of(self.url) is None)

    def get(self, span: Span | None = None, part_number: int | None = None, pin: Pin | None = None) -> Request:
        if span is not None or part_number is not None or pin is not None:
            return self._request("GET", span, part_number, pin, ())
        if self._is_bare:
            return Request("GET", self.url, _FIRST, self.is_confined)
        self._warn_of_end()
        return self._request("GET", None, None, None, (_WANTED,))

    def head(self, part_number: int | None = None, pin: Pin | None = None) -> Request:
        if self._is_bare and part_number is None and pin is None:
            return Request("HEAD", self.url, _FIRST_HEAD, self.is_confined)
        return self._request("HEAD", None, part_number, pin, ())

    def attributes(self, after: int, pin: Pin) -> Request:
        now = self._now
        fields = [*plain_headers(), *attributes_headers(after)]
        headers = Headers(with_user_headers(fields, now.headers, pin))
        return Request("GET", now.url.with_query(ATTRIBUTES[0]), headers, now.is_confined)

    def as_stored(self, head: ResponseHead) -> HttpSource | None:
        headers = in_stored_coding(head, self.headers)
        if headers is None:
            return None
        first = self.trail.first.as_stored(head) if self.trail is not None else None
        return replace(self, headers=headers, trail=_trail_from(first) if first is not None else None)

    def without_checksums(self) -> HttpSource | None:
        return None

    def describe(self, head: ResponseHead) -> ObjectInfo:
        return object_info(head, self.display_url, () if self._is_bare else self._named_secrets())

    def refusal(self, head: ResponseHead, body: bytes) -> FastgetError:
        from fastget.sources.refusals import refusal_error
        from fastget.sources.replies import http_date

        error = refusal_error(head, body, self.display_url, self._secrets())
        signature = signature_of(self.at)
        now = http_date(head.headers.get("date")) or datetime.now(UTC)
        if isinstance(error, CredentialsError | AccessDenied) and signature is not None and signature.has_expired(now):
            hint = NEW_URL_HINT if self.trail is None else "run the same again, and the redirect names another"
            error.hint = f"it was good until {_readable(signature)}: {hint}"
        return error

    def without_secrets(self, text: str) -> str:
        from fastget.sources.replies import safe_text

        return safe_text(text, self._secrets())

    def redirected(self, head: ResponseHead) -> HttpSource | None:
        target = redirect_target(head, self.url, self.display_url, self.without_secrets)
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
        return replace(
            self,
            url=replace(target, userinfo=None),
            headers=headers,
            named=self.named or self.url,
            hops=self.hops + 1,
            is_confined=self.is_confined or head.is_from_public,
            link=None,
            trail=self.trail or _trail_from(self),
        )

    def keep_finding(self, find: Callable[[Source], Source]) -> None:
        if self.trail is not None:
            self.trail.keep(self, cast("Callable[[HttpSource], HttpSource]", find))

    def corrected(
        self, request: Request, head: ResponseHead, body: bytes, done: Collection[Correction] = ()
    ) -> Correction | None:
        """A signed URL that has ended is renewed by the caller's own function (faults.md H38), one that a redirect
        has named by asking for that again (wire-spec.md §4).
        """
        if self.trail is not None:
            is_over = Correction.PLACE not in done and request.method == "GET" and self._has_gone(head, body)
            return Correction.PLACE if is_over and self.trail.follow_again(request.url) else None
        if self.link is None or Correction.CREDENTIALS in done or head.status not in (400, 401, 403):
            return None
        if self.link.url == request.url and not self._has_ended(head, body):
            return None
        return Correction.CREDENTIALS if self.link.renew(request.url) else None

    def _has_ended(self, head: ResponseHead, body: bytes) -> bool:
        from fastget.sources.replies import http_date, server_reply

        reply = server_reply(head, body, self._secrets())
        if "expired" in f"{reply.code} {reply.message}".lower():
            return True
        signature = signature_of(self.at)
        if signature is None or signature.expires is None:
            return head.status != 400
        return signature.has_expired(http_date(head.headers.get("date")) or datetime.now(UTC))

    def _has_gone(self, head: ResponseHead, body: bytes) -> bool:
        """Whether the place of a redirect is not the object's any more; 400 is what some say to a signature's end."""
        return head.status in (401, 403, 410) or (head.status == 400 and self._has_ended(head, body))

    def _warn_of_end(self) -> None:
        signature = signature_of(self.at)
        if (
            self.link is None
            and self.trail is None
            and signature is not None
            and signature.has_expired(datetime.now(UTC) + SOON)
        ):
            from fastget.warn import warn

            until = _readable(signature)
            warn("fastget", "%s is a signed URL that is good until %s", self.display_url, until)

    @property
    def _is_bare(self) -> bool:
        """Whether it is a URL without a query, and nothing else."""
        return not (self.url.query or self.headers or self.conditions or self.named or self.link or self.trail)

    @property
    def at(self) -> URL:
        """The URL that is asked now."""
        now = self._now
        return now.url if now.link is None else now.link.url

    @property
    def _now(self) -> HttpSource:
        return self if self.trail is None else self.trail.place or self

    def _request(
        self,
        method: str,
        span: Span | None,
        part_number: int | None,
        pin: Pin | None,
        extra: Iterable[tuple[str, str]],
    ) -> Request:
        now, at = self._now, self.at
        url = at if part_number is None else self._part_url(at, part_number)
        asked = range_headers(span.header if span is not None else None, part_number, pin)
        fields = [*plain_headers(), *extra, *asked, *(self.conditions if pin is None else ())]
        signature = signature_of(at)
        if signature is not None and pin is None:
            is_renewable = now.link is not None or now.trail is not None
            _check_signature(signature, self.display_url, now.headers, is_renewable=is_renewable)
        # S3 refuses an x-amz- field that a signature does not cover; anyone else ignores this one.
        if signature is None or CHECKSUM_MODE in signature.headers:
            fields.append(_CHECKSUMS)
        return Request(method, url, Headers(with_user_headers(fields, now.headers, pin)), now.is_confined)

    def _part_url(self, at: URL, part_number: int) -> URL:
        if signature_of(at) is not None:
            raise ConfigError(
                f"{self.display_url} is a signed URL, so that no part number can be added to it",
                hint="use split=range",
                url=self.display_url,
            )
        return at.with_query(f"partNumber={part_number}")

    def _named_secrets(self) -> tuple[str, ...]:
        """What is one by its name: other parameters of a query, as a version, are repeated with good reason."""
        fields = self._secret_fields()
        queries = [url.query for url in (self.at, self.named) if url is not None and url.query]
        if not queries:
            return fields
        from fastget.core.redaction import secret_parameters

        return (*fields, *(value for query in queries for value in secret_parameters(query)))

    def _secret_fields(self) -> tuple[str, ...]:
        """Those of the first origin, too: it may have named one in its redirect."""
        first = self.trail.first.headers if self.trail is not None else ()
        return tuple(value for name, value in (*self._now.headers, *first) if is_secret(name))

    def _secrets(self) -> tuple[str, ...]:
        values = [*self._secret_fields()]
        for url in (self.at, self.named):
            if url is not None and url.query:
                # Short values are no secrets, and words such as "host" would be struck out of every message.
                found = (value for _, value in _query_items(url))
                values += [url.query, *(value for value in found if len(value) >= _SHORTEST_TOKEN)]
        return tuple(values)


def _trail_from(first: HttpSource) -> Trail:
    from fastget.sources.trails import Trail

    return Trail(first)


def _check_signature(
    signature: Signature, display_url: str, headers: tuple[tuple[str, str], ...], *, is_renewable: bool
) -> None:
    """Raises what the store could only say less clearly, before a first request."""
    if missing := signature.missing({CHECKSUM_MODE: "", **dict(headers)}):
        own = [name for name in missing if name in rules.OWN_FIELDS]
        raise ConfigError(
            f"{display_url} is signed together with header fields that are not given: {', '.join(missing)}",
            hint=f"fastget itself decides about {', '.join(own)}: get a URL that is signed without"
            if own
            else "give each of them, with the value that was signed, in headers",
            url=display_url,
        )
    # Whoever has a clock that is a little off learns from the store.
    if signature.is_long_over(datetime.now(UTC)) and not is_renewable:
        raise CredentialsError(
            f"{display_url}: the signed URL has expired: it was good until {_readable(signature)}",
            hint=NEW_URL_HINT,
            url=display_url,
        )


def _readable(signature: Signature) -> str:
    return f"{signature.expires:%Y-%m-%d %H:%M:%S} UTC" if signature.expires is not None else "an unknown time"


def _query_items(url: URL) -> list[tuple[str, str]]:
    return parse_qsl(url.query or "", keep_blank_values=True)
