"""Where the stored parts of an object lie, asked of the store in the way that needs the fewest requests.

One HEAD of the first part tells a uniform layout; the list of GetObjectAttributes tells any, with the parts' digests;
then come a HEAD of every part, or the heads of GETs, and last the part sizes that uploaders use (wire-spec.md §3).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from fastget.core.checksums.combine import composite
from fastget.core.checksums.declared import part_digest
from fastget.core.layout import MAXIMUM_PARTS, PartAnswer, PartLayout
from fastget.core.ranges import Span
from fastget.engine.discovery.part_questions import PartQuestions
from fastget.engine.threads import ask_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.discovery.part_questions import PartReply
    from fastget.engine.exchange.line import ConnectionPool
    from fastget.engine.exchange.stores import Store
    from fastget.sources.attributes import ListedPart
    from fastget.sources.protocol import Source

CONCURRENT_HEADS = 8
# Each such question costs a connection, whose body is left unread.
MAXIMUM_GETS = 256

Answer = TypeVar("Answer")


class Surveyor:
    """Asks one store about the parts of one object."""

    def __init__(
        self, source: Source, info: ObjectInfo, pool: ConnectionPool, cancellation: Cancellation, store: Store
    ) -> None:
        self._source = source
        self._info = info
        self._store = store
        self._questions = PartQuestions(source, info, pool, cancellation, self._store)

    @property
    def requests(self) -> int:
        """How many have been sent."""
        return self._questions.requests

    def layout(self, parts: int | None, *, exact: bool, by_number: bool = False) -> PartLayout | None:
        """The layout of the object's parts; None where the store does not tell.

        `parts` is the number that a composite digest or an ETag declares. Unless `exact`, parts are taken to be as
        large as the first one, where that fits; each later answer is held to it. `by_number`: only a layout whose parts
        can be asked for by their numbers is of use.
        """
        size = self._info.size
        if parts == 1 and size is not None:
            return PartLayout.of_sizes([size])
        if not size:
            return None
        if self._may_number and (found := self._by_answers(parts, exact=exact, by_number=by_number)) is not None:
            return found
        return None if by_number else self._listed(parts, is_served=False)

    def part_digests(self, algorithm: Algorithm, layout: PartLayout) -> dict[int, bytes]:
        """The digest of each part that the store declares one for, and that it has where the layout says."""
        numbers = range(1, layout.count + 1)
        listed = {number: layout.digest(number, algorithm) for number in numbers}
        if not any(listed.values()) and self._may_number and not self._knows(part_heads=False):
            listed = dict(self._each(lambda number: self._digest(number, algorithm, layout), numbers))
        return {number: digest for number, digest in listed.items() if digest is not None}

    # By the answers about single parts ---------------------------------------------------------------------------

    @property
    def _may_number(self) -> bool:
        return self._source.traits(self._info).part_numbers

    def _knows(self, **facts: bool) -> bool:
        return all(getattr(self._store.facts, name) is value for name, value in facts.items())

    def _by_answers(self, parts: int | None, *, exact: bool, by_number: bool) -> PartLayout | None:
        teaches = parts is not None
        reply = None
        if not self._knows(part_heads=False, part_lengths=False):
            reply = self._questions.head(1, teaches=teaches)
        if reply is not None and reply.place is not None:
            return self._from_first(reply.place, parts, self._by_head, exact=exact)
        if not by_number:
            listed = self._listed(parts, is_served=False)
            if listed is not None:
                return listed
            if reply is not None:
                return self._by_lengths(reply, parts, exact=exact)
        if self._knows(part_gets=False):
            return None
        reply = self._questions.get(1, teaches=teaches)
        if reply is None or reply.place is None:
            return None
        return self._from_first(reply.place, parts, self._by_get, exact=exact)

    def _from_first(
        self,
        first: PartAnswer,
        parts: int | None,
        ask: Callable[[int], PartAnswer | None],
        *,
        exact: bool,
    ) -> PartLayout | None:
        if first.span.start != 0 or (parts is not None and first.count != parts):
            return None
        uniform = PartLayout.uniform(first.total, first.span.stop, first.count)
        if uniform is not None and (uniform.is_proven or not exact):
            return uniform
        return self._listed(first.count, is_served=True) or self._exact(first, ask)

    def _exact(self, first: PartAnswer, ask: Callable[[int], PartAnswer | None]) -> PartLayout | None:
        if ask == self._by_get and first.count > MAXIMUM_GETS:
            return None
        spans = [first.span]
        size = first.total
        for number, answer in self._each(ask, range(2, first.count + 1)):
            if answer is not None and answer.span.start == spans[-1].stop and answer.count == first.count:
                spans.append(answer.span)
            elif number == first.count and spans[-1].stop == size:
                spans.append(Span(size, size))  # no Content-Range can say where an empty part lies
            else:
                return None
        return PartLayout.of_sizes(span.length for span in spans) if spans[-1].stop == size else None

    def _by_lengths(self, first: PartReply, parts: int | None, *, exact: bool) -> PartLayout | None:
        """Ceph tells lengths only: every part lies behind those before it, and is fetched by its range."""
        size, told = self._info.size, first.length
        if size is None or told is None or parts not in (None, told.count):
            return None
        uniform = PartLayout.uniform(size, told.length, told.count, is_served=False)
        if uniform is not None and (uniform.is_proven or not exact):
            return uniform
        lengths = [told.length]
        for _, reply in self._each(self._questions.head, range(2, told.count + 1)):
            if reply is None or reply.length is None or reply.length.count != told.count:
                return None
            lengths.append(reply.length.length)
        return PartLayout.of_sizes(lengths, is_served=False) if sum(lengths) == size else None

    def _by_head(self, number: int) -> PartAnswer | None:
        reply = self._questions.head(number)
        return reply.place if reply else None

    def _by_get(self, number: int) -> PartAnswer | None:
        reply = self._questions.get(number)
        return reply.place if reply else None

    def _digest(self, number: int, algorithm: Algorithm, layout: PartLayout) -> bytes | None:
        reply = self._questions.head(number)
        is_there = reply is not None and reply.place is not None and reply.place.span == layout.span(number)
        return part_digest(reply.head.headers, algorithm) if reply is not None and is_there else None

    # By the list of GetObjectAttributes --------------------------------------------------------------------------

    def _listed(self, parts: int | None, *, is_served: bool) -> PartLayout | None:
        if not self._source.traits(self._info).object_attributes or self._knows(attributes=False):
            return None
        listed = self._list()
        sizes = [part.size for part in listed]
        if not listed or sum(sizes) != self._info.size or parts not in (None, len(listed)):
            return None
        # Stores disagree about what the numbers mean where some are missing (wire-spec.md §3, MinIO).
        in_order = [part.number for part in listed] == list(range(1, len(listed) + 1))
        return PartLayout.of_sizes(sizes, is_served=is_served and in_order, digests=self._digests(listed))

    def _list(self) -> list[ListedPart]:
        """All parts in the order of their numbers; none where a page is missing or does not follow the one before."""
        found: list[ListedPart] = []
        after: int | None = 0
        while after is not None:
            page = self._questions.page(after)
            if page is None or len(found) + len(page.parts) > MAXIMUM_PARTS:
                return []
            numbers = [after, *(part.number for part in page.parts)]
            if any(one >= other for one, other in pairwise(numbers)):
                return []
            found += page.parts
            after = page.next_marker
            if after is not None and (not page.parts or after < page.parts[-1].number):
                return []
        return found

    def _digests(self, listed: list[ListedPart]) -> dict[Algorithm, tuple[bytes, ...]]:
        """The digests that add up to the composite one that the object itself declares: others prove nothing."""
        found: dict[Algorithm, tuple[bytes, ...]] = {}
        for declared in self._info.declared:
            digests = tuple(part.digests.get(declared.algorithm, b"") for part in listed)
            is_whole = declared.parts == len(listed) and all(digests)
            if is_whole and composite(declared.algorithm, digests) == declared.value:
                found[declared.algorithm] = digests
        return found

    def _each(self, ask: Callable[[int], Answer], numbers: Iterable[int]) -> Iterator[tuple[int, Answer]]:
        scope = self._questions.new_scope()
        try:
            yield from ask_each(ask, numbers, CONCURRENT_HEADS, "fastget-heads", scope.cancel)
        finally:
            self._questions.new_scope()
