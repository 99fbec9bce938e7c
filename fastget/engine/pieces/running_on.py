"""A store that serves some streams of a pass and refuses all others: those go on, and what they do not fetch is theirs.

A store may answer every further request with 503 while it goes on with the first one, or with one at a time. What
others only wait with, the discovery stream takes when it comes there; and whoever has no try left, leaves the rest to
those who are served, for as long as there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from fastget.engine.cancellation import Cancellation
    from fastget.engine.pieces.piece import Piece
    from fastget.engine.pieces.stock import Stock

# So often is all of an object read again for the rest of it: as often as a file is begun anew.
MOST_ANEW = 4


class RunningOn:
    """Of one job. `changed` is its lock and told of every change, `is_over` says whether the pass is, `is_bound`
    whether bytes have left for good, of a version that is sure.

    The discovery stream `flows` from its first chunk to its end. It `is_alone` where ranges are refused: all that is
    left is up to it. `is_lean` while the rest is left to those who are served: then others ask one at a time, once for
    each piece that has landed, as a store may be busy for a moment only; `refusals` counts those in a row while nobody
    was served. `anew_left` counts down how often there may be a new stream of the whole, for a rest that no range is
    served of, where what has left cannot be taken back.
    """

    def __init__(
        self,
        changed: threading.Condition,
        stock: Stock,
        cancellation: Cancellation,
        *,
        is_over: Callable[[], bool],
        is_bound: Callable[[], bool],
    ) -> None:
        self.flows = False
        self.is_alone = False
        self.is_lean = False
        self.refusals = 0
        self.anew_left = MOST_ANEW
        self._may_try = False
        self._changed = changed
        self._stock = stock
        self._cancellation = cancellation
        self._is_over = is_over
        self._is_bound = is_bound

    @property
    def may_others_ask(self) -> bool:
        return not self.is_lean or self._may_try

    def note_asked(self) -> None:
        """One of the others has a piece to ask for."""
        self._may_try = False

    def note_landed(self) -> None:
        """Something has landed, or been passed over."""
        self._may_try = True
        self.refusals = 0
        if self.is_lean:
            self._changed.notify_all()

    def note_returned(self) -> None:
        """Something was given back."""
        if not self.flows and not self._stock.is_held:
            self._may_try = True  # else nobody would go on
        self._changed.notify_all()

    def is_left(self, piece: Piece) -> bool:
        """The store refuses more requests, and no try is left of a piece: is there anyone to get on with the rest?

        If that ends before, the piece has all of its tries again.
        """
        if not self.flows and not self._stock.are_others_served(piece):
            return False
        piece.attempts = 0
        self.is_lean, self._may_try = True, False
        return True

    def should_go_on(self, *, is_proven: bool) -> bool:
        """Whether the stream is needed beyond its border: nobody else is served, or it is not known that they are.

        Of use still, but for others to decide, where something was refused: then it waits at its border.
        """
        if self.flows and self._stock.is_refused and self._stock.is_waited_with:
            self.is_lean = True
        return self.is_lean or not is_proven

    def rejoin(self) -> None:
        """The others go on: the store serves them."""
        self.is_lean = False
        self.refusals = 0
        self._changed.notify_all()

    def end(self) -> None:
        """The stream is at its end, or broken: the others go on."""
        with self._changed:
            self.flows = False
            self.rejoin()

    @property
    def may_begin_anew(self) -> bool:
        """Whether there may be a new stream where none flows: for what could not be had by another plan."""
        return self._is_bound() and self.anew_left > 0

    def claim_anew(self) -> Piece | None:
        """What a new stream goes on with where ranges are refused; None where there may be none, or one flows."""
        with self._changed:
            while self.is_alone and self.may_begin_anew and not (self._is_over() or self.flows):
                if (piece := self._stock.first()) is not None:
                    self.flows = True
                    return piece
                self._changed.wait()
        return None

    def wait(self, piece: Piece, seconds: float) -> bool:
        """Wait before a piece is asked for; False where the stream has come to it first. Raises Cancelled."""
        if not self.flows:
            self._cancellation.wait(seconds)
            return True
        piece.pause()
        with self._changed:
            self._stock.offer(piece)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_over() or not self._stock.is_offered(piece), seconds)
            return self._stock.take_back(piece) and not self._is_over()
