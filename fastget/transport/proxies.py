"""Which proxy, if any, stands between here and an origin."""

from __future__ import annotations

import base64
import os
from dataclasses import field
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from fastget.errors import ConfigError
from fastget.records import record

if TYPE_CHECKING:
    from fastget.core.urls import Origin
    from fastget.errors import NetworkError

_HOW_TO_WRITE = "write --proxy, or HTTP_PROXY and its kin, as http://host:port"
_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@record
class Proxy:
    """A proxy and the credentials for it, which `str()` and `repr()` leave out."""

    scheme: str
    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a proxy URL, by default that of an HTTP proxy. Raises ConfigError, which quotes nothing."""
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            port = parts.port
        except ValueError:
            raise ConfigError("the proxy URL cannot be read", hint=_HOW_TO_WRITE) from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise ConfigError(
                f"there are no {parts.scheme}:// proxies", hint=f"one of {', '.join(_DEFAULT_PORTS)} is meant"
            )
        if not parts.hostname:
            raise ConfigError("the proxy URL names no host", hint=_HOW_TO_WRITE)
        username = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        return cls(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme], username, password)

    def suits_data_plane(self, origin: Origin) -> bool:
        """Whether sockets of ours can go this way: no SOCKS, and no TLS within TLS."""
        return self.scheme == "http" or (self.scheme == "https" and origin.scheme == "http")

    @property
    def authorization(self) -> str | None:
        """The value of a Proxy-Authorization header (RFC 7617), or None."""
        if self.username is None:
            return None
        pair = f"{self.username}:{self.password or ''}"
        return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"

    def unreached(self, error: NetworkError) -> NetworkError:
        """Why there is no way to it, which is no fault of the server behind."""
        return type(error)(
            f"the proxy {self} cannot be reached: {error.message}",
            hint="it is named by --proxy, or by HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; --proxy '' goes without",
            is_transient=error.is_transient,
        )

    def without_secrets(self, text: str) -> str:
        """The proxy's own words, bounded, without these credentials."""
        from fastget.core.redaction import without_secrets

        given = (self.authorization, self.password)
        return without_secrets(text, [secret for secret in given if secret])[:200]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def proxy_for(origin: Origin, configured: str | None) -> Proxy | None:
    """The proxy to reach `origin` by: the configured one, none if that is empty, else the environment's.

    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY mean what they mean to the standard library, lower case
    first; NO_PROXY does not apply to a configured proxy.

    Raises ConfigError for a proxy URL that cannot be meant.
    """
    if configured is not None:
        return Proxy.parse(configured) if configured else None
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    # Loads half of the library's HTTP and e-mail: only where there is something to read.
    from urllib import request

    proxies = request.getproxies_environment()
    found = proxies.get(origin.scheme) or proxies.get("all")
    # The type stubs leave this function out.
    is_bypassed = request.proxy_bypass_environment  # type: ignore[attr-defined]
    if not found or is_bypassed(f"{origin.host}:{origin.port}", proxies):
        return None
    return Proxy.parse(found)
