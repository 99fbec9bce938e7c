"""What one answer's body is held to while it is read, and what that proves in the end.

Unlike a download, a stream cannot be read back, nor fetched a second time unseen: each check sees every byte once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from fastget.core.checksums.algorithms import Algorithm, new_hasher
from fastget.core.checksums.declared import DeclaredDigest, declared_by_headers, part_digest
from fastget.core.checksums.verification import Check, Ledger, choose, difference, ladder, verified_by, verified_by_size
from fastget.core.guesses import guessed_layouts
from fastget.core.planner import plan_parts, plan_stream
from fastget.core.ranges import ContentRange, Span
from fastget.engine.discovery.preparing import reason_for, rungs_of
from fastget.errors import ChecksumMismatch, Unverifiable
from fastget.events import Method, Verification
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastget.core.layout import PartLayout
    from fastget.core.messages import ResponseHead
    from fastget.core.objectinfo import ObjectInfo
    from fastget.core.planner import Chunk
    from fastget.engine.discovery.opening import Opening
    from fastget.sources.protocol import StoreTraits

_FULL_OBJECT = ("FULL_OBJECT",)
_COMPOSITE = ("COMPOSITE",)
_OF_ALL = "the store sends the digest of the whole object along with a part"


class Inspection(Protocol):
    """Sees the bytes of one body in order. `is_conclusive`: whether its verdict is one on the content."""

    is_conclusive: bool

    def take_in(self, data: memoryview) -> None: ...

    def conclude(self) -> Verification:
        """The verdict, once everything was taken in. Raises ChecksumMismatch."""
        ...


@record
class Extent:
    """Which bytes of the object a body holds; `span` is None where the answer does not tell, or not credibly.

    `length` is the number of bytes that are going to come, None where only the end of the body tells.
    """

    span: Span | None
    length: int | None

    @classmethod
    def of(cls, head: ResponseHead) -> Extent:
        """What the head of a 200 or 206 says."""
        length = head.content_length
        if "content-range" not in head.headers:
            span = Span(0, length) if head.status == 200 and length is not None else None
            return cls(span, length)
        found = ContentRange.of(head.headers)
        span = found.span if found is not None else None
        if span is None or length not in (None, span.length):
            return cls(None, length)
        return cls(span, span.length)


class Counted:
    """Nothing to compare with but the length. `reason` says why."""

    is_conclusive = False

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def take_in(self, data: memoryview) -> None:
        del data

    def conclude(self) -> Verification:
        return verified_by_size(self._reason)


class Demanding:
    """An inspection that has to prove something: Unverifiable is raised where it cannot, as soon as that is plain."""

    is_conclusive = True

    def __init__(self, inspection: Inspection, url: str) -> None:
        self._inspection = inspection
        self._url = url
        self.take_in = inspection.take_in
        if not inspection.is_conclusive:
            self.conclude()

    def conclude(self) -> Verification:
        found = self._inspection.conclude()
        if not found.verified:
            raise Unverifiable(
                f"{self._url} cannot be verified: {found.reason}", hint="leave out require_verified", url=self._url
            )
        return found


class WholeObject:
    """A whole object against the best digest that is declared for it; a composite one part by part.

    `why_not` is asked where the digest does not hold, as that of `OnePart`.
    """

    is_conclusive = True

    def __init__(
        self, opening: Opening, check: Check, layout: PartLayout | None, why_not: Callable[[], str | None] | None = None
    ) -> None:
        self._opening = opening
        self._check = check
        self._why_not = why_not
        plan = plan_stream(opening.info.size)
        if check.parts is not None and layout is not None:
            plan = plan_parts(layout, by_number=False, whole_parts=True)
        self._chunks: Sequence[Chunk] = plan.chunks
        self._is_guess = check.parts is not None and layout is not None and not layout.is_proven
        self._ledger = Ledger((check,), self._chunks, layout)
        self._hasher = new_hasher(check.algorithm)
        self._index = 0
        self._left = self._chunks[0].span.length
        self._skip()

    def take_in(self, data: memoryview) -> None:
        while len(data):
            piece, data = data[: self._left], data[self._left :]
            self._hasher.update(piece)
            self._left -= len(piece)
            self._skip()

    def _skip(self) -> None:
        """On to the next part that holds bytes; those that end here are recorded."""
        while not self._left and self._index < len(self._chunks) - 1:
            self._record()
            self._index += 1
            self._left = self._chunks[self._index].span.length
            self._hasher = new_hasher(self._check.algorithm)

    def _record(self) -> None:
        digest = self._hasher.digest()
        if self._check.is_ordered:
            self._ledger.record_ordered(self._check.algorithm, digest)
        self._ledger.record(self._index, {self._check.algorithm: digest})

    def conclude(self) -> Verification:
        self._record()
        failures = self._ledger.failures()
        if not failures:
            return verified_by(self._check)
        if self._is_guess:
            return verified_by_size("where the parts of its composite checksum lie cannot be learned")
        looks = self._opening.source.traits(self._opening.info).etag_may_look_like_md5
        if looks and self._check.method is Method.ETAG_MD5:
            return verified_by_size("the ETag is not the MD5 of these bytes, and this store's need not be one")
        if self._why_not is not None and (excuse := self._why_not()) is not None:
            return verified_by_size(excuse)
        raise _mismatch(self._opening, self._check, failures[0][1])


class OnePart:
    """A single stored part, or a range, against the digest that came with it.

    `why_not` is asked where the digest does not hold: why it proves nothing about these bytes, or None where it does.
    """

    is_conclusive = True

    def __init__(
        self, opening: Opening, check: Check, extent: Extent, what: str, why_not: Callable[[], str | None]
    ) -> None:
        self._opening = opening
        self._check = check
        self._extent = extent
        self._what = what
        self._why_not = why_not
        self._hasher = new_hasher(check.algorithm)

    def take_in(self, data: memoryview) -> None:
        self._hasher.update(data)

    def conclude(self) -> Verification:
        actual = self._hasher.digest()
        if actual == self._check.declared.value:
            size, length = self._opening.info.size, self._extent.length
            coverage = length / size if size and length is not None else 1.0
            reason = f"compared with {self._check.declared.origin} of {self._what}"
            return replace(verified_by(self._check), coverage=coverage, reason=reason)
        if (excuse := self._why_not()) is not None:
            return verified_by_size(excuse)
        raise _mismatch(self._opening, self._check, actual)


class Surveys(Protocol):
    """What may be asked of the store about its parts, where the verdict depends on it."""

    def layout(self, parts: int | None) -> PartLayout | None: ...

    def whole_object(self) -> ObjectInfo | None: ...


def inspection_of(
    opening: Opening, traits: StoreTraits, extent: Extent, part_number: int | None, surveys: Surveys
) -> Inspection:
    """How the body of this answer can be checked: as a whole object, as a part of one, or not at all.

    `traits` are what its store does. Raises ChecksumMismatch where the store declares two digests that contradict each
    other.
    """
    if opening.head.status == 200:
        return _of_whole(opening, traits, surveys, may_be_part=part_number is not None)
    if extent.span is None:
        return Counted("the answer does not say which bytes of the object it holds")
    if (whole := _full_object_in_range(opening, extent)) is not None:
        return WholeObject(opening, whole, None)
    check = _check_of_part(opening, extent, part_number)
    if check is None:
        what = "a part" if part_number is not None else "a range"
        return Counted(f"the store declares no checksum of {what}: only its length and its version are compared")
    if part_number is not None:
        return OnePart(opening, check, extent, f"part {part_number}", lambda: _not_of_a_part(surveys, check))
    return OnePart(opening, check, extent, "the part that this range is", lambda: _not_a_part(surveys, extent))


def _of_whole(opening: Opening, traits: StoreTraits, surveys: Surveys, *, may_be_part: bool) -> Inspection:
    info = opening.info
    rungs = rungs_of(info, traits)
    best = next(iter(choose(rungs, layout_is_known=True)), None)
    layout = None
    if best is not None and best.parts is not None and info.size is not None and traits.part_numbers:
        layout = surveys.layout(best.parts) or next(iter(guessed_layouts(info.size, best.parts)), None)
    checks = choose(rungs, layout_is_known=layout is not None)
    if checks:
        return WholeObject(
            opening, checks[0], layout, (lambda: _part_in_full(opening, surveys)) if may_be_part else None
        )
    return Counted(reason_for(info, rungs))


def _full_object_in_range(opening: Opening, extent: Extent) -> Check | None:
    """The digest of the whole object in a 206 that holds all of it and says itself that the digest is one.

    Without the type it might be a composite that has lost its suffix (wire-spec.md §2.4).
    """
    headers = opening.head.headers
    if extent.span != Span(0, opening.info.size or 0) or headers.get_all("x-amz-checksum-type") != _FULL_OBJECT:
        return None
    return next(iter(choose(ladder(declared_by_headers(headers)), layout_is_known=False)), None)


def _check_of_part(opening: Opening, extent: Extent, part_number: int | None) -> Check | None:
    """The digest that came with a part; with a range, only where it says to be one part's of several."""
    headers = opening.head.headers
    is_whole = extent.span == Span(0, opening.info.size or 0)
    if part_number is None and (is_whole or headers.get_all("x-amz-checksum-type") != _COMPOSITE):
        return None
    found = ((algorithm, part_digest(headers, algorithm)) for algorithm in Algorithm)
    declared = [_declared(algorithm, value) for algorithm, value in found if value is not None]
    check = next(iter(ladder(declared)), None)
    return replace(check, method=Method.COMPOSITE) if check is not None else None


