"""A URL as a value: what to connect to, what to ask for, and a form that is safe to print."""

from __future__ import annotations

import re
from dataclasses import field, replace
from functools import lru_cache
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from fastget.errors import InvalidURL
from fastget.records import record

_DEFAULT_PORTS = {"http": 80, "https": 443}
# A percent sign stays when two hex digits follow: the caller's own escapes are kept byte for byte, because
# presigned queries are part of a signature (wire-spec.md §5).
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORITY = re.compile(r"(?:[^\\]*@)?(?:\[(?P<ipv6>[^\[\]@\\]+)\]|(?P<name>[^\[\]@:\\]+))(?::(?P<port>[0-9]{0,20}))?")
_HOST_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
# IDNA 2003, which the standard library speaks, turns these into other letters, or into none; IDNA 2008 keeps them.
_TWO_READINGS = re.compile("[ßς\u200c\u200d]")
_LOOPBACK = re.compile(r"127(?:\.[0-9]{1,3}){3}")
_PATH_SAFE = "/:@!$&'()*+,;=-._~%[]"
_QUERY_SAFE = _PATH_SAFE + "?"


@record
class Origin:
    """Where a connection goes: scheme, host and port. Credentials never leave the origin they were meant for."""

    scheme: str
    host: str
    port: int

    @property
    def host_header(self) -> str:
        return _host_header(self.scheme, self.host, self.port)

    def __str__(self) -> str:
        return _written(self.scheme, self.host, self.port)


# Few origins are written often.
@lru_cache(maxsize=64)
def _written(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{_host_header(scheme, host, port)}"


@lru_cache(maxsize=64)
def _host_header(scheme: str, host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if _DEFAULT_PORTS.get(scheme) == port else f"{shown}:{port}"


@record
class URL:
    """An http or https URL, ready for a request line. `str()` and `repr()` leave out the query and any user info."""

    origin: Origin
    path: str
    query: str | None = field(default=None, repr=False)
    userinfo: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an absolute http(s) URL.

        Raises InvalidURL when it has another scheme, no host, a bad port or control characters; the message quotes
        nothing that might be a secret.
        """
        if _CONTROL.search(text):
            raise InvalidURL("the URL holds a control character", hint="check for a line break or a tab in it")
        try:
            parts = urlsplit(text)
        except ValueError:
            raise _unreadable() from None
        if parts.scheme not in _DEFAULT_PORTS:
            what = f"fastget does not fetch {parts.scheme} URLs" if parts.scheme else "the URL has no scheme"
            raise InvalidURL(what, hint="use http://, https://, s3:// or cos://")
        if not parts.netloc.rpartition("@")[2]:
            raise InvalidURL("the URL names no host", hint="write it as https://host/path")
        userinfo = parts.netloc.rpartition("@")[0] or None
        query = _encode(parts.query, _QUERY_SAFE) if "?" in text.partition("#")[0] else None
        return cls(_origin(parts.scheme, parts.netloc), _encode(parts.path or "/", _PATH_SAFE), query, userinfo)

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
        """The last path segment, decoded; empty when the path ends in a slash. It may hold any character, even `/`."""
        return unquote(self.path.rpartition("/")[2])

    def join(self, reference: str) -> URL:
        """The URL that a Location header means, seen from this one (RFC 9110 §10.2.2).

        An absolute one is kept byte for byte, because it may be presigned. Raises InvalidURL.
        """
        try:
            is_absolute = bool(urlsplit(reference).scheme)
        except ValueError:
            raise _unreadable() from None
        return URL.parse(reference if is_absolute else self._resolved(reference))

    def _resolved(self, reference: str) -> str:
        """A relative reference in full (RFC 3986 §5.2.2). `urljoin` drops empty segments, which are part of a name."""
        if reference.startswith("//"):
            return f"{self.origin.scheme}:{reference}"
        path, mark, query = reference.partition("#")[0].partition("?")
        if path:
            folder = "" if path.startswith("/") else f"{self.path.rpartition('/')[0]}/"
            path = _without_dots(folder + path)
        elif not mark:
            return self.unredacted
        return f"{self.origin}{path or self.path}{mark}{query}"

    def with_query(self, extra: str) -> URL:
        """The same URL with `extra` (already encoded) added to its query."""
        return replace(self, query=f"{self.query}&{extra}" if self.query else extra)

    def __str__(self) -> str:
        return f"{self.origin}{self.path}" + ("?…" if self.query else "")


def is_loopback(host: str) -> bool:
    """Whether a host, by its name alone, is this machine (RFC 6761 §6.3, RFC 1122 §3.2.1.3)."""
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or name == "::1" or _LOOPBACK.fullmatch(name) is not None


def _without_dots(path: str) -> str:
    """An absolute path without its dot segments (RFC 3986 §5.2.4)."""
    *folders, last = path.split("/")[1:]
    kept: list[str] = []
    for segment in (*folders, last):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join([*kept, ""] if last in (".", "..") else kept)


def _encode(text: str, safe: str) -> str:
    try:
        return quote(_STRAY_PERCENT.sub("%25", text), safe=safe)
    except UnicodeEncodeError:
        raise InvalidURL("the URL holds bytes that are no text", hint="write them as %XX") from None


def _origin(scheme: str, authority: str) -> Origin:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise _unreadable()
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port < 2**16:
        raise InvalidURL(
            "Ports go from 1 to 65535, and the URL names another one",
            hint=f"leave the port out for that of the scheme, {_DEFAULT_PORTS[scheme]}",
        )
    host = _ascii_host(match["name"]) if match["name"] else _ipv6_address(match["ipv6"])
    return Origin(scheme, host, port)


def _ascii_host(name: str) -> str:
    if _TWO_READINGS.search(name):
        raise InvalidURL("the host name can be read in two ways", hint="write it in its ASCII form, xn--…")
    try:
        # The codec takes milliseconds to load.
        host = name.lower() if name.isascii() else name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        host = ""
    if not _HOST_NAME.fullmatch(host):
        raise InvalidURL("the host name is not a valid one", hint="write it as https://host/path")
    return host


def _ipv6_address(text: str) -> str:
    import ipaddress

    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        raise InvalidURL("the address between brackets is no IPv6 address") from None
    if "%" in text:
        raise InvalidURL("the IPv6 address names a zone, which means nothing in a URL", hint="use a global address")
    return text.lower()


def _unreadable() -> InvalidURL:
    return InvalidURL(
        "the host or the port of the URL cannot be read",
        hint="in a user name or password write : / @ ? # as %3A %2F %40 %3F %23",
    )
