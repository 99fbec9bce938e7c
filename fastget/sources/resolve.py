"""From the text of a URL to the source that it names."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from fastget.core.urls import URL
from fastget.errors import FastgetError, InvalidURL
from fastget.sources.http import HttpSource
from fastget.sources.parameters import Parameters
from fastget.sources.request_rules import check_http_options, check_user_headers

if TYPE_CHECKING:
    from types import TracebackType

    from fastget.config import Config
    from fastget.sources.endpoints import S3Endpoints
    from fastget.sources.protocol import Source

S3_SCHEMES = ("s3", "cos")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def resolve(url: str, config: Config, endpoints: S3Endpoints | None = None) -> Source:
    """The source that `url` names: http, https, s3 or cos. Nothing is connected to.

    `endpoints` is what S3 objects share (sessions, resolved endpoints, credentials): whoever resolves more
    than one URL gives the same each time and closes it. Without it the source makes its own, which is slow.

    Raises InvalidURL for anything else, ConfigError for options that do not go with it.
    """
    scheme = _scheme(url)
    check_user_headers(config.headers)
    if scheme in S3_SCHEMES:
        from fastget.sources.s3 import S3Source

        return S3Source.of(url, config, endpoints)
    if scheme not in ("http", "https"):
        raise InvalidURL(f"fastget does not fetch {scheme} URLs", hint="use http://, https://, s3:// or cos://")
    check_http_options(config)
    return HttpSource.of(URL.parse(url), config.headers, Parameters.of(config), config.refresh_url)


def is_in_store(url: object) -> bool:
    """Whether it names an object of a store by bucket and key."""
    return isinstance(url, str) and url.partition("://")[0].lower() in S3_SCHEMES


def display_url(url: str) -> str:
    """A URL without its query and its user info, which may hold secrets.

    Of one that cannot be read, but may hold user info, no more than the scheme.
    """
    from fastget.config import Config

    with suppress(FastgetError):
        return resolve(url, Config()).display_url
    if "@" not in url:
        return url.partition("?")[0].partition("#")[0]
    scheme = _SCHEME.match(url)
    return f"{scheme[0].lower()}…" if scheme is not None else "…"


class ErrorsOf:
    """A context whose errors tell of a URL, where they told of none: what goes wrong on a connection knows no more."""

    __slots__ = ("_url",)

    def __init__(self, url: object) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, FastgetError) and error.url is None and isinstance(self._url, str):
            error.url = display_url(self._url)


def _scheme(url: object) -> str:
    if not isinstance(url, str):
        raise InvalidURL(
            f"a URL is a str, and not {type(url).__name__}",
            hint=f"give it as {'url.decode()' if isinstance(url, bytes) else 'str(url)'}",
        )
    match = _SCHEME.match(url)
    if match is not None:
        return match[1].lower()
    if not url:
        raise InvalidURL("the URL is empty", hint="write it as https://host/path or s3://bucket/key")
    raise InvalidURL(
        "the text names a local file or lacks a scheme; it is no URL",
        hint="write it as https://host/path or s3://bucket/key",
    )
