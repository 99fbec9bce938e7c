"""After the bytes: hold them to the declared digests, find what is damaged, and fetch it again.

Where the store declares digests of parts, they name the damaged ones. Elsewhere every chunk is fetched once more, for
its digests alone and written nowhere; the chunks that come out otherwise are the suspects, and only they are written
again. A good chunk is never overwritten by a worse one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.checksums.verification import verified_by, verified_by_size
from fastget.engine.front import digest_whole
from fastget.errors import ChecksumMismatch
from fastget.events import Method, Repaired

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.checksums.verification import Check, Ledger
    from fastget.engine.announcer import Announcer
    from fastget.engine.job import Recorder, Tally
    from fastget.engine.layouts import Surveyor
    from fastget.engine.preparing import Prepared
    from fastget.engine.worker import Write
    from fastget.events import Verification


class Comparison:
    """Takes the digests of chunks that are fetched a second time, and tells when the whole adds up with them."""

    def __init__(self, ledger: Ledger) -> None:
        self._trial = ledger.copy()
        self.changed: list[int] = []

    def record(self, index: int, digests: Mapping[Algorithm, bytes]) -> bool:
        if self._trial.recorded(index) == digests:
            return False
        self.changed.append(index)
        self._trial.record(index, digests)
        return not self._trial.ordered_algorithms and not self._trial.failures()


class Verifier:
    """Holds one landed download to its checks.

    `run_pass` fetches the chunks of the given indexes again: their digests go to a recorder, their bytes to a write.
    """

    def __init__(
        self,
        prepared: Prepared,
        ledger: Ledger,
        tally: Tally,
        announcer: Announcer,
        run_pass: Callable[[Recorder, Collection[int], Write], None],
    ) -> None:
        self._task = prepared.task
        self._checks = prepared.checks
        self._reason = prepared.reason
        self._ledger = ledger
        self._tally = tally
        self._announcer = announcer
        self._run_pass = run_pass

    def verify(self, size: int, survey: Callable[[], Surveyor]) -> Verification:
        """The verdict on the `size` bytes that have landed, after repair where that is needed and possible.

        Raises ChecksumMismatch, and what fetching raises.
        """
        if not self._checks:
            return verified_by_size(self._reason)
        was_damaged = bool(self._ledger.failures()) and self._repair(size, survey)
        failures = self._ledger.failures()
        if not failures:
            self._tally.verified = size
            return verified_by(self._checks[0])
        if not was_damaged and self._proves_nothing(failures):
            return verified_by_size("the ETag looks like an MD5, but the store sends the same other bytes every time")
        raise self._mismatch(*failures[0])

    def _repair(self, size: int, survey: Callable[[], Surveyor]) -> bool:
        """Find the damaged chunks and fetch them again; whether there were any."""
        sink = self._task.sink
        if not (sink.is_seekable and self._task.can_resume):
            return False
        damaged = self._damaged_by_part_digests(survey) or self._damaged_by_comparison()
        if not damaged:
            return False
        chunks = [self._task.plan.chunks[index] for index in damaged]
        self._tally.discarded += sum(chunk.span.length for chunk in chunks)
        self._tally.repairs += len(chunks)
        self._run_pass(self._ledger, damaged, sink.write_at)
        for algorithm, digest in digest_whole(sink, size, self._ledger.ordered_algorithms).items():
            self._ledger.record_ordered(algorithm, digest)
        for chunk in chunks:
            span = chunk.span
            self._announcer.keep(
                Repaired(self._task.source.display_url, span.start, span.stop, "its digest did not hold")
            )
        self._announcer.deliver()
        return True

    def _damaged_by_part_digests(self, survey: Callable[[], Surveyor]) -> list[int]:
        """The chunks of the parts that the store's own part digests contradict; none where it declares none."""
        layout = self._task.plan.layout
        algorithms = [check.algorithm for check, _ in self._ledger.failures() if check.parts is not None]
        if layout is None or not algorithms:
            return []
        surveyor = survey()
        declared = surveyor.part_digests(algorithms[0], range(1, layout.count + 1))
        self._tally.requests += surveyor.requests
        damaged = {n for n, digest in declared.items() if self._ledger.part_digest(algorithms[0], n) != digest}
        return [chunk.index for chunk in self._task.plan.chunks if chunk.part in damaged]

    def _damaged_by_comparison(self) -> list[int]:
        comparison = Comparison(self._ledger)
        landed = self._tally.received - self._tally.discarded
        self._run_pass(comparison, range(len(self._task.plan.chunks)), _write_nothing)
        self._tally.discarded = self._tally.received - landed
        return comparison.changed

    def _proves_nothing(self, failures: Sequence[tuple[Check, bytes]]) -> bool:
        """Whether all that fails is an ETag that may be something else than an MD5, and no more was asked for."""
        return (
            self._task.traits.etag_may_look_like_md5
            and not self._task.config.require_verified
            and all(check.method is Method.ETAG_MD5 for check, _ in failures)
        )

    def _mismatch(self, check: Check, actual: bytes) -> ChecksumMismatch:
        url, expected = self._task.source.display_url, check.declared.value.hex()
        return ChecksumMismatch(
            f"{url}: {check.algorithm} is {actual.hex()}, but {check.declared.origin} says {expected}",
            algorithm=str(check.algorithm),
            expected=expected,
            actual=actual.hex(),
            hint="nothing was written; the object, its checksum or the way to it is damaged",
            url=url,
        )


def _write_nothing(offset: int, data: memoryview) -> None:
    """For chunks that are fetched for their digests alone."""
    del offset, data
