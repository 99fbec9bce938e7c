"""Where the stored parts of a multipart object lie, and when a store's word about it may be believed."""

from __future__ import annotations

import re
from dataclasses import field
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from fastget.core.ranges import ContentRange, Span
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.messages import ResponseHead
    from fastget.core.objectinfo import Pin

MAXIMUM_PARTS = 10_000
_COUNT = r"[1-9][0-9]{0,4}"
_LENGTH = r"[0-9]{1,19}"


@record
class PartLayout:
    """The stored parts as offsets: part `k` (from 1) spans `offsets[k - 1]` to `offsets[k]`, in bytes.

    `is_proven` is False for a layout that was inferred from the first part's size alone: parts may be uneven
    (wire-spec.md §3), so a mismatch against an unproven layout says nothing about the bytes. `is_guess` is True where
    the store said nothing at all, and the number and the size alone speak for it. `is_served` says whether a part may
    be asked for by its number: the store's answer says where it lies. `digests` are those of the parts, in order, by
    algorithm, where the store told them along with the sizes.
    """

    offsets: tuple[int, ...]
    is_proven: bool
    is_served: bool = True
    is_guess: bool = False
    digests: Mapping[Algorithm, tuple[bytes, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of_sizes(
        cls,
        sizes: Iterable[int],
        *,
        is_served: bool = True,
        digests: Mapping[Algorithm, tuple[bytes, ...]] | None = None,
    ) -> Self:
        """The exact layout of parts of these sizes, in order."""
        return cls((0, *accumulate(sizes)), is_proven=True, is_served=is_served, digests=digests or {})

    @classmethod
    def uniform(
        cls, size: int, first: int, count: int, *, is_served: bool = True, is_guess: bool = False
    ) -> Self | None:
        """Parts that are all as large as the first but for the last; None where that cannot give `count` parts."""
        if not 0 < count <= MAXIMUM_PARTS or not 0 < first <= size or -(-size // first) != count:
            return None
        # One part, or two, leave no room for unevenness; but a guess may still be another first part's.
        is_proven = count <= 2 and not is_guess
        return cls((*range(0, size, first), size), is_proven, is_served, is_guess)

    @property
    def count(self) -> int:
        return len(self.offsets) - 1

    @property
    def size(self) -> int:
        return self.offsets[-1]

    def span(self, number: int) -> Span:
        """The bytes of part `number`, counted from 1 as S3 does."""
        return Span(self.offsets[number - 1], self.offsets[number])

    def digest(self, number: int, algorithm: Algorithm) -> bytes | None:
        """What the store said of part `number` when it was asked for the sizes."""
        known = self.digests.get(algorithm)
        return known[number - 1] if known else None


@record
class PartAnswer:
    """What a trustworthy answer about one part says: its span, the object's size and the number of parts."""

    span: Span
    total: int
    count: int


@record
class PartLength:
    """What an answer without a Content-Range says of one part: where it lies takes the lengths of all before it."""

    length: int
    count: int


def read_part_answer(head: ResponseHead, pin: Pin) -> PartAnswer | None:
    """The facts of a HEAD or GET with `?partNumber=`, or None where the store has not proven that it honours it.

    Proven means all of: status 206, one well-formed Content-Range with the pinned total, a count of parts, and the
    object's own ETag (wire-spec.md §3: moto, rclone, SeaweedFS and Ceph each miss one of them).
    """
    found = ContentRange.of(head.headers)
    count = _count(head, pin)
    if found is None or found.span is None or found.total is None or found.total != pin.size:
        return None
    return PartAnswer(found.span, found.total, count) if count is not None else None


def read_part_length(head: ResponseHead, pin: Pin) -> PartLength | None:
    """The facts of a HEAD with `?partNumber=` that proves itself but for the Content-Range, which Ceph leaves out."""
    count, length = _count(head, pin), re.fullmatch(_LENGTH, _only(head, "content-length") or "")
    if "content-range" in head.headers or count is None or length is None:
        return None
    is_whole = pin.size is not None and int(length[0]) > pin.size
    return None if is_whole else PartLength(int(length[0]), count)


def _count(head: ResponseHead, pin: Pin) -> int | None:
    """The number of parts by an answer that is one about a part of the pinned object."""
    count = re.fullmatch(_COUNT, _only(head, "x-amz-mp-parts-count") or "")
    etag = _only(head, "etag")
    if head.status != 206 or etag is None or etag != pin.etag:
        return None
    return int(count[0]) if count is not None and int(count[0]) <= MAXIMUM_PARTS else None


def _only(head: ResponseHead, name: str) -> str | None:
    values = head.headers.get_all(name)
    return values[0] if len(values) == 1 else None
