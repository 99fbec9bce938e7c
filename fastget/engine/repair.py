"""Damaged chunks: which ones they are, when only a digest of the whole, or of a part, says that there are any.

Where the store declares digests of parts, they name the damaged ones. Elsewhere the suspects are fetched once more,
for their digests alone and written nowhere; the chunks that came out otherwise this time are the damaged ones, once
the whole adds up with their new digests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.checksums.verification import Check, Ledger
    from fastget.core.planner import Chunk, Plan
    from fastget.engine.layouts import Surveyor


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
        return not self._trial.has_ordered_checks and not self._trial.failures()


def damaged_by_part_digests(
    failures: Sequence[tuple[Check, bytes]], ledger: Ledger, plan: Plan, surveyor: Surveyor
) -> list[Chunk]:
    """The chunks of the parts that the store's own part digests contradict; empty where it declares none."""
    if plan.layout is None:
        return []
    algorithms = [check.algorithm for check, _ in failures if check.parts is not None]
    numbers = range(1, plan.layout.count + 1)
    for algorithm in algorithms:
        declared = surveyor.part_digests(algorithm, numbers)
        damaged = {number for number, digest in declared.items() if ledger.part_digest(algorithm, number) != digest}
        if damaged:
            return [chunk for chunk in plan.chunks if chunk.part in damaged]
    return []
