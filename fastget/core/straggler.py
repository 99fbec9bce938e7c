"""Which streams are so much slower than their siblings that somebody else had better finish their work.

Told how each stream has fared, it names the ones to cut, and into how many shares what they owe is divided. What a cut
stream has brought stays; what was on its way to it is fetched again, so cuts are paid for from a budget: at most a
twentieth of the object. Sizes are in bytes, times in seconds, rates in bytes a second. No stream is ever judged by its
total time: a link that is slow as a whole is healthy.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from fastget.core.ranges import Span
from fastget.records import record, state

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
# Nothing at all for so long, while most others receive, is no pause any more: its connection is of no use to anyone.
LONG_STALL = 10.0
# A connection's first answer that takes so long, in seconds, and so many times as long as the slowest one of the others
# did, is not on its way. The repetition of a lost SYN takes a second (RFC 6298 §2.1).
UNSERVED, UNSERVED_SHARE = 2.0, 4.0
# A request of its own costs more than it brings for less than this.
LEAST_SHARE = 1024 * 1024
# Shares begin at multiples of this: the page of every file system divides it.
GRAIN = 64 * 1024


@record
class Stream:
    """How one stream has fared: its rate over the last `watched` seconds, and what its piece still lacks.

    `silent` are the seconds since its last byte, 0 where that is too early to say.
    """

    rate: float
    left: int
    watched: float
    silent: float = 0.0


@record
class Rescue:
    """Cut the stream at `index`, and hand what it owes out in so many `shares`."""

    index: int
    shares: int


@state
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


def rescues(streams: Sequence[Stream], idle: Sequence[float]) -> list[Rescue]:
    """The streams that others would finish much sooner, at most one for each idle worker.

    `idle` are the rates at which the workers that wait for something to do had worked. The stream that would take
    longest comes first. With nobody to compare with there are no stragglers; what stands still says nothing about what
    is usual, however many there are of it. A rest is divided among the idle and
    those who will be before one of them alone would have done it; no share is smaller than 1 MiB, or than what a worker
    of the usual rate brings in the time of a fresh start.
    """
    if not idle:
        return []
    known = sorted([*(stream.rate for stream in streams if stream.watched >= WINDOW and stream.rate > 0), *idle])
    usual = known[len(known) // 2]
    late = [index for index, stream in enumerate(streams) if _is_late(stream, usual)]
    late.sort(key=lambda index: _seconds_left(streams[index]), reverse=True)
    late = late[: len(idle)]
    least = max(LEAST_SHARE, int(usual * FRESH_START))
    found = []
    for turn, index in enumerate(late):
        left = streams[index].left
        soon = sum(_seconds_left(stream) < left / usual for stream in streams)
        found.append(Rescue(index, max(1, min(_split(len(idle) + soon, len(late), turn), left // least))))
    return found


def long_stalled(streams: Sequence[Stream]) -> list[int]:
    """Indexes of the streams that bring nothing, and have not for long, while most of their siblings bring something.

    These are cut whether there is other work or not: a connection that is alive takes their place.
    """
    still = [index for index, stream in enumerate(streams) if stream.left > 0 and stream.silent >= LONG_STALL]
    flowing = sum(stream.rate > 0 and stream.watched >= WINDOW for stream in streams)
    return still if flowing > len(streams) / 2 else []


def is_unserved(waited: float, usual: float) -> bool:
    """Whether a connection is one more than the server serves at once: it was accepted, but has never been answered.

    `waited`: the seconds since its request; `usual`: those that the slowest first answer of the others took.
    """
    return waited >= min(max(UNSERVED, UNSERVED_SHARE * usual), LONG_STALL)


def cut_rest(rest: Span, shares: int) -> tuple[Span, ...]:
    """Tile `rest` with about `shares` spans of about the same size, with fewer where they would be less than 1 MiB."""
    count = max(1, min(shares, rest.length // LEAST_SHARE))
    inner = (rest.start + rest.length * turn // count for turn in range(1, count))
    edges = (rest.start, *(edge - edge % GRAIN for edge in inner), rest.stop)
    return tuple(Span(start, stop) for start, stop in pairwise(edges))


def is_below_floor(stream: Stream, window: float) -> bool:
    """Whether a stream that was watched for `window` seconds, the stall timeout, brings next to nothing."""
    return stream.watched >= window and stream.rate < FLOOR and stream.left > 0


def _split(total: int, count: int, turn: int) -> int:
    """How many of `total` come to the so-manieth (from 0) of `count`."""
    return total // count + (turn < total % count)


def _is_late(stream: Stream, usual: float) -> bool:
    if stream.watched < WINDOW or stream.left <= 0 or stream.rate >= usual * SLOW_SHARE:
        return False
    return _seconds_left(stream) > LEAST_GAIN * (FRESH_START + stream.left / usual)


def _seconds_left(stream: Stream) -> float:
    return stream.left / stream.rate if stream.rate > 0 else float("inf")
