"""Who fetches many objects names one after another by URLs that differ in their paths alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastget.core.urls import URL
from fastget.records import record
from fastget.sources.http import HttpSource
from fastget.sources.resolve import is_in_store, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.config import Config
    from fastget.sources.endpoints import S3Endpoints
    from fastget.sources.protocol import Source

# A URL that is its own encoded form, and whose source differs from that of its neighbours by its path alone: it holds
# no user info, and no query that may be a signature.
_PLAIN_URL = re.compile(r"(https?://[a-z0-9.-]+(?::[0-9]{1,5})?)(/[A-Za-z0-9._~/-]*)")


@record
class _Latest:
    """The source of a plain URL under these options, and the URL up to its path."""

    config: Config | None
    root: str
    source: HttpSource


class Neighbours:
    """Remembers the latest plain URL; safe in many threads. Where there are several, the options tell them apart."""

    def __init__(self) -> None:
        self._latest: _Latest | None = None

    def resolve(self, url: str, config: Config, endpoints: Callable[[], S3Endpoints]) -> Source:
        """As fastget.sources.resolve.resolve, with the endpoints of whoever names an object in a store."""
        if (found := self.find(url, config)) is not None:
            return found
        return self.remember(url, resolve(url, config, endpoints() if is_in_store(url) else None), config)

    def find(self, url: Any, config: Config | None = None) -> HttpSource | None:
        """The source of a URL that differs from the latest by its path alone, under the very same options."""
        latest = self._latest
        if latest is None or latest.config is not config or not isinstance(url, str):
            return None
        found = _PLAIN_URL.fullmatch(url)
        if found is None or found[1] != latest.root:
            return None
        source = latest.source
        return HttpSource(URL(source.url.origin, found[2]), source.headers, conditions=source.conditions)

    def remember(self, url: str, source: Source, config: Config | None = None) -> Source:
        """The source, which is what the URL was found to name."""
        if isinstance(source, HttpSource) and source.link is None and (found := _PLAIN_URL.fullmatch(url)):
            self._latest = _Latest(config, found[1], source)
        return source
