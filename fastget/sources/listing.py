"""What lies in a bucket: how its listing is asked for page by page, and what every page is held to.

ListObjectsV2, its first version for the stores that know no other, and ListObjectVersions. No page is believed
that goes back, stands still, or names what was not asked for (faults.md H57, S9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.config import ENCODING_HINT, is_text
from fastget.errors import ConfigError
from fastget.records import record
from fastget.sources.listing_pages import Page, bad_listing, order_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastget.core.objectinfo import ObjectInfo

Query = tuple[tuple[str, str], ...]
# Stores send pages without an entry where they have skipped much (deleted versions, filtered keys), but not for ever.
MOST_EMPTY_PAGES = 100
LARGEST_PAGE_SIZE = 1000


@record
class Selection:
    """Which entries of a bucket are wanted: those whose keys begin with `prefix` and come after `start_after`.

    With a `delimiter`, keys that have it after the prefix are summed up. `versions` are all versions and delete
    markers. `page_size` is the most that the store shall put into one page (1 to 1000; its own default otherwise).

    Raises ConfigError for a delimiter or a page size that cannot be meant.
    """

    prefix: str = ""
    delimiter: str | None = None
    start_after: str | None = None
    versions: bool = False
    page_size: int | None = None

    def __post_init__(self) -> None:
        if self.delimiter == "":
            raise ConfigError("delimiter is empty", hint="leave it out")
        for name, text in (("delimiter", self.delimiter), ("start_after", self.start_after)):
            if text is not None and not is_text(text):
                raise ConfigError(f"{name} holds bytes that are no text", hint=ENCODING_HINT)
        if self.page_size is not None and self.page_size not in range(1, LARGEST_PAGE_SIZE + 1):
            raise ConfigError(f"page_size must be from 1 to {LARGEST_PAGE_SIZE}, not {self.page_size!r}")

    def first_query(self) -> Query:
        """The query fields of the first page."""
        begins = "key-marker" if self.versions else "start-after"
        return (*self._kind(), *_given((begins, self.start_after)), *self._common())

    def query_after(self, place: Query) -> Query:
        """The query fields of a later page, which begins at `place`."""
        is_first_version = any(name == "marker" for name, _ in place)
        return (*(() if is_first_version else self._kind()), *place, *self._common())

    def _kind(self) -> Query:
        return (("versions", ""),) if self.versions else (("list-type", "2"),)

    def _common(self) -> Query:
        size = str(self.page_size) if self.page_size is not None else None
        return (
            ("encoding-type", "url"),
            *_given(("prefix", self.prefix or None), ("delimiter", self.delimiter), ("max-keys", size)),
        )


class Pager:
    """Goes through a listing: `query` is what to ask for next (None after the last page), `take` what came of it.

    `is_ordered` says that the store lists in the order of UTF-8 bytes: all but directory buckets do. `url` names the
    listing in errors. It remembers a few keys only, however long the listing is.
    """

    def __init__(self, selection: Selection, url: str, *, is_ordered: bool = True) -> None:
        self.query: Query | None = selection.first_query()
        self._selection = selection
        self._url = url
        self._is_ordered = is_ordered
        self._place: Query = ()
        self._milestone: Query = ()
        self._pages = 0
        self._empty_pages = 0
        # Of objects, and of delete markers, which some stores list apart.
        self._last: dict[bool, ObjectInfo | None] = {False: None, True: None}
        self._last_prefix: ObjectInfo | None = None
        self._before: tuple[ObjectInfo, ...] = ()

    def take(self, page: Page) -> list[ObjectInfo]:
        """The entries of the page that was asked for; `query` then is that of the next one.

        Prefixes stand among the objects where their keys belong. Raises ProtocolError for a page that cannot be one.
        """
        self._pages += 1
        self._check_names((*page.objects, *page.prefixes))
        self._check_order(page)
        place = self._next_place(page)
        if place is not None:
            self._check_progress(page, place)
        self.query = None if place is None else self._selection.query_after(place)
        self._place = place or ()
        entries = self._wanted(page)
        self._last_prefix = page.prefixes[-1] if page.prefixes else self._last_prefix
        return entries

    def _wanted(self, page: Page) -> list[ObjectInfo]:
        """Without what a store lists although it comes before the start, or has been listed."""
        after = order_of(self._selection.start_after or "") if self._is_ordered else b""
        objects = [info for info in page.objects if not after or order_of(info.key or "") > after]
        listed = self._last_prefix.key if self._last_prefix is not None else None
        prefixes = [info for info in page.prefixes if info.key != listed and not _ends_before(info, after)]
        if not self._is_ordered or not (prefixes or self._selection.versions):
            return [*objects, *prefixes]
        return sorted((*objects, *prefixes), key=lambda info: order_of(info.key or ""))

    # Where the next page begins ----------------------------------------------------------------------------------

    def _next_place(self, page: Page) -> Query | None:
        if page.is_truncated is False:
            return None
        place = self._next_version(page) if self._selection.versions else self._next_key(page)
        if place is None and page.is_truncated:
            self._refuse("a page of it says that more follows, and not where")
        return place

    def _next_version(self, page: Page) -> Query | None:
        if (key := page.next.get("NextKeyMarker")) is not None:
            return _given(("key-marker", key), ("version-id-marker", page.next.get("NextVersionIdMarker")))
        if not page.is_truncated or not page.objects:
            return None
        last = page.objects[-1]
        return _given(("key-marker", last.key), ("version-id-marker", last.version_id))

    def _next_key(self, page: Page) -> Query | None:
        if (token := page.next.get("NextContinuationToken")) is not None:
            return (("continuation-token", token),)
        if (marker := page.next.get("NextMarker")) is not None:
            return (("marker", marker),)
        ends = [last[-1].key or "" for last in (page.objects, page.prefixes) if last]
        # A store that knows only the first version goes on after the last name that it has given.
        return (("marker", max(ends, key=order_of)),) if page.is_truncated and ends else None

    # What a page is held to --------------------------------------------------------------------------------------

    def _check_names(self, entries: Iterable[ObjectInfo]) -> None:
        if any(not (info.key or "").startswith(self._selection.prefix) for info in entries):
            self._refuse("it names keys that do not begin with the prefix")

    def _check_order(self, page: Page) -> None:
        if not self._is_ordered:
            return
        for is_marker, last in self._last.items():
            alike = tuple(info for info in page.objects if info.is_delete_marker is is_marker)
            if not _ascend(last, alike, may_repeat=self._selection.versions):
                self._refuse("its keys go back or repeat")
            self._last[is_marker] = alike[-1] if alike else last
        # A prefix with many keys may be named by two pages in a row.
        again = page.prefixes[:1] if self._is_listed(page.prefixes) else ()
        if not _ascend(self._last_prefix, page.prefixes[len(again) :], may_repeat=False):
            self._refuse("its prefixes go back or repeat")

    def _is_listed(self, prefixes: tuple[ObjectInfo, ...]) -> bool:
        return bool(prefixes) and self._last_prefix is not None and prefixes[0].key == self._last_prefix.key

    def _check_progress(self, page: Page, place: Query) -> None:
        """Brent's way to find a circle: compare with one place, which is moved on after 1, 2, 4, … pages."""
        if place in (self._place, self._milestone):
            self._refuse("it goes round in a circle: the same token came again")
        if self._pages & (self._pages - 1) == 0:
            self._milestone = place
        entries = (*page.objects, *page.prefixes)
        if entries and entries == self._before:
            self._refuse("it goes round in a circle: the same page came again")
        self._before = entries if not self._is_ordered or self._selection.delimiter else ()
        self._empty_pages = 0 if entries else self._empty_pages + 1
        if self._empty_pages > MOST_EMPTY_PAGES:
            self._refuse(f"{MOST_EMPTY_PAGES} pages in a row were empty, and more are said to follow")

    def _refuse(self, why: str) -> None:
        raise bad_listing(self._url, why)


def _ascend(last: ObjectInfo | None, entries: tuple[ObjectInfo, ...], *, may_repeat: bool) -> bool:
    """Whether keys only go up from `last` on; with `may_repeat` a key may stay while its version changes."""
    before = last
    for info in entries:
        if before is not None:
            here, there = order_of(info.key or ""), order_of(before.key or "")
            if here < there or (here == there and (not may_repeat or info.version_id == before.version_id)):
                return False
        before = info
    return True


def _ends_before(prefix: ObjectInfo, after: bytes) -> bool:
    """Whether no key that begins with the prefix comes after `after`."""
    name = order_of(prefix.key or "")
    return name <= after and not after.startswith(name)


def _given(*fields: tuple[str, str | None]) -> Query:
    return tuple((name, value) for name, value in fields if value is not None)
