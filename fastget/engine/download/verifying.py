"""After the bytes: hold them to the declared digests, find what is damaged, and fetch it again.

Where the store declares digests of parts, they name the damaged ones. Elsewhere every chunk is fetched once more, for
its digests alone and written nowhere; the chunks that come out otherwise are the suspects, and only they are written
again. A good chunk is never overwritten by a worse one. What came damaged once more is looked at again, a few times;
what is suspected in the end is named to whoever keeps the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.buffers import shared_buffers
from fastget.core.addresses import Trouble
from fastget.core.checksums.verification import Ledger, difference, unknown_parts, verified_by, verified_by_size
from fastget.core.planner import plan_parts
from fastget.core.ranges import Span
from fastget.engine.download.digesting import digest_span
from fastget.engine.download.guessing import proven_guess
from fastget.engine.pieces.job import BYTES_ARE_OUT
from fastget.engine.pieces.task import Replan, write_nothing
from fastget.errors import ChecksumMismatch, Unverifiable
from fastget.events import Method, Repaired

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.checksums.verification import Check
    from fastget.core.layout import PartLayout
    from fastget.core.planner import Chunk
    from fastget.engine.announcer import Announcer
    from fastget.engine.discovery.layouts import Surveyor
    from fastget.engine.discovery.preparing import Prepared
    from fastget.engine.pieces.givers import Givers
    from fastget.engine.pieces.task import Recorder, Tally, Task, Write
    from fastget.events import Verification


ADDED_UP_ALWAYS = 16
# A few chunks, or bytes, that come damaged now and then are fetched and compared this often; many are not worth it.
ROUNDS, FEW_BYTES = 3, 8 * 1024 * 1024

RunPass = Callable[["Task", "Recorder", "Collection[Algorithm]", "Collection[int]", "Write"], None]


class Comparison:
    """Takes the digests of chunks that are fetched a second time, and tells when the whole adds up with them."""

    def __init__(self, ledger: Ledger) -> None:
        self._before = ledger
        self._trial = ledger.copy()
        self._later: dict[int, Mapping[Algorithm, bytes]] = {}
        self.changed: list[int] = []

    def record(self, index: int, digests: Mapping[Algorithm, bytes]) -> bool:
        before = self._trial.recorded(index)
        if all(before[algorithm] == digest for algorithm, digest in digests.items()):
            return False
        self.changed.append(index)
        self._trial.record(index, digests)
        self._later[index] = digests
        if self._trial.ordered_algorithms or not _is_time_to_add_up(len(self.changed)):
            return False
        return not self._trial.failures()

    def of_one_address(self, givers: Givers) -> list[int]:
        """The changed chunks of the one address that damages what it brings; none where that explains nothing.

        Such an address may have damaged other chunks this time: then all has changed, and nothing adds up.
        """
        for peer in dict.fromkeys(givers.to_avoid(index) for index in self.changed):
            trial = self._before.copy()
            suspects = [index for index in self.changed if givers.to_avoid(index) == peer]
            for index in suspects:
                trial.record(index, self._later[index])
            if peer is not None and not (trial.ordered_algorithms or trial.failures()):
                return suspects
        return []


def _is_time_to_add_up(changed: int) -> bool:
    """Adding up goes through all chunks: not after each one where many differ, or it would be their square."""
    return changed <= ADDED_UP_ALWAYS or changed & (changed - 1) == 0


class Verifier:
    """Holds one landed download to its checks.

    `run_pass` fetches chunks of a task again, those of the given indexes: their digests go to a recorder, their bytes
    to a write. `survey` makes a surveyor of the object's parts. `givers` knows which address has brought what. `doubt`
    is told, before a ChecksumMismatch, what has not been repaired.
    """

    def __init__(
        self,
        prepared: Prepared,
        ledger: Ledger,
        tally: Tally,
        announcer: Announcer,
        run_pass: RunPass,
        survey: Callable[[], Surveyor],
        seen: tuple[bytes, ...] | None,
        givers: Givers,
        doubt: Callable[[Iterable[Chunk]], None],
    ) -> None:
        self._buffers = shared_buffers(prepared.task.config.max_memory)
        self._task = prepared.task
        self._checks = prepared.checks
        self._reason = prepared.reason
        self._ledger = ledger
        self._tally = tally
        self._announcer = announcer
        self._run_pass = run_pass
        self._survey = survey
        self._seen = seen
        self._givers = givers
        self._doubt = doubt
        # By chunk: what came differently each time. By part: what the store declares.
        self._changed: set[int] = set()
        self._declared: Mapping[int, bytes] = {}

    def verify(self, size: int) -> Verification:
        """The verdict on the `size` bytes that have landed, after repair where that is needed and possible.

        Raises ChecksumMismatch, and what fetching raises.
        """
        if not self._checks:
            return verified_by_size(self._reason)
        self._read_back(self._ledger.cut_parts)
        layout = self._task.plan.layout
        if layout is not None and layout.is_guess:
            return self._verify_guess(layout, size)
        is_guess = self._rests_on_a_guess() and not self._learn_layout()
        failures = self._ledger.failures()
        if failures and self._is_the_same_again(failures, size):
            if reason := self._why_it_proves_nothing(failures, is_guess=is_guess):
                return self._unverified(failures, reason)
        else:
            failures = self._ledger.failures()
        if failures:
            self._doubt(self._suspects())
            raise self._mismatch(*failures[0])
        self._tally.verified = size
        return verified_by(self._checks[0])

    def _verify_guess(self, layout: PartLayout, size: int) -> Verification:
        """The verdict where the store does not tell its parts: a usual part size gives the digest, or nothing is known.

        What fails is then not fetched again: most likely the parts are of another size (wire-spec.md §3).
        """
        check = self._checks[0]
        failures = self._ledger.failures()
        if failures and proven_guess(self._task.sink, size, check, layout, self._buffers) is None:
            return self._unverified(failures, f"{unknown_parts(check)}, and none of the usual part sizes gives it")
        self._tally.verified = size
        return verified_by(check)

    def _is_the_users_mistake(self, failures: Sequence[tuple[Check, bytes]]) -> bool:
        """Whether only the user's own digest fails: then the bytes are what the store has."""
        return 0 < len(failures) < len(self._checks) and all(
            check.method is Method.USER_DIGEST for check, _ in failures
        )

    def _is_the_same_again(self, failures: Sequence[tuple[Check, bytes]], size: int) -> bool:
        """Fetch a second time what failed. True where the same bytes came; otherwise what is damaged is repaired.

        Not where the store's own digest tells that they would. Raises Replan where there are no ranges to fetch by: the
        second time is then another plan.
        """
        if self._is_the_users_mistake(failures):
            return True
        actual = tuple(digest for _, digest in failures)
        if self._task.can_resume:
            try:
                return not self._find_and_repair(size)
            except Replan as lesson:
                if not lesson.stream:
                    raise
                # Only now is it seen that ranges are ignored: whatever was fetched again did not land.
                raise Replan(stream=True, seen=actual) from None
        if self._seen is None and self._task.sink.is_seekable:
            raise Replan(stream=True, seen=actual)
        return self._seen == actual

    def _find_and_repair(self, size: int) -> bool:
        """Whether anything was found damaged. What was, has been fetched again, until all holds or it is no use."""
        wanted: Sequence[int] = range(len(self._task.plan.chunks))
        is_any = False
        for _ in range(ROUNDS):
            damaged = self._damaged_by_part_digests()
            if not damaged:
                damaged = wanted = self._damaged_by_comparison(wanted)
            is_any = is_any or bool(damaged)
            if not damaged or not self._task.sink.is_seekable:
                break
            self._repair(damaged, size)
            if not self._ledger.failures() or not self._are_few(size):
                break
        return is_any

    def _are_few(self, size: int) -> bool:
        return sum(chunk.span.length for chunk in self._suspects()) <= max(size // 2, FEW_BYTES)

    def _suspects(self) -> tuple[Chunk, ...]:
        """The chunks that the parts' digests contradict, or that came differently each time.

        None where the same bytes came every time: then nothing tells the good from the bad.
        """
        indexes = self._changed.union(self._contradicted())
        return tuple(chunk for chunk in self._task.plan.chunks if chunk.index in indexes)

    def _rests_on_a_guess(self) -> bool:
        """Whether a composite fails that was taken over parts of which only the first one's size is known."""
        layout = self._task.plan.layout
        is_guess = layout is not None and not layout.is_proven
        return is_guess and any(check.parts is not None for check, _ in self._ledger.failures())

    def _learn_layout(self) -> bool:
        """Ask for every part, and digest what has landed by the parts as they are; False where nobody tells."""
        surveyor = self._survey()
        layout = surveyor.layout(self._task.plan.layout.count if self._task.plan.layout else None, exact=True)
        self._tally.requests += surveyor.requests
        if layout is None:
            return False
        if self._task.plan.layout is None or layout.offsets != self._task.plan.layout.offsets:
            self._cut_anew(layout)
        return True

    def _cut_anew(self, layout: PartLayout) -> None:
        plan = plan_parts(
            layout,
            by_number=self._task.plan.split == "part" and layout.is_served,
            whole_parts=any(check.needs_whole_parts for check in self._checks),
            connections=self._task.plan.connections,
            chunk_size=self._task.config.part_size,
        )
        ledger = Ledger(self._checks, plan.chunks, layout)
        for algorithm in ledger.ordered_algorithms:
            ledger.record_ordered(algorithm, self._ledger.ordered(algorithm))
        for chunk in plan.chunks:
            digests = digest_span(self._task.sink, chunk.span, ledger.chunk_algorithms, self._buffers)
            ledger.record(chunk.index, digests)
        self._task, self._ledger = replace(self._task, plan=plan), ledger

    def _why_it_proves_nothing(self, failures: Sequence[tuple[Check, bytes]], *, is_guess: bool) -> str | None:
        """Why none of the failures is one of the content, now that the same bytes came twice; None where one is."""
        if is_guess and all(check.parts is not None for check, _ in failures):
            return "where the parts of its composite checksum lie cannot be learned"
        looks = self._task.traits.etag_may_look_like_md5
        if looks and all(check.method is Method.ETAG_MD5 for check, _ in failures):
            return "the ETag is no MD5 of the content: the store sends the same bytes every time"
        return None

    def _unverified(self, failures: Sequence[tuple[Check, bytes]], reason: str) -> Verification:
        """The verdict without the checks that prove nothing."""
        failed = [check for check, _ in failures]
        held = [check for check in self._checks if check not in failed]
        if held:
            return verified_by(held[0])
        if self._task.config.require_verified:
            url = self._task.source.display_url
            raise Unverifiable(f"{url} cannot be verified: {reason}", hint="leave out require_verified", url=url)
        return verified_by_size(reason)

    def _repair(self, damaged: Collection[int], size: int) -> None:
        """Fetch the damaged chunks again; the ledger tells afterwards whether that was all."""
        sink = self._task.sink
        chunks = [self._task.plan.chunks[index] for index in damaged]
        self._tally.discarded += sum(chunk.span.length for chunk in chunks)
        self._tally.repairs += len(chunks)
        self._run_pass(self._task, self._ledger, self._ledger.chunk_algorithms, damaged, sink.write_at)
        for algorithm, digest in digest_span(
            sink, Span(0, size), self._ledger.ordered_algorithms, self._buffers
        ).items():
            self._ledger.record_ordered(algorithm, digest)
        parts = {chunk.part for chunk in chunks}
        self._read_back([number for number in self._ledger.cut_parts if number in parts])
        for chunk in chunks:
            span = chunk.span
            self._announcer.keep(
                Repaired(self._task.source.display_url, span.start, span.stop, "its digest did not hold")
            )
        self._announcer.deliver()

    def _read_back(self, parts: Collection[int]) -> None:
        """Digest parts that landed in several chunks: a SHA or an MD5 needs them in order."""
        layout = self._task.plan.layout
        if layout is None:
            return
        for number in parts:
            found = digest_span(self._task.sink, layout.span(number), self._ledger.part_algorithms, self._buffers)
            self._ledger.record_part(number, found)

    def _damaged_by_part_digests(self) -> list[int]:
        """The chunks of the parts that the store's own part digests contradict; none where it declares none."""
        layout = self._task.plan.layout
        algorithms = [check.algorithm for check, _ in self._ledger.failures() if check.parts is not None]
        if layout is None or not algorithms:
            return []
        if not self._declared:
            surveyor = self._survey()
            self._declared = surveyor.part_digests(algorithms[0], layout)
            self._tally.requests += surveyor.requests
        damaged = self._contradicted()
        for index in damaged:
            self._givers.blame(index, Trouble.DAMAGED)
        return damaged

    def _contradicted(self) -> list[int]:
        """The chunks of the parts whose declared digests, as far as they are known, do not hold now."""
        algorithms = [check.algorithm for check in self._checks if check.parts is not None]
        parts = {n for n, digest in self._declared.items() if self._ledger.part_digest(algorithms[0], n) != digest}
        return [chunk.index for chunk in self._task.plan.chunks if chunk.part in parts]

    def _damaged_by_comparison(self, wanted: Sequence[int]) -> list[int]:
        comparison = Comparison(self._ledger)
        with self._tally.landing_nothing():
            self._run_pass(self._task, comparison, self._ledger.chunk_algorithms, wanted, write_nothing)
        self._changed.update(comparison.changed)
        damaged = comparison.of_one_address(self._givers) or comparison.changed
        for index in damaged:
            if (peer := self._givers.to_avoid(index)) is not None:
                peer.blame(Trouble.DAMAGED)
        return damaged

    def _mismatch(self, check: Check, actual: bytes) -> ChecksumMismatch:
        url = self._task.source.display_url
        return ChecksumMismatch(
            f"{url}: {difference(check, actual)}",
            algorithm=str(check.algorithm),
            expected=check.declared.value.hex(),
            actual=actual.hex(),
            hint=self._hint(check),
            url=url,
        )

    def _hint(self, check: Check) -> str:
        """What to do about a check that does not hold; the user's own, where the store's holds, is what is wrong."""
        if self._is_the_users_mistake(self._ledger.failures()):
            own = self._checks[-1].algorithm
            return (
                f"the bytes hold against the store's own {own}, so that the given checksum is of another object: "
                "correct it, or leave it out"
            )
        if not self._task.sink.is_seekable:
            return BYTES_ARE_OUT
        if check.method is Method.USER_DIGEST:
            return "compare the given checksum with its source: it may be of another file, or the object is damaged"
        return "the object, its checksum or the way to it is damaged"
