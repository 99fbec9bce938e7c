"""Where the stored parts of a multipart object lie, and when a store's word about it may be believed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from fastget.core.ranges import ContentRange, Span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastget.core.messages import ResponseHead
    from fastget.core.objectinfo import Pin

MAXIMUM_PARTS = 10_000
_COUNT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PartLayout:
    """The stored parts as offsets: part `k` (from 1) spans `offsets[k - 1]` to `offsets[k]`, in bytes.

    `is_proven` is False for a layout that was inferred from the first part's size alone: parts may be uneven
    (wire-spec.md §3), so a mismatch against an unproven layout says nothing about the bytes.
    """

    offsets: tuple[int, ...]
    is_proven: bool

    @classmethod
    def of_sizes(cls, sizes: Iterable[int]) -> Self:
        """The exact layout of parts of these sizes, in order."""
        return cls((0, *accumulate(sizes)), is_proven=True)

    @classmethod
    def uniform(cls, size: int, first: int, count: int) -> Self | None:
        """Parts that are all as large as the first but for the last; None where that cannot give `count` parts."""
        if not 0 < count <= MAXIMUM_PARTS or not 0 < first <= size or -(-size // first) != count:
            return None
        # One part, or two, leave no room for unevenness.
        return cls((*range(0, size, first), size), is_proven=count <= 2)

    @property
    def count(self) -> int:
        return len(self.offsets) - 1

    @property
    def size(self) -> int:
        return self.offsets[-1]

    def span(self, number: int) -> Span:
        """The bytes of part `number`, counted from 1 as S3 does."""
        return Span(self.offsets[number - 1], self.offsets[number])


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """What a trustworthy answer about one part says: its span, the object's size and the number of parts."""

    span: Span
    total: int
    count: int


def read_part_answer(head: ResponseHead, pin: Pin) -> PartAnswer | None:
    """The facts of a HEAD or GET with `?partNumber=`, or None where the store has not proven that it honours it.

    Proven means all of: status 206, one well-formed Content-Range with the pinned total, a count of parts, and the
    object's own ETag (wire-spec.md §3: moto, rclone, SeaweedFS and Ceph each miss one of them).
    """
    found = ContentRange.parse(_only(head, "content-range") or "")
    count = _COUNT.fullmatch(_only(head, "x-amz-mp-parts-count") or "")
    etag = _only(head, "etag")
    if head.status != 206 or etag is None or etag != pin.etag:
        return None
    if found is None or found.span is None or found.total is None or found.total != pin.size:
        return None
    if count is None or int(count[0]) > MAXIMUM_PARTS:
        return None
    return PartAnswer(found.span, found.total, int(count[0]))


def _only(head: ResponseHead, name: str) -> str | None:
    values = head.headers.get_all(name)
    return values[0] if len(values) == 1 else None
