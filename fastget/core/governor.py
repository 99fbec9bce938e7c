"""How many connections are worth having: grow while growing pays, stop where the machine is the limit.

Told of samples, it answers with a number; the clock and the counting are the edge's. It only ever grows: a connection
that has turned out not to pay costs little, and ends with its chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

# Two: the discovery stream, and one that proves that ranges work.
START = 2
# Past this a single client gains nothing on one endpoint that it does not lose in contention.
LIMIT = 32
# Long enough for a new connection to a store nearby to have its first byte and some more.
INTERVAL = 0.2
# Far away, handshakes and a slow start may take a second: so many intervals without a gain before that is believed.
PATIENCE = 5
# Doubling brings 100 % where each connection is capped, and next to nothing where the link or the machine is the limit.
LEAST_GAIN = 1.25
# Sharing the machine with the server, or with hashing, threads past this only take the processor from each other.
BUSY = 0.45


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of a transfer at one moment: seconds on a monotonic clock, bytes so far, processor seconds so far."""

    at: float
    received: int
    processor: float


class Governor:
    """Decides for one transfer. `cores` is the number of processors that the process may use."""

    def __init__(self, start: int, limit: int, cores: int) -> None:
        self._wanted = start
        self._limit = limit
        self._cores = cores
        self._last: Sample | None = None
        self._rate_before = 0.0
        self._patience = PATIENCE
        self._is_settled = start >= limit

    @property
    def wanted(self) -> int:
        """Connections to have now."""
        return self._wanted

    def observe(self, sample: Sample) -> int:
        """Take a sample and answer how many connections to have; the same number until an interval has gone by."""
        if self._last is None:
            # The clock starts with the first bytes: waiting for them says nothing about the rate.
            self._last = sample if sample.received else None
        elif not self._is_settled and sample.at - self._last.at >= INTERVAL:
            self._judge(sample, self._last)
            self._last = sample
        return self._wanted

    def _judge(self, now: Sample, last: Sample) -> None:
        if now.received == last.received:
            return  # a silence says nothing about the number of connections
        seconds = now.at - last.at
        rate = (now.received - last.received) / seconds
        is_busy = (now.processor - last.processor) / seconds >= BUSY * self._cores
        if not is_busy and rate >= self._rate_before * LEAST_GAIN:
            self._rate_before = rate
            self._patience = PATIENCE
            self._wanted = min(self._wanted * 2, self._limit)
        else:
            self._patience -= 1
        self._is_settled = is_busy or self._patience == 0 or self._wanted == self._limit
