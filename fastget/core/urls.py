"""A URL as a value: what to connect to, what to ask for, and a form that is safe to print."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, unquote, urljoin, urlsplit

from fastget.errors import InvalidURL

_DEFAULT_PORTS = {"http": 80, "https": 443}
# A percent sign stays when two hex digits follow: the caller's own escapes are kept byte for byte, because
# presigned queries are part of a signature (wire-spec.md §5).
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PATH_SAFE = "/:@!$&'()*+,;=-._~%[]"
_QUERY_SAFE = _PATH_SAFE + "?"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection goes: scheme, host and port. Credentials never leave the origin they were meant for."""

    scheme: str
    host: str
    port: int

    @property
    def is_default_port(self) -> bool:
        return _DEFAULT_PORTS.get(self.scheme) == self.port

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.is_default_port else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}"


@dataclass(frozen=True, slots=True)
class URL:
    """An http or https URL, ready for a request line. `str()` and `repr()` leave out the query and any user info."""

    origin: Origin
    path: str
    query: str | None = field(default=None, repr=False)
    userinfo: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an absolute http(s) URL.

        Raises InvalidURL when it has another scheme, no host, a bad port or control characters.
        """
        if _CONTROL.search(text):
            raise InvalidURL("the URL holds a control character", hint="check for a line break or a tab in it")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InvalidURL(f"the URL cannot be read: {error}") from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise InvalidURL(
                f"{parts.scheme or 'no'} scheme is not one that fastget fetches",
                hint="use http://, https:// or s3://",
            )
        if not parts.hostname:
            raise InvalidURL("the URL names no host", hint="write it as https://host/path")
        origin = Origin(parts.scheme, _ascii_host(parts.hostname), port or _DEFAULT_PORTS[parts.scheme])
        userinfo = parts.netloc.rpartition("@")[0] or None
        query = _encode(parts.query, _QUERY_SAFE) if "?" in text.partition("#")[0] else None
        return cls(origin, _encode(parts.path or "/", _PATH_SAFE), query, userinfo)

    @property
    def target(self) -> str:
        """The request target in origin form: path and query."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def unredacted(self) -> str:
        """The whole URL with its query: for the wire alone, never for a message or a log."""
        return f"{self.origin}{self.target}"

    @property
    def filename(self) -> str:
        """The last path segment, decoded; empty when the path ends in a slash."""
        return unquote(self.path.rpartition("/")[2])

    def join(self, reference: str) -> URL:
        """The URL that a Location header means, seen from this one (RFC 9110 §10.2.2)."""
        return URL.parse(urljoin(self.unredacted, reference))

    def with_query(self, extra: str) -> URL:
        """The same URL with `extra` (already encoded) added to its query."""
        return replace(self, query=f"{self.query}&{extra}" if self.query else extra)

    def __str__(self) -> str:
        return f"{self.origin}{self.path}" + ("?…" if self.query else "")


def _encode(text: str, safe: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", text), safe=safe)


def _ascii_host(host: str) -> str:
    try:
        return host if ":" in host else host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise InvalidURL("the host name is not a valid one") from None
