"""Which failure is worth another try, after how long, and out of whose budget.

One policy for every request of a client: no layer beneath retries on its own, so nothing multiplies. Times are in
seconds; randomness comes from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastget.errors import FastgetError, NetworkError, RangeNotSupported, ServerError, Throttled

BASE_DELAY = 0.2
LONGEST_DELAY = 20.0
# A server may ask for any wait; past this it is as good as down.
LONGEST_RETRY_AFTER = 120.0
# An attempt that brought this many bytes counts as a fresh start: the object moves, however bad the line.
PROGRESS = 256 * 1024
_TRANSIENT_STATUSES = frozenset({408, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524})


def is_transient(error: FastgetError) -> bool:
    """Whether the same request may succeed if it is sent again."""
    if isinstance(error, NetworkError):
        return error.is_transient
    if isinstance(error, Throttled):
        return True
    if isinstance(error, ServerError) and error.reply is not None:
        return error.reply.status in _TRANSIENT_STATUSES
    return False


def is_range_refusal(error: FastgetError) -> bool:
    """Whether the server only refuses ranges (501 from Object Lambda, wire-spec.md row 90) and a stream may work."""
    if isinstance(error, RangeNotSupported):
        return error.reply is None
    return isinstance(error, ServerError) and error.reply is not None and error.reply.status == 501


def delay_before(attempt: int, jitter: float, error: FastgetError) -> float:
    """Seconds to wait before attempt number `attempt` (1 is the first retry): exponential with full jitter.

    `jitter` is a random number from 0.0 to 1.0. A Retry-After of the server is the least wait, capped at two minutes.
    """
    backoff = jitter * min(BASE_DELAY * 2.0 ** min(attempt, 16), LONGEST_DELAY)
    asked = error.reply.retry_after if isinstance(error, Throttled | ServerError) and error.reply else None
    return backoff if asked is None else min(max(asked, 0.0), LONGEST_RETRY_AFTER) + backoff


@dataclass(slots=True)
class RetryBudget:
    """Retries that all the pieces of a transfer share, refilled by success, so that a failing store is left alone."""

    tokens: float
    capacity: float
    refill: float = 0.5

    @classmethod
    def of(cls, retries: int, pieces: int) -> RetryBudget:
        """Room for every connection to fail a few times, whatever the number of pieces."""
        capacity = float(retries * min(max(pieces, 1), 16))
        return cls(capacity, capacity)

    def spend(self) -> bool:
        """Take one retry; False when none is left."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def spare(self) -> None:
        """The next failure costs nothing: one whole retry comes back."""
        self.tokens = min(self.capacity, self.tokens + 1.0)

    def succeed(self) -> None:
        """A piece has landed: part of a retry comes back."""
        self.tokens = min(self.capacity, self.tokens + self.refill)
