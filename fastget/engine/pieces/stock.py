"""What a pass has to hand out, and who holds what of it: chunks, pieces that were begun, shares of a piece."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from fastget.core.board import Board
from fastget.core.ranges import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from fastget.core.planner import Chunk
    from fastget.engine.pieces.piece import Piece

# So many bytes are passed over before a stream looks again: by then they may have been for nothing.
STRIDE = 8 * 1024 * 1024


class Stock:
    """Of one pass over `chunks`, the `wanted` ones or all; `lead` as of `Board`. Its owner holds a lock around it.

    `landed` counts what has landed so far, shares too.
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        lead: int,
        wanted: Collection[int] | None,
        new_piece: Callable[[Chunk], Piece],
    ) -> None:
        self.landed = 0
        self._chunks = chunks
        self._board = Board(chunks, lead=lead, wanted=wanted)
        self._new_piece = new_piece
        # What was begun and given back, by chunk.
        self._begun: dict[int, Piece] = {}
        # Parts of pieces that nobody holds, from front to back: their chunks count as taken.
        self._shares: list[Piece] = []
        # What had landed when each was handed out, or last asked for in vain.
        self._held: dict[Piece, int] = {}
        self._offered: set[Piece] = set()
        self._refused: set[int] = set()

    @property
    def end(self) -> int:
        """The offset behind the last chunk."""
        return self._chunks[-1].span.stop if self._chunks else 0

    @property
    def front(self) -> int:
        """The offset up to which everything has landed."""
        index = self._board.front
        return self._chunks[index].span.start if index < len(self._chunks) else self.end

    @property
    def has_free(self) -> bool:
        """Whether one more worker would find something to do."""
        return bool(self._shares) or self._board.has_free

    @property
    def is_complete(self) -> bool:
        return self._board.is_complete

    # Handing out -----------------------------------------------------------------------------------------------

    def begin_with(self, pieces: Iterable[Piece]) -> None:
        """Have these pieces begin where they stand."""
        for piece in pieces:
            self._begun[piece.chunk.index] = piece

    def next(self) -> Piece | None:
        """What a worker with nothing to do fetches next: the first share, unless a returned piece lies before it."""
        returned = self._board.first_returned
        if self._shares and (returned is None or returned.span.start >= self._shares[0].position):
            return self._hand_out(self._shares.pop(0))
        chunk = self._board.claim()
        return None if chunk is None else self._hand_out(self._piece(chunk))

    def next_untouched(self) -> Piece | None:
        """A piece of which nothing has landed."""
        begun = {index for index, piece in self._begun.items() if not piece.is_fresh}
        chunk = self._board.claim_untouched(begun)
        return None if chunk is None else self._hand_out(self._piece(chunk))

    def at(self, offset: int, *, even_returned: bool) -> Piece | None:
        """What goes on at an offset, for a stream that has come there: nobody holds it, or its holder only waits.

        What was given back is left to others, unless `even_returned`.
        """
        piece = next((piece for piece in self._offered if piece.position == offset), None)
        if piece is not None:
            self._offered.remove(piece)
        elif even_returned:
            piece = self._loose_at(offset)
        piece = piece or self._untouched_at(offset, even_returned=even_returned)
        if piece is not None:
            piece.attempts = 0
            self._refused.discard(piece.chunk.index)
            self._hand_out(piece)
        return piece

    def first(self) -> Piece | None:
        """What comes next behind everything that has landed; None where somebody holds it. Its tries stay counted."""
        begun = self._begun.get(self._index(self.front))
        attempts = 0 if begun is None else begun.attempts
        piece = self.at(self.front if begun is None else begun.position, even_returned=True)
        if piece is not None:
            piece.attempts = attempts
        return piece

    def _loose_at(self, offset: int) -> Piece | None:
        """What was begun up to here, and is nobody's."""
        for share in self._shares:
            if share.position == offset:
                self._shares.remove(share)
                return share
        piece = self._begun.get(self._index(offset))
        if piece is None or piece.is_fresh or piece.position != offset:
            return None
        chunk = self._board.claim_at(piece.chunk.index, even_returned=True)
        return None if chunk is None else self._begun.pop(chunk.index)

    def _untouched_at(self, offset: int, *, even_returned: bool) -> Piece | None:
        index = self._index(offset)
        begun = self._begun.get(index)
        if self._chunks[index].span.start != offset or (begun is not None and not begun.is_fresh):
            return None
        chunk = self._board.claim_at(index, even_returned=even_returned)
        return None if chunk is None else self._piece(chunk)

    def gap(self, offset: int) -> Span | None:
        """What a stream passes over, as it has landed, to get from `offset` to what nobody fetches; not all at once.

        To be asked where `at` finds nothing, not even returned. None where there is no such thing, or something lies
        before it that is being fetched: that may be given back.
        """
        places = [piece.position for piece in (*self._shares, *self._offered) if piece.position >= offset]
        if (chunk := self._board.first_free(self._index(offset))) is not None:
            places.append(self._begun[chunk.index].position if chunk.index in self._begun else chunk.span.start)
        target = min((place for place in places if place > offset), default=None)
        held = [piece.chunk.span for piece in self._held if piece not in self._offered]
        if target is None or any(offset < span.stop and span.start < target for span in held):
            return None
        return Span(offset, min(target, offset + STRIDE))

    def _index(self, offset: int) -> int:
        """Of the chunk in which the offset lies."""
        return max(0, bisect_right(self._chunks, offset, key=lambda chunk: chunk.span.start) - 1)

    def _piece(self, chunk: Chunk) -> Piece:
        return self._begun.pop(chunk.index, None) or self._new_piece(chunk)

    def _hand_out(self, piece: Piece) -> Piece:
        self._held[piece] = self.landed
        return piece

    # Holding ---------------------------------------------------------------------------------------------------

    @property
    def is_held(self) -> bool:
        """Whether anybody holds anything."""
        return bool(self._held)

    @property
    def is_waited_with(self) -> bool:
        """Whether whoever holds something only waits with it."""
        return len(self._offered) == len(self._held)

    @property
    def is_refused(self) -> bool:
        """Whether anything was refused, and not served since."""
        return bool(self._refused)

    def refuse(self, piece: Piece) -> None:
        """The store has refused it."""
        self._refused.add(piece.chunk.index)

    def serve(self, piece: Piece) -> None:
        """The store serves it."""
        self._refused.discard(piece.chunk.index)

    def are_others_served(self, piece: Piece) -> bool:
        """Whether others hold something, or anything has landed since this piece was handed out."""
        return any(held is not piece for held in self._held) or self._held.get(piece, self.landed) != self.landed

    def keep(self, piece: Piece) -> None:
        """Its holder goes on, after a failure."""
        if piece in self._held:
            self._hand_out(piece)

    def offer(self, piece: Piece) -> None:
        """Its holder only waits with it: a stream that reaches it may have it."""
        self._offered.add(piece)

    def is_offered(self, piece: Piece) -> bool:
        return piece in self._offered

    def take_back(self, piece: Piece) -> bool:
        """The holder goes on; False where it is another's by now."""
        is_his = piece in self._offered
        self._offered.discard(piece)
        return is_his

    def give_back(self, piece: Piece, parts: Sequence[Piece] = ()) -> None:
        """It is handed out again before any other; in `parts`, if there are any."""
        self._held.pop(piece, None)
        if parts or piece.division is not None:
            self._shares.extend(parts or [piece])
            self._shares.sort(key=lambda share: share.position)
        else:
            self._begun[piece.chunk.index] = piece
            self._board.give_back(piece.chunk)

    def land_share(self, share: Piece) -> None:
        """Every byte of a share is in the sink."""
        self._held.pop(share, None)
        self.landed += 1

    def land(self, piece: Piece) -> None:
        """Every byte of a piece is in the sink."""
        self._held.pop(piece, None)
        self.landed += 1
        self._refused.discard(piece.chunk.index)
        self._board.land(piece.chunk)
