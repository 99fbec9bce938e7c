"""A chunk on its way: how far it has come, and the running digests of what has landed of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.core.checksums.algorithms import Algorithm, Hasher, new_hasher
from fastget.core.checksums.combine import fold
from fastget.core.checksums.declared import part_digest
from fastget.core.ranges import ContentRange, Span
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastget.core.layout import PartLayout
    from fastget.core.messages import ResponseHead
    from fastget.core.planner import Chunk
    from fastget.engine.pieces.blocks import Blocks
    from fastget.engine.pieces.shares import Division


@record
class PartDigest:
    """The digest that a store sent along with one part, raw."""

    algorithm: Algorithm
    value: bytes

    def holds(self, digests: Mapping[Algorithm, bytes]) -> bool:
        """Whether the bytes that arrived are the ones the store means; True where they were not digested that way."""
        return digests.get(self.algorithm, self.value) == self.value


class Piece:
    """One holder at a time. `position` is the offset of the next byte.

    After a failure the next holder goes on at `position` with the same hashers: nothing is fetched twice. `blocks`
    are told of what has landed, where a journal is kept of it. `division` is what it is a share of, where it is one.
    """

    __slots__ = (
        "_blocks",
        "_hashers",
        "_joined",
        "algorithms",
        "attempts",
        "chunk",
        "declared",
        "division",
        "position",
    )

    def __init__(self, chunk: Chunk, algorithms: Sequence[Algorithm], blocks: Blocks | None = None) -> None:
        self.chunk = chunk
        self.attempts = 0
        self.algorithms = tuple(algorithms)
        self.division: Division | None = None
        self._blocks = blocks
        self._begin()

    def restart(self) -> None:
        """Forget what has landed: it cannot be believed."""
        self._begin()
        if self._blocks is not None:
            self._blocks.restart()

    def _begin(self) -> None:
        self.position = self.chunk.span.start
        self.declared: PartDigest | None = None
        self._hashers: tuple[Hasher, ...] = tuple(new_hasher(algorithm) for algorithm in self.algorithms)
        self._joined: dict[Algorithm, bytes] | None = None

    @property
    def rest(self) -> Span:
        """What is still to be fetched."""
        return Span(self.position, self.chunk.span.stop)

    @property
    def is_fresh(self) -> bool:
        return self.position == self.chunk.span.start

    @property
    def landed(self) -> int:
        """Bytes that have reached the sink."""
        return self.position - self.chunk.span.start

    def end_at_total(self, head: ResponseHead) -> None:
        """The length that the first answer did not tell: an accepted one to a range does."""
        place = ContentRange.of(head.headers)
        if place is not None and place.total is not None:
            self.chunk = replace(self.chunk, span=Span(self.chunk.span.start, place.total))

    def listed_digest(self, layout: PartLayout | None) -> PartDigest | None:
        """What the store's list of parts says of this one; None where it is a slice of a part, or nothing is listed."""
        number = self.chunk.part
        if layout is None or number is None or layout.span(number) != self.chunk.span:
            return None
        found = ((algorithm, layout.digest(number, algorithm)) for algorithm in self.algorithms)
        return next((PartDigest(algorithm, value) for algorithm, value in found if value is not None), None)

    def sent_digest(self, head: ResponseHead) -> PartDigest | None:
        """What an answer that is of all of this piece, and asked for by number, says of it."""
        found = ((algorithm, part_digest(head.headers, algorithm)) for algorithm in self.algorithms)
        return next((PartDigest(algorithm, value) for algorithm, value in found if value is not None), None)

    def take_in(self, data: memoryview) -> None:
        """Digest the bytes that follow `position`, while they are in the processor's cache."""
        for hasher in self._hashers:
            hasher.update(data)

    def advance(self, data: memoryview) -> None:
        """The bytes that follow `position` have reached the sink."""
        if self._blocks is not None:
            self._blocks.take_in(self.position, data)
        self.position += len(data)

    def pause(self) -> None:
        """The holder stops here, for now or for good: what has landed is claimed."""
        if self._blocks is not None:
            self._blocks.end(self.position)

    def go_on_at(self, position: int) -> None:
        """What lies before `position` has landed, in an earlier run, and was digested."""
        self.position = position
        if self._blocks is not None:
            self._blocks.go_on(position)

    @property
    def is_divisible(self) -> bool:
        """Whether its digests can be had from those of its shares: a SHA or an MD5 needs the bytes in order."""
        return all(algorithm.is_combinable for algorithm in self.algorithms)

    def join(self, shares: Sequence[Piece]) -> None:
        """What was missing has landed in these shares, which follow each other from `position` to the end."""
        rest = [(share.landed, share.digests()) for share in shares]
        self._joined = {
            algorithm: fold(algorithm, ((self.landed, own), *((length, found[algorithm]) for length, found in rest)))
            for algorithm, own in self.digests().items()
        }
        self.position = self.chunk.span.stop

    def land_elsewhere(self, digests: Mapping[Algorithm, bytes], declared: PartDigest | None) -> None:
        """Another process has fetched all of it, and come to these digests."""
        self.position = self.chunk.span.stop
        self.declared = declared
        self._joined = dict(digests)

    def digests(self) -> dict[Algorithm, bytes]:
        """The digests of everything up to `position`."""
        if self._joined is not None:
            return dict(self._joined)
        return {a: hasher.digest() for a, hasher in zip(self.algorithms, self._hashers, strict=True)}
