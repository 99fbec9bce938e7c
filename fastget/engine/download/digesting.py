"""Digests of bytes that lie in a file or in memory, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fastget.core.checksums.algorithms import Algorithm, new_hasher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.buffers import Buffers
    from fastget.core.ranges import Span

BUFFER_SIZE = 1024 * 1024


class Readable(Protocol):
    """Something with bytes at offsets."""

    def read_at(self, offset: int, buffer: memoryview) -> int: ...


def digest_span(
    sink: Readable, span: Span, algorithms: Sequence[Algorithm], buffers: Buffers
) -> dict[Algorithm, bytes]:
    """The digests of bytes that have landed in a sink, read back; nothing is read where none is wanted."""
    if not algorithms:
        return {}
    hashers = {algorithm: new_hasher(algorithm) for algorithm in algorithms}
    position = span.start
    with buffers.lend(min(BUFFER_SIZE, max(span.length, 1))) as lent:
        while position < span.stop and (count := sink.read_at(position, lent.view[: span.stop - position])):
            for hasher in hashers.values():
                hasher.update(lent.view[:count])
            position += count
    return {algorithm: hasher.digest() for algorithm, hasher in hashers.items()}
