"""What came of a pull, and of each of its objects."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from fastget.records import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastget.errors import FastgetError
    from fastget.events import Result

# So many failures are kept with their errors; the others are counted.
MOST_KEPT = 1000
_COUNTED = ("done", "skipped", "failed", "verified", "size", "received", "requests", "retries")


@frozen
class PullFailure:
    """An object that is not here, and why. `path` is below the directory, None where it never had one."""

    url: str
    path: str | None
    error: FastgetError


@frozen
class PullResult:
    """The sum of a pull. Sizes are in bytes.

    `done` objects are here now; `skipped` of them were here already, and are the same. `verified` ones were compared
    with a digest. `size` is that of all that are here, `bytes_received` what came over the network. `failures` names
    the first thousand of the `failed`. `processes` have had a share in fetching, with `jobs` threads together.
    """

    directory: str
    done: int
    skipped: int
    failed: int
    verified: int
    size: int
    bytes_received: int
    requests: int
    retries: int
    seconds: float
    jobs: int
    processes: int = 1
    failures: tuple[PullFailure, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked for is here."""
        return not self.failed

    def raise_for_failures(self) -> None:
        """Raise the error of the first failure, if there is one."""
        if self.failures:
            raise self.failures[0].error

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data, ready for JSON, but for the failures."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "failures"}


class Sum:
    """Adds outcomes up; for one thread at a time. The first failures are kept in `failures`, which several share."""

    def __init__(self, failures: list[PullFailure] | None = None) -> None:
        self.done = self.skipped = self.failed = self.verified = 0
        self.size = self.received = self.requests = self.retries = 0
        self._failures: list[PullFailure] = [] if failures is None else failures

    def add(self, result: Result) -> None:
        """An object that is here."""
        self.done += 1
        self.skipped += result.was_here
        self.verified += result.verification.verified
        self.size += result.size
        self.received += result.bytes_received
        self.requests += result.requests
        self.retries += result.retries

    def fail(self, failure: PullFailure) -> None:
        """One that is not."""
        self.failed += 1
        _forget_frames(failure.error)  # a slow handler of events may have two thousand errors to come
        if len(self._failures) < MOST_KEPT:
            self._failures.append(failure)

    @classmethod
    def of(cls, sums: Iterable[Sum], failures: list[PullFailure]) -> Self:
        """All of them together, which share `failures`; others may go on adding to them."""
        total = cls(failures)
        for one in sums:
            for name in _COUNTED:
                setattr(total, name, getattr(total, name) + getattr(one, name))
        return total

    def result(self, directory: str, seconds: float, jobs: int, processes: int) -> PullResult:
        """All of it."""
        return PullResult(
            directory,
            self.done,
            self.skipped,
            self.failed,
            self.verified,
            self.size,
            self.received,
            self.requests,
            self.retries,
            seconds,
            jobs,
            processes,
            tuple(self._failures[:MOST_KEPT]),
        )


def _forget_frames(error: BaseException) -> None:
    """Let go of all that the transfer had, which the tracebacks hold: of a thousand failures, tens of megabytes."""
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            left += (one.__cause__, one.__context__)
