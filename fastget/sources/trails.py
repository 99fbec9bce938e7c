"""Where redirects have led, followed anew once that place refuses: what they name may be good for minutes only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.sources.renewals import Renewal

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.urls import URL
    from fastget.sources.http import HttpSource


class Trail:
    """The way from the `first` source to the place that it redirects to, for all threads of a transfer.

    `first` has the credentials of its own origin, which are sent there alone. `place` is where requests go now; None
    until the object has been found there.
    """

    __slots__ = ("_find", "_renewal", "first", "place")

    def __init__(self, first: HttpSource) -> None:
        self.first = first
        self.place: HttpSource | None = None
        self._find: Callable[[HttpSource], HttpSource] | None = None
        self._renewal = Renewal()

    def keep(self, place: HttpSource, find: Callable[[HttpSource], HttpSource]) -> None:
        """The object was found at `place`; `find` asks a source where it is, and raises what that answers instead."""
        self.place, self._find = place, find

    def follow_again(self, refused: URL) -> bool:
        """Whether there is another place than `refused` by now: the first one is asked, once for all who need it."""
        place, find = self.place, self._find
        if place is None or find is None:
            return False  # the redirect has just been followed

        def follow() -> None:
            self.place = find(self.first)

        self._renewal.run(lambda: self._is_at(refused), follow)
        return not self._is_at(refused)

    def _is_at(self, refused: URL) -> bool:
        # A part number may stand behind the query.
        at = self.place.at if self.place is not None else None
        if at is None or (at.origin, at.path) != (refused.origin, refused.path):
            return False
        return (refused.query or "").startswith(at.query or "")
