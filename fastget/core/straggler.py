"""Which streams are so much slower than their siblings that somebody else had better finish their work.

Told how each stream has fared, it names the ones to cut. What a cut stream has brought stays; what was on its way to it
is fetched again, so cuts are paid for from a budget: at most a twentieth of the object. Sizes are in bytes, times in
seconds, rates in bytes a second. No stream is ever judged by its total time: a link that is slow as a whole is healthy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Long enough for a slow start and for the bursts of a shared link to even out.
WINDOW = 2.0
# A stream at half of the others' rate is ordinary; at a quarter it holds the download up.
SLOW_SHARE = 0.25
# A new connection and its first byte, from far away: what another worker needs before it is of use.
FRESH_START = 0.5
# The other way must be this many times faster, or changing horses is not worth it.
LEAST_GAIN = 2.0
# What a cut throws away: bytes in the socket's buffer and on their way.
COST_OF_A_CUT = 512 * 1024
BUDGET_SHARE = 0.05
# Below this a stream only pretends to live, whatever its siblings do: 1 byte a second keeps every idle timeout content.
# A modem is faster.
FLOOR = 64.0


@dataclass(frozen=True, slots=True)
class Stream:
    """How one stream has fared: its rate over the last `watched` seconds, and what its piece still lacks."""

    rate: float
    left: int
    watched: float


@dataclass(slots=True)
class CutBudget:
    """What cuts may cost in bytes that are fetched again: never more than a twentieth of the object."""

    left: float

    @classmethod
    def of(cls, size: int) -> CutBudget:
        """The budget of an object of `size` bytes."""
        return cls(size * BUDGET_SHARE)

    def pay(self) -> bool:
        """Pay for one cut; False where there is not enough left."""
        if self.left < COST_OF_A_CUT:
            return False
        self.left -= COST_OF_A_CUT
        return True


def stragglers(streams: Sequence[Stream], idle: Sequence[float]) -> list[int]:
    """Indexes of the streams that somebody else would finish much sooner, at most one for each idle worker.

    `idle` are the rates at which the workers that wait for something to do had worked. The stream that would take
    longest comes first. With nobody to compare with there are no stragglers.
    """
    known = sorted([*(stream.rate for stream in streams if stream.watched >= WINDOW), *idle])
    if not idle or len(known) < 2:
        return []
    usual = known[len(known) // 2]
    late = [index for index, stream in enumerate(streams) if _is_late(stream, usual)]
    late.sort(key=lambda index: _seconds_left(streams[index]), reverse=True)
    return late[: len(idle)]


def is_below_floor(stream: Stream, window: float) -> bool:
    """Whether a stream that was watched for `window` seconds, the stall timeout, brings next to nothing."""
    return stream.watched >= window and stream.rate < FLOOR and stream.left > 0


def _is_late(stream: Stream, usual: float) -> bool:
    if stream.watched < WINDOW or stream.left <= 0 or stream.rate >= usual * SLOW_SHARE:
        return False
    return _seconds_left(stream) > LEAST_GAIN * (FRESH_START + stream.left / usual)


def _seconds_left(stream: Stream) -> float:
    return stream.left / stream.rate if stream.rate > 0 else float("inf")
