"""A piece whose rest is fetched by several workers: in shares, which are pieces to them, and one again in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.planner import Chunk
from fastget.core.straggler import cut_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.engine.pieces.piece import Piece


class Division:
    """Counts the shares of one piece; the job's lock is held around it."""

    __slots__ = ("_missing", "_shares", "_whole")

    def __init__(self, whole: Piece, shares: Sequence[Piece]) -> None:
        self._whole = whole
        self._shares = tuple(shares)
        self._missing = len(shares)

    def land(self) -> bool:
        """One more share has landed; True where it was the last one."""
        self._missing -= 1
        return self._missing == 0

    def joined(self) -> Piece:
        """The piece, complete, with the digests of all of it. Once, after the last share has landed; needs no lock."""
        self._whole.join(self._shares)
        return self._whole


def divide(piece: Piece, count: int, new_piece: Callable[[Chunk, Sequence[Algorithm]], Piece]) -> list[Piece]:
    """The rest of a piece that nobody holds, in about `count` shares; none where it is better left as it is.

    A share is asked for by range, whatever its part was asked for by, and has a journal's blocks of its own.
    """
    spans = cut_rest(piece.rest, count) if piece.is_divisible else ()
    if len(spans) < 2:
        return []
    shares = [new_piece(Chunk(piece.chunk.index, span), piece.algorithms) for span in spans]
    division = Division(piece, shares)
    for share in shares:
        share.division, share.attempts = division, piece.attempts
    return shares
