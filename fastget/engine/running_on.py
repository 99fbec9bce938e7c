"""The discovery stream of a pass beside its other workers: what they leave to it, and what it takes over from them.

A store may answer every further request with 503 while it goes on with the first one. What others only wait with, the
stream takes when it comes there; and where they have no try left, all the rest is left to it for as long as it flows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from fastget.core.board import Board
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.piece import Piece


class RunningOn:
    """Of one job. `changed` is its lock and told of every change, `is_over` says whether the pass is.

    The stream `flows` from its first chunk to its end; `is_alone` while the rest is left to it. Then one of the others
    tries again after every chunk that has landed: a store may be busy for a moment only.
    """

    def __init__(
        self, changed: threading.Condition, board: Board, cancellation: Cancellation, is_over: Callable[[], bool]
    ) -> None:
        self.flows = False
        self.is_alone = False
        self._may_try = False
        self._changed = changed
        self._board = board
        self._cancellation = cancellation
        self._is_over = is_over

    @property
    def may_others_ask(self) -> bool:
        return not self.is_alone or self._may_try

    def note_asked(self) -> None:
        """One of the others has a piece to ask for."""
        self._may_try = False

    def note_landed(self) -> None:
        self._may_try = True

    def leave(self, piece: Piece) -> bool:
        """The store refuses more requests, and no try is left of a piece: is there a stream to get on with the rest?

        If that ends before, the piece has all of its tries again.
        """
        with self._changed:
            if self.flows:
                piece.attempts = 0
                self.is_alone, self._may_try = True, False
            return self.flows

    def rejoin(self) -> None:
        """The others go on: the store serves them."""
        with self._changed:
            self.is_alone = False
            self._changed.notify_all()

    def end(self) -> None:
        """The stream is at its end, or broken: the others go on."""
        with self._changed:
            self.flows = False
            self.rejoin()

    def wait(self, piece: Piece, seconds: float) -> bool:
        """Wait before a piece is asked for; False where the stream has come to it first. Raises Cancelled."""
        if not self.flows or not piece.is_fresh or piece.division is not None:
            self._cancellation.wait(seconds)
            return True
        with self._changed:
            self._board.offer(piece.chunk, piece)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_over() or not self._board.is_offered(piece.chunk, piece), seconds)
            return self._board.take_back(piece.chunk, piece) and not self._is_over()
