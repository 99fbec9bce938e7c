"""A signed URL that the caller's own function renews when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.urls import URL
from fastget.errors import CredentialsError, FastgetError
from fastget.sources.renewals import Renewal

if TYPE_CHECKING:
    from collections.abc import Callable


class Link:
    """The URL in force, for all threads. One of them calls `refresh`, the others wait; no lock is held meanwhile."""

    def __init__(self, url: URL, refresh: Callable[[str], str]) -> None:
        self.url = url
        self._refresh = refresh
        self._renewal = Renewal()

    def renew(self, stale: URL) -> bool:
        """Have a new URL, unless there is another than `stale` by now; False where the function gives the same again.

        Raises CredentialsError where the function fails, or gives something that is no URL for this.
        """

        def ask() -> None:
            self.url = self._new()

        self._renewal.run(lambda: self.url == stale, ask)
        return self.url != stale

    def _new(self) -> URL:
        try:
            text = self._refresh(self.url.unredacted)
        except FastgetError:
            raise
        except Exception as error:
            raise self._failed(f"refresh_url has raised {type(error).__name__}") from error
        if not isinstance(text, str):
            raise self._failed("refresh_url has not given a URL")
        url = URL.parse(text)
        if url.userinfo is not None:
            raise self._failed("refresh_url has given a URL with a user name in it")
        if self.url.origin.scheme == "https" and url.origin.scheme != "https":
            raise self._failed("refresh_url has given a plain http URL in the place of https")
        return url

    def _failed(self, what: str) -> CredentialsError:
        return CredentialsError(f"{self.url}: the signed URL has expired, and {what}", url=str(self.url))
