"""Where the stored parts of an object lie, asked of the store by HEAD with ?partNumber (wire-spec.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from fastget.core.checksums.declared import part_digest
from fastget.core.layout import PartAnswer, PartLayout, read_part_answer
from fastget.core.ranges import ContentRange
from fastget.core.validators import FORBIDDEN
from fastget.engine.line import ConnectionPool, Line
from fastget.engine.threads import ask_each
from fastget.errors import NetworkError, SourceChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.messages import ResponseHead
    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.engine.cancellation import Cancellation
    from fastget.sources.protocol import Source

CONCURRENT_HEADS = 8

_MOMENTARY = frozenset({206, 408, 429, 500, 502, 503, 504})

Answer = TypeVar("Answer")


class Surveyor:
    """Asks one store about the parts of one object. `requests` counts what was sent."""

    def __init__(self, source: Source, info: ObjectInfo, pool: ConnectionPool, cancellation: Cancellation) -> None:
        self._source = source
        self._info = info
        self._pool = pool
        self._cancellation = cancellation
        self.requests = 0

    def layout(self, parts: int | None, *, exact: bool) -> PartLayout | None:
        """The layout of the object's parts; None where the store does not prove that it knows parts.

        `parts` is the number that a composite digest or an ETag declares. Unless `exact`, parts are taken to be as
        large as the first one, where that fits; each later answer is held to it.
        """
        size = self._info.size
        if not size:
            return None
        if parts == 1:
            return PartLayout.of_sizes([size])
        first = self._answer(1)
        if first is None or first.span.start != 0 or (parts is not None and first.count != parts):
            return None
        uniform = PartLayout.uniform(size, first.span.stop, first.count)
        if uniform is not None and (uniform.is_proven or not exact):
            return uniform
        return self._exact(first)

    def part_digests(self, algorithm: Algorithm, numbers: Iterable[int]) -> dict[int, bytes]:
        """The digest of each part that the store declares one for."""
        found = self._each(lambda number: self._digest(number, algorithm), numbers)
        return {number: digest for number, digest in found if digest is not None}

    def _exact(self, first: PartAnswer) -> PartLayout | None:
        spans = [first.span]
        for _, answer in self._each(self._answer, range(2, first.count + 1)):
            if answer is None or answer.span.start != spans[-1].stop or answer.count != first.count:
                return None
            spans.append(answer.span)
        return PartLayout.of_sizes(span.length for span in spans) if spans[-1].stop == self._info.size else None

    def _answer(self, number: int) -> PartAnswer | None:
        proven = self._ask(number)
        return proven[1] if proven else None

    def _digest(self, number: int, algorithm: Algorithm) -> bytes | None:
        proven = self._ask(number)
        return part_digest(proven[0].headers, algorithm) if proven else None

    def _ask(self, number: int) -> tuple[ResponseHead, PartAnswer] | None:
        """An answer that proves itself; None where the store gives none: the download goes on without.

        Asked once more where the first answer says nothing about the store, only about the moment.
        """
        pin, contradiction = self._info.pin, None
        for _ in range(2):
            head = self._try(number, pin)
            answer = read_part_answer(head, self._info.pin) if head else None
            if head is not None and answer is not None:
                return head, answer
            if head is None:
                continue
            contradiction = self._contradiction(head)
            if head.status == FORBIDDEN and pin.version_id is not None:
                pin = pin.without_version()
            elif head.status not in _MOMENTARY:
                break
        if contradiction is not None:
            raise SourceChanged(contradiction, hint="run it again", url=self._source.display_url)
        return None

    def _contradiction(self, head: ResponseHead) -> str | None:
        """Two answers about one version that cannot both be true (faults.md H45, C18)."""
        found = ContentRange.parse(head.headers.get("content-range") or "")
        same = head.status == 206 and head.headers.get("etag") == self._info.etag
        if not same or found is None or found.total in (None, self._info.size):
            return None
        url = self._source.display_url
        return f"{url} has {self._info.size} bytes by one answer and {found.total} by another of the same version"

    def _try(self, number: int, pin: Pin) -> ResponseHead | None:
        with Line(self._pool, self._cancellation) as line:
            try:
                head = line.send(self._source.head(part_number=number, pin=pin))
                line.finish()
            except NetworkError:
                return None
            finally:
                self.requests += 1
            return head

    def _each(self, ask: Callable[[int], Answer], numbers: Iterable[int]) -> Iterator[tuple[int, Answer]]:
        return ask_each(ask, numbers, CONCURRENT_HEADS, "fastget-heads", self._cancellation.cancel)
