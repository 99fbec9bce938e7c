"""Whether the file that is to be downloaded is here already: the second run of a finished download fetches nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.buffers import shared_buffers
from fastget.core.checksums.verification import UNTOUCHED, Ledger, verified_by, verified_by_size
from fastget.core.ranges import Span
from fastget.engine.download.digesting import digest_span
from fastget.engine.download.resuming import readers
from fastget.engine.threads import ask_each

if TYPE_CHECKING:
    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.journal import Identity
    from fastget.core.planner import Chunk
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.discovery.preparing import Prepared
    from fastget.events import Verification
    from fastget.sinks.protocol import ExistingFile


def verify_existing(
    file: ExistingFile, identity: Identity, prepared: Prepared, cancellation: Cancellation
) -> Verification | None:
    """The verdict on a file that is the object; None where it is not, or nothing tells.

    Where the store declares digests the file is held to them. Elsewhere the note that fastget has left on it tells.
    """
    if file.size != identity.size:
        return None
    is_copy = file.is_copy_of(identity)
    verification = verified_by_size(UNTOUCHED) if is_copy else None
    layout = prepared.task.plan.layout
    if prepared.checks:
        if _holds(file, prepared, cancellation):
            verification = verified_by(prepared.checks[0])
        elif layout is None or not layout.is_guess:
            return None
    return verification if file.is_unchanged() else None


def _holds(file: ExistingFile, prepared: Prepared, cancellation: Cancellation) -> bool:
    plan, buffers = prepared.task.plan, shared_buffers(prepared.task.config.max_memory)
    ledger = Ledger(prepared.checks, plan.chunks, plan.layout)

    def digest(chunk: Chunk) -> dict[Algorithm, bytes]:
        cancellation.check()
        return digest_span(file, chunk.span, ledger.chunk_algorithms, buffers)

    for chunk, digests in ask_each(digest, plan.chunks, readers(), "fastget-rehash", cancellation.cancel):
        ledger.record(chunk.index, digests)
    whole = Span(0, file.size)
    for algorithm, value in digest_span(file, whole, ledger.ordered_algorithms, buffers).items():
        ledger.record_ordered(algorithm, value)
    return not ledger.failures()
