"""A piece that several workers fetch in shares: the digests and the journal come out as if one had fetched it all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastget.core.checksums.algorithms import Algorithm, new_hasher
from fastget.core.planner import Chunk
from fastget.core.ranges import Span
from fastget.core.straggler import LEAST_SHARE
from fastget.engine.pieces.blocks import Blocks
from fastget.engine.pieces.piece import Piece
from fastget.engine.pieces.shares import divide

MIB = 1024 * 1024
START = 3 * MIB + 17
DATA = random.Random(61).randbytes(6 * MIB)
CHUNK = Chunk(4, Span(START, START + len(DATA)), part=2, by_part_number=True)
CRCS = (Algorithm.CRC64NVME, Algorithm.CRC32C)


class Claims:
    """Keeps what is claimed, as a journal does."""

    def __init__(self) -> None:
        self.claimed: dict[Span, bytes] = {}

    def claim(self, span: Span, digest: bytes) -> None:
        self.claimed[span] = digest

    def withdraw(self, span: Span) -> None:
        self.claimed = {s: d for s, d in self.claimed.items() if s.stop <= span.start or span.stop <= s.start}


def new_piece(chunk: Chunk, algorithms: Sequence[Algorithm], claims: Claims | None = None) -> Piece:
    return Piece(chunk, algorithms, Blocks(claims, MIB, chunk) if claims is not None else None)


def receive(piece: Piece, stop: int) -> None:
    """What a worker does with the bytes of an answer."""
    while piece.position < stop:
        begin = piece.position - START
        data = memoryview(DATA)[begin : min(begin + 300_000, stop - START)]
        piece.take_in(data)
        piece.advance(data)
    piece.pause()


def land(piece: Piece) -> Piece | None:
    """What a job does with a piece that has landed, without its lock."""
    whole: Piece = piece
    while whole.division is not None:
        if not whole.division.land():
            return None
        whole = whole.division.joined()
    return whole


def expected(algorithm: Algorithm, data: bytes = DATA) -> bytes:
    hasher = new_hasher(algorithm)
    hasher.update(data)
    return hasher.digest()


@settings(deadline=None, max_examples=40)
@given(
    landed=st.integers(0, len(DATA) - 2 * LEAST_SHARE), count=st.integers(2, 8), order=st.randoms(use_true_random=False)
)
def test_whatever_the_order_in_which_shares_land_the_digests_are_those_of_the_piece(
    landed: int, count: int, order: random.Random
) -> None:
    piece = new_piece(CHUNK, CRCS)
    receive(piece, START + landed)
    shares = divide(piece, count, new_piece)
    order.shuffle(shares)

    wholes = []
    for share in shares:
        receive(share, share.chunk.span.stop)
        wholes.append(land(share))

    assert wholes[:-1] == [None] * (len(shares) - 1)
    assert wholes[-1] is piece
    assert (piece.position, piece.landed) == (CHUNK.span.stop, len(DATA))
    assert piece.digests() == {algorithm: expected(algorithm) for algorithm in CRCS}


def test_a_share_that_is_slow_in_its_turn_is_divided_as_well() -> None:
    piece = new_piece(CHUNK, CRCS)
    first, second = divide(piece, 2, new_piece)
    receive(first, first.position + 1000)
    inner = divide(first, 2, new_piece)
    for share in (*reversed(inner), second):
        receive(share, share.chunk.span.stop)

    assert [land(share) for share in (*inner, second)] == [None, None, piece]
    assert piece.digests() == {algorithm: expected(algorithm) for algorithm in CRCS}


@pytest.mark.parametrize("algorithm", [Algorithm.SHA256, Algorithm.MD5, Algorithm.XXHASH3])
def test_what_needs_its_bytes_in_order_is_not_divided(algorithm: Algorithm) -> None:
    assert divide(new_piece(CHUNK, (Algorithm.CRC32, algorithm)), 4, new_piece) == []


def test_a_rest_that_is_not_worth_it_is_not_divided() -> None:
    piece = new_piece(CHUNK, CRCS)
    receive(piece, CHUNK.span.stop - LEAST_SHARE)

    assert divide(piece, 4, new_piece) == []


def test_a_share_is_asked_for_by_range_and_keeps_the_failures_of_its_piece() -> None:
    piece = new_piece(CHUNK, CRCS)
    piece.attempts = 2

    for share in divide(piece, 3, new_piece):
        assert (share.chunk.part, share.chunk.by_part_number) == (None, False)
        assert share.attempts == 2


def test_a_journal_claims_of_the_shares_what_has_landed_and_nothing_else() -> None:
    claims = Claims()

    def journalled(chunk: Chunk, algorithms: Sequence[Algorithm]) -> Piece:
        return new_piece(chunk, algorithms, claims)

    piece = journalled(CHUNK, CRCS)
    receive(piece, START + 700_000)
    first, second, third = divide(piece, 3, journalled)
    receive(first, first.chunk.span.stop)
    receive(second, second.position + 1_500_000)
    receive(third, third.position + 10)
    third.restart()

    spans = sorted(claims.claimed)
    assert all(before.stop <= after.start for before, after in pairwise(spans))
    assert sum(span.length for span in spans) == 700_000 + first.landed + second.landed
    for span, digest in claims.claimed.items():
        assert digest == expected(Algorithm.XXHASH3, DATA[span.start - START : span.stop - START])


def test_a_piece_that_comes_out_damaged_is_begun_anew_as_a_whole() -> None:
    claims = Claims()

    def journalled(chunk: Chunk, algorithms: Sequence[Algorithm]) -> Piece:
        return new_piece(chunk, algorithms, claims)

    piece = journalled(CHUNK, CRCS)
    for share in divide(piece, 2, journalled):
        receive(share, share.chunk.span.stop)
        land(share)
    piece.restart()

    assert piece.is_fresh
    assert claims.claimed == {}
    receive(piece, CHUNK.span.stop)
    assert piece.digests() == {algorithm: expected(algorithm) for algorithm in CRCS}
