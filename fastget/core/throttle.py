"""How many requests a store bears at once, learned from its refusals, for everyone who asks it.

Half as many after a refusal (429, 503 SlowDown), one more for each round of answers that went well: additive increase,
multiplicative decrease, as TCP does it. Times are in seconds on a clock that the caller reads.
"""

from __future__ import annotations

from fastget.records import state

# Refusals within this time of the last slowing down answer requests that were under way then: they teach nothing new.
SETTLING = 0.5
# Past this nothing is held back any more: the number of connections is bounded elsewhere.
UNBOUNDED = 64.0


@state
class Throttle:
    """The state of one store: at most `limit` requests at once, and none before `not_before`."""

    limit: float = UNBOUNDED
    not_before: float = 0.0
    slowed_at: float = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether nothing was refused lately."""
        return self.limit >= UNBOUNDED

    def wait(self, in_flight: int, now: float) -> float:
        """Seconds until a request may go out beside `in_flight` others; infinite until one of them has ended."""
        if now < self.not_before:
            return self.not_before - now
        return 0.0 if in_flight < max(1, int(self.limit)) else float("inf")

    def refuse(self, in_flight: int, now: float, asked: float) -> None:
        """The store has asked for fewer requests than the `in_flight` ones, and for a wait of `asked` seconds."""
        self.not_before = max(self.not_before, now + asked)
        if now - self.slowed_at >= SETTLING:
            self.limit = max(1.0, min(self.limit, float(in_flight)) / 2)
            self.slowed_at = now

    def serve(self) -> None:
        """A request was answered as it should be."""
        if not self.is_open:
            self.limit += 1 / self.limit