def _declared(algorithm: Algorithm, value: bytes) -> DeclaredDigest:
    return DeclaredDigest(algorithm, value, f"x-amz-checksum-{algorithm}")


def _not_of_a_part(surveys: Surveys, check: Check) -> str | None:
    """Some stores send the whole object's digest along with every part (wire-spec.md §3)."""
    info = surveys.whole_object()
    of_object = {(digest.algorithm, digest.value) for digest in info.declared} if info is not None else ()
    return _OF_ALL if (check.algorithm, check.declared.value) in of_object else None


def _part_in_full(opening: Opening, surveys: Surveys) -> str | None:
    """Some answer a request for a part with its bytes and a 200, as if they were the whole object (Ceph)."""
    info = surveys.whole_object()
    return _OF_ALL if info is not None and info.size not in (None, opening.info.size) else None


def _not_a_part(surveys: Surveys, extent: Extent) -> str | None:
    """A digest of a range counts against the bytes only where the range is known to be a part."""
    layout = surveys.layout(None)
    spans = [layout.span(number) for number in range(1, layout.count + 1)] if layout is not None else []
    return None if extent.span in spans else "the digest that came with the range is not one of these bytes"


def _mismatch(opening: Opening, check: Check, actual: bytes) -> ChecksumMismatch:
    url, expected = opening.source.display_url, check.declared.value.hex()
    return ChecksumMismatch(
        f"{url}: {difference(check, actual)}",
        algorithm=str(check.algorithm),
        expected=expected,
        actual=actual.hex(),
        hint="what was read is not what was stored: discard it, and read the object again",
        url=url,
    )
