"""What an earlier run has left is read again chunk by chunk, however its claims lie."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from fastget.buffers import shared_buffers
from fastget.config import Config
from fastget.core.checksums.algorithms import Algorithm, new_hasher
from fastget.core.journal import Claim
from fastget.core.planner import Chunk
from fastget.core.ranges import Span
from fastget.engine.cancellation import Cancellation
from fastget.engine.download.resuming import Rehash
from fastget.engine.pieces.piece import Piece
from fastget.sinks.protocol import Leftover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.sinks.protocol import Resumable

CONTENT = bytes(range(200))


def _claim(start: int, stop: int) -> Claim:
    return Claim(Span(start, stop), xxhash.xxh3_64_digest(CONTENT[start:stop]))


def _chunks(edges: set[int]) -> tuple[Chunk, ...]:
    places = sorted({0, len(CONTENT), *edges})
    return tuple(Chunk(index, Span(*span)) for index, span in enumerate(pairwise(places)))


def _reread(
    held: bytes, claims: Sequence[Claim], chunks: tuple[Chunk, ...], *, is_elsewhere: bool
) -> tuple[list[Piece], bytearray, list[Claim]]:
    """The pieces, what was written, and what was claimed anew."""
    written, claimed = bytearray(len(CONTENT)), []

    def read(position: int, buffer: memoryview) -> int:
        data = held[position : position + min(len(buffer), 7)]
        buffer[: len(data)] = data
        return len(data)

    def write(position: int, data: memoryview) -> None:
        written[position : position + len(data)] = data

    file = SimpleNamespace(read_claimed=read, claim=lambda span, digest: claimed.append(Claim(span, digest)))
    rehash = Rehash(
        cast("Resumable", cast("Any", file)),
        Leftover(claims if isinstance(claims, tuple) else tuple(claims), is_elsewhere=is_elsewhere),
        lambda chunk: Piece(chunk, (Algorithm.SHA256,)),
        write,
        Cancellation(),
        shared_buffers(Config().max_memory),
    )
    return list(rehash.pieces(chunks)), written, claimed


def _sha(data: bytes) -> bytes:
    hasher = new_hasher(Algorithm.SHA256)
    hasher.update(data)
    return hasher.digest()


@given(
    st.sets(st.integers(1, len(CONTENT) - 1), max_size=8),
    st.sets(st.integers(1, len(CONTENT) - 1), max_size=8),
    st.sets(st.integers(0, 8)),
    st.booleans(),
)
def test_each_chunk_has_what_was_claimed_from_its_start_on(
    edges: set[int], borders: set[int], missing: set[int], is_elsewhere: bool
) -> None:
    claims = [
        _claim(start, stop)
        for number, (start, stop) in enumerate(pairwise(sorted({0, len(CONTENT), *borders})))
        if number not in missing
    ]
    chunks = _chunks(edges)
    pieces, written, claimed = _reread(CONTENT, claims, chunks, is_elsewhere=is_elsewhere)
    there = {offset for claim in claims for offset in range(claim.span.start, claim.span.stop)}
    found = {piece.chunk.index: piece for piece in pieces}
    for chunk in chunks:
        stop = next((at for at in range(chunk.span.start, chunk.span.stop) if at not in there), chunk.span.stop)
        assert (stop == chunk.span.start) == (chunk.index not in found)
        if chunk.index in found:
            assert found[chunk.index].position == stop
            assert found[chunk.index].digests() == {Algorithm.SHA256: _sha(CONTENT[chunk.span.start : stop])}
            if is_elsewhere:
                assert written[chunk.span.start : stop] == CONTENT[chunk.span.start : stop]
    assert bool(claimed) == (is_elsewhere and bool(pieces))
    assert all(claim == _claim(claim.span.start, claim.span.stop) for claim in claimed)
    if is_elsewhere:
        assert sum(claim.span.length for claim in claimed) == sum(piece.landed for piece in pieces)


@pytest.mark.fault("X24")
@pytest.mark.parametrize("is_elsewhere", [True, False])
@pytest.mark.parametrize("damaged", [50, 99, 100, 149])
def test_a_claim_that_does_not_hold_counts_in_none_of_its_chunks(damaged: int, is_elsewhere: bool) -> None:
    held = bytearray(CONTENT)
    held[damaged] ^= 1
    claims = [_claim(0, 50), _claim(50, 150), _claim(150, 200)]
    pieces, _, claimed = _reread(bytes(held), claims, _chunks({100}), is_elsewhere=is_elsewhere)
    assert [(piece.chunk.index, piece.position) for piece in pieces] == [(0, 50)]
    assert pieces[0].digests() == {Algorithm.SHA256: _sha(CONTENT[:50])}
    assert {claim.span for claim in claimed} <= {Span(0, 50)}


class _Counted(tuple[Claim, ...]):  # noqa: SLOT001 - it counts
    """Claims that count how often one of them is looked at."""

    looks = 0

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        self.looks += len(found) if isinstance(at, slice) else 1
        return found


def test_a_chunk_looks_at_no_claims_but_its_own() -> None:
    """There may be 65,536 of them, and as many chunks."""
    claims = _Counted(_claim(at, at + 1) for at in range(len(CONTENT)))
    pieces, _, _ = _reread(CONTENT, claims, _chunks(set(range(len(CONTENT)))), is_elsewhere=False)
    assert len(pieces) == len(CONTENT)
    assert claims.looks <= 4 * len(CONTENT)
