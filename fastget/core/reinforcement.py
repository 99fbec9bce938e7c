"""When several processes are worth having for many small objects: where one has no more processor time to give.

A process runs its Python code on one processor at a time, however many threads it has. Told of samples, it answers
whether one more process pays; the clock and the counting are the edge's. Why so: docs/design/0009.
"""

from __future__ import annotations

from fastget.records import record

# Seconds between two looks.
WINDOW = 0.15
# Of one processor. A process that leaves more than the rest idle waits for something else than its own code.
BUSY = 0.7
# What a process costs at its start, in seconds of the others; what lies ready has to last for longer.
PRICE = 0.2
# Both for one that stands by: it costs next to nothing, and a look has to be long enough to tell.
READY_WINDOW, READY_PRICE = 0.05, 0.02
# Objects that lie ready, where processes were asked for: a share for each.
LEAST_READY = 32
# Objects a second: with fewer of them it is their bytes that keep a process busy, and threads carry those.
LEAST_RATE = 200.0


@record
class Load:
    """How a pull stands: seconds on a monotonic clock, objects done, and those that are named and not done.

    `processor`: seconds of processor time that this process has taken.
    """

    at: float
    finished: int
    outstanding: int
    processor: float


class Reinforcement:
    """Decides for one pull; `most` processes besides the first.

    `is_asked_for`: they are wanted whether they pay or not. `stands_by`: the first of them is there already.
    """

    def __init__(self, most: int, *, is_asked_for: bool, stands_by: bool = False) -> None:
        self._most = most
        self._is_asked_for = is_asked_for
        self._stands_by = stands_by
        self._count = 0
        self._opened: Load | None = None

    @property
    def is_over(self) -> bool:
        """Whether there will be no more of them."""
        return self._count >= self._most

    def end(self) -> None:
        """No more of them."""
        self._count = self._most

    def pays(self, load: Load) -> bool:
        """Whether there should be one more now, which is then counted."""
        if self.is_over or not self._is_worthwhile(load):
            return False
        self._count += 1
        return True

    def _is_worthwhile(self, load: Load) -> bool:
        if self._is_asked_for:
            return load.outstanding >= LEAST_READY
        window, price = (READY_WINDOW, READY_PRICE) if self._stands_by and not self._count else (WINDOW, PRICE)
        opened = self._opened
        if opened is None or load.finished == 0:
            self._opened = load
            return False
        seconds = load.at - opened.at
        if seconds < window:
            return False
        self._opened = load
        rate = (load.finished - opened.finished) / seconds
        is_busy = (load.processor - opened.processor) / seconds >= BUSY
        return is_busy and rate >= LEAST_RATE and load.outstanding >= rate * price
