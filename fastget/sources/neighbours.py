"""Who fetches many objects names one after another by URLs that differ in their paths, or keys, alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from fastget.records import record
from fastget.sources.http import HttpSource
from fastget.sources.resolve import is_in_store, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.config import Config
    from fastget.sources.endpoints import S3Endpoints
    from fastget.sources.protocol import Source
    from fastget.sources.s3 import S3Source

# A URL that is its own encoded form, and whose source differs from that of its neighbours by its path alone: it holds
# no user info, and no query that may be a signature.
_PLAIN_URL = re.compile(r"(https?://[a-z0-9.-]+(?::[0-9]{1,5})?)(/[A-Za-z0-9._~/-]*)")
# The same of a store, but for access points. For cos:// the keys and the place come from variables and a file that may
# be another by now.
_PLAIN_KEY = re.compile(r"(s3://[a-z0-9.-]+)/([A-Za-z0-9._~/-]+)")


@record
class _Latest:
    """The source of a plain URL under these options, and the URL up to its path."""

    config: Config | None
    pattern: re.Pattern[str]
    root: str
    source: HttpSource | S3Source


class Neighbours:
    """Remembers the latest plain URL; safe in many threads. Where there are several, the options tell them apart."""

    def __init__(self) -> None:
        self._latest: _Latest | None = None

    def resolve(self, url: str, config: Config, endpoints: Callable[[], S3Endpoints]) -> Source:
        """As fastget.sources.resolve.resolve, with the endpoints of whoever names an object in a store."""
        found = self.find(url, config)
        # A client that was closed has other endpoints now.
        if found is not None and (isinstance(found, HttpSource) or found.endpoints is endpoints()):
            return found
        return self.remember(url, resolve(url, config, endpoints() if is_in_store(url) else None), config)

    def find(self, url: Any, config: Config | None = None) -> HttpSource | S3Source | None:
        """The source of a URL that differs from the latest by its path alone, under the very same options."""
        latest = self._latest
        if latest is None or latest.config is not config or not isinstance(url, str):
            return None
        found = latest.pattern.fullmatch(url)
        return latest.source.beside(found[2]) if found is not None and found[1] == latest.root else None

    def remember(self, url: str, source: Source, config: Config | None = None) -> Source:
        """The source, which is what the URL was found to name."""
        is_plain = isinstance(source, HttpSource) and source.link is None
        pattern = _PLAIN_KEY if is_in_store(url) else _PLAIN_URL if is_plain else None
        if pattern is not None and (found := pattern.fullmatch(url)) is not None:
            self._latest = _Latest(config, pattern, found[1], cast("HttpSource | S3Source", source))
        return source
