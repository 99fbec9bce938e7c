"""What stands between a download and the earlier ones to the same destination: what they left, and what it leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.buffers import shared_buffers
from fastget.core.journal import Identity, block_size_for
from fastget.core.planner import SMALLEST_CHUNK, plan_around
from fastget.engine.download.resuming import Rehash, is_worthless
from fastget.engine.download.unchanged import verify_existing
from fastget.engine.pieces.blocks import Blocks, Claims
from fastget.engine.pieces.piece import Piece
from fastget.errors import FastgetError, Throttled
from fastget.events import KEPT_HINT, Kept, Restarted, Resumed
from fastget.sinks.protocol import Leftover

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.checksums.verification import Ledger
    from fastget.core.objectinfo import ObjectInfo
    from fastget.core.planner import Chunk
    from fastget.engine.announcer import Announcer
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.discovery.preparing import Prepared
    from fastget.engine.pieces.task import Tally
    from fastget.events import Verification
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import Source


class Earlier:
    """Of one transfer. Where the sink cannot be resumed, or shall not be, it only opens and discards it."""

    def __init__(self, source: Source, sink: Sink, tally: Tally, announcer: Announcer) -> None:
        self._source = source
        self._sink = sink
        self._file = sink.resumable
        self._tally = tally
        self._announcer = announcer
        self._left: Identity | None = None
        self._leftover = Leftover()
        self._block = 0
        self._identified: Identity | None = None
        self._is_told = False

    # Before the bytes ------------------------------------------------------------------------------------------

    def is_there(self) -> bool:
        """Whether something stands at the destination that may save a transfer. Raises DestinationError."""
        if self._file is None:
            return False
        self._left = self._file.leftover()
        if self._left is not None:
            return True
        existing = self._file.existing()
        if existing is None:
            return False
        try:
            return existing.may_be_from(Identity.of_place(self._source.display_url, self._source.selection))
        finally:
            existing.close()

    def fits(self, info: ObjectInfo) -> bool:
        """Whether what was left is of this object, so that no stream from its start is wanted."""
        if self._left is None or (identity := self._identity(info)) is None:
            return False
        return self._left.difference(identity) is None

    def verify_existing(self, prepared: Prepared, cancellation: Cancellation) -> Verification | None:
        """The verdict on the file under the final name; None where it is not the object, or nothing tells."""
        identity = self._identity(prepared.task.info)
        existing = self._file.existing() if self._file is not None and identity is not None else None
        if self._file is None or existing is None or identity is None:
            return None
        try:
            verification = verify_existing(existing, identity, prepared, cancellation)
        finally:
            existing.close()
        if verification is not None:
            self._file.clear()
        return verification

    def begin(self, prepared: Prepared) -> None:
        """Open the sink, and take over what was left. Raises NoSpace, DestinationError."""
        task = prepared.task
        self._identified = identity = self._identity(task.info)
        if self._file is None or identity is None:
            self._sink.open(task.plan.size)
            return
        is_journalled = task.can_resume and identity.size > SMALLEST_CHUNK
        self._block = block_size_for(identity.size) if is_journalled else 0
        self._leftover = self._file.begin(identity.size, identity, is_journalled=is_journalled)

    def has_begun(self, info: ObjectInfo) -> bool:
        """Whether the sink was opened for this very version: its journal and the note on its file name that one."""
        before, now = self._identified, self._identity(info)
        return before == now or (before is not None and now is not None and before.difference(now) is None)

    def fitted(self, prepared: Prepared) -> Prepared:
        """The same, cut so that all of what was left can be used, however it was cut."""
        plan = plan_around(prepared.task.plan, [claim.span for claim in self._leftover.claims])
        return replace(prepared, task=replace(prepared.task, plan=plan))

    # The bytes -------------------------------------------------------------------------------------------------

    def new_piece(self, chunk: Chunk, algorithms: Sequence[Algorithm]) -> Piece:
        """A piece whose bytes go to the sink."""
        blocks = Blocks(self._file, self._block, chunk) if self._file is not None and self._block else None
        return Piece(chunk, algorithms, blocks)

    @property
    def block_size(self) -> int:
        """Bytes of one claim of the journal that is kept; 0 where none is."""
        return self._block

    @property
    def claims(self) -> Claims | None:
        """Where claims of what has landed go."""
        return self._file

    def take_over(
        self,
        prepared: Prepared,
        algorithms: Sequence[Algorithm],
        ledger: Ledger,
        cancellation: Cancellation,
        on_piece: Callable[[], None],
    ) -> tuple[Collection[int] | None, list[Piece]]:
        """Read again what was left: the indexes of the chunks that are missing (None: all), and what there is of them.

        The digests of whole chunks go to the ledger. `on_piece` is called after each of them.
        """
        leftover, self._leftover = self._leftover, Leftover()
        chunks = prepared.task.plan.chunks
        partial: list[Piece] = []
        missing = set(range(len(chunks)))
        if self._file is not None and leftover.claims:
            rehash = Rehash(
                self._file,
                leftover,
                lambda chunk: self.new_piece(chunk, algorithms),
                self._sink.write_at,
                cancellation,
                shared_buffers(prepared.task.config.max_memory),
            )
            for piece in rehash.pieces(chunks):
                self._tally.resumed += piece.landed
                if piece.position < piece.chunk.span.stop:
                    partial.append(piece)
                else:
                    missing.discard(piece.chunk.index)
                    ledger.record(piece.chunk.index, piece.digests())
                on_piece()
        self._tell(leftover.refused)
        return (missing if self._tally.resumed else None), partial

    def withdraw(self, chunks: Iterable[Chunk]) -> None:
        """These chunks are going to be written again."""
        if self._file is not None and self._block:
            for chunk in chunks:
                self._file.withdraw(chunk.span)

    def doubt(self, suspects: Iterable[Chunk]) -> None:
        """The whole does not have its digest. What lies in these chunks is not gone on with; the rest is.

        Where nothing is suspected, all of it is kept, and nothing rests on it: it is digested again by the next run,
        which compares it with what the store sends then, if it does not hold again.
        """
        chunks = tuple(suspects)
        self.withdraw(chunks)
        self._tally.discarded += sum(chunk.span.length for chunk in chunks)

    def beat(self) -> None:
        if self._file is not None:
            self._file.beat()

    def end(self, error: BaseException) -> None:
        """The transfer has failed: keep what has landed, unless the error says that it is wrong."""
        if self._file is None or is_worthless(error, self._tally.landed):
            self._sink.discard()
        elif self._file.keep() and self._identified is not None and self._tally.landed > 0:
            size, landed = self._identified.size, self._tally.landed
            self._announcer.keep(Kept(self._source.display_url, self._sink.path, size, landed))
            if isinstance(error, FastgetError):
                error.hint = "; ".join(hint for hint in (error.hint, KEPT_HINT, self._way_out(error)) if hint)

    def _way_out(self, error: FastgetError) -> str | None:
        """What to do where nothing of the rest was served: the server may serve no ranges, but the whole."""
        if not isinstance(error, Throttled) or not self._tally.resumed or self._tally.received:
            return None
        return "if that ends like this again, --no-resume fetches all of it in one stream"

    def _tell(self, refused: str | None) -> None:
        """Say once what has become of what was left."""
        if self._is_told:
            return
        self._is_told = True
        url, path, identity = self._source.display_url, self._sink.path, self._identified
        if identity is not None and self._tally.resumed:
            self._announcer.tell(Resumed(url, path, identity.size, self._tally.resumed))
        elif self._left is not None or refused is not None:
            reason = refused or (self._difference(self._left) if self._left else None)
            self._announcer.tell(Restarted(url, path, reason or "nothing of what had landed is as it was"))

    def _difference(self, left: Identity) -> str | None:
        if self._identified is None:
            return "the server does not tell the object's size any more"
        return left.difference(self._identified)

    def _identity(self, info: ObjectInfo) -> Identity | None:
        return Identity.of(self._source.display_url, self._source.selection, info)
