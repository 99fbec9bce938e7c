"""How a worker gets the bytes of its answers: into which memory, and how many of them at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastget.engine.exchange.line import Line
    from fastget.engine.workers.turns import Turns

# A fast connection fills it in half a millisecond, beside which the interpreter's few microseconds vanish: measured,
# 15 % less time for 1 GiB on loopback than with the small one (docs/design/0003-buffers.md).
LARGE_BUFFER = 1024 * 1024
# Where there are many connections each of them is slow, and they share what memory there is.
SMALL_BUFFER = 256 * 1024
# So much is waited for without a buffer. If it were all of a large one, the sender would often have to wait, too
# (docs/design/0003-buffers.md).
READY = LARGE_BUFFER // 2
# Seconds to wait for it: servers that limit a rate send in bursts, every 20 to 50 ms.
READY_SECONDS = 0.1
# A stride over TLS ends so many bytes before its buffer does, lest each of its records be copied slowly: OpenSSL copies
# them from one place, and some processors take ten times as long where the destination lies less than 32 bytes further
# in its page than the source does. This way no more than one stride in 64 can lie like that (docs/design/0003).
UNALIGNED = 64
# Seconds for one read: below the first the next may be larger, above the second progress would be seen to jump.
QUICK, SLOW = 0.01, 0.05


# Where the bytes from an offset on, so many at most, can be received at once; None where they have to be written.
MemoryAt = Callable[[int, int], memoryview | None]
# What becomes of bytes that have come: written already, or not.
TakeIn = Callable[[memoryview, bool], None]


class Reception:
    """Of one worker, over its line. What `memory_at` has room for is received there, and need not be written.

    With `turns` it waits for its bytes without a buffer, as long as they come fast enough, and receives them in one
    that it shares with others. `stride`: as many bytes as are read at once into its own.
    """

    def __init__(self, line: Line, memory_at: MemoryAt | None) -> None:
        self.turns: Turns | None = None
        self.stride = SMALL_BUFFER
        self._line = line
        self._memory_at = memory_at

    def receive(self, position: int, left: int, own: memoryview, take_in: TakeIn) -> None:
        """Some of the bytes from `position` on, of which so many are `left`, in memory that is `own` or shared.

        They are handed to `take_in`, which has the memory until it returns.
        """
        if self.turns is None or not (ready := self._ready(left)):
            seconds = self._receive_into(own, position, min(left, self.stride), left, take_in)
            self.pace(seconds, self._longest_stride(own))
            return
        with self.turns.take(self._line.pauses) as shared:
            self._receive_into(shared, position, min(ready, len(shared)), left, take_in)

    def pace(self, seconds: float, most: int) -> None:
        """Read in large strides where they are quick, in small ones where bytes would wait in them to be counted."""
        if seconds < QUICK:
            self.stride = most
        elif seconds > SLOW:
            self.stride = SMALL_BUFFER

    def _longest_stride(self, buffer: memoryview) -> int:
        is_encrypted = self._line.origin is not None and self._line.origin.scheme == "https"
        return len(buffer) - UNALIGNED if is_encrypted and len(buffer) >= SMALL_BUFFER else len(buffer)

    def _ready(self, left: int) -> int:
        """How many bytes can be received without waiting, 0 where they are too few for a turn."""
        if left <= READY:
            return 0  # the end of an answer comes sooner to one that reads (Wire.acknowledge)
        count = self._line.ready(READY, READY_SECONDS)
        return min(left, count) if count >= SMALL_BUFFER else 0

    def _receive_into(self, buffer: memoryview, position: int, length: int, left: int, take_in: TakeIn) -> float:
        """Seconds that the read took."""
        memory = self._memory_at(position, length) if self._memory_at is not None else None
        place = buffer[:length] if memory is None else memory
        asked = time.monotonic()
        count = self._line.read_some(left, place)
        seconds = time.monotonic() - asked
        take_in(place[:count], memory is not None)
        return seconds
