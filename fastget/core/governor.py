"""How many connections are worth having: grow while growing pays, stop where the machine is the limit.

Told of samples, it answers with a number; the clock and the counting are the edge's. It grows as long as that pays, and
goes back where the processors are full: whoever is one too many ends with its chunk. One that has turned out not to pay
stays: it costs little.
How it was chosen: docs/design/0005.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.lookout import Lookout
from fastget.records import record

if TYPE_CHECKING:
    from fastget.core.store_memory import StoreFacts

# The discovery stream. From a server on the same machine it takes all that a second one would, for less processor time.
START = 1
# Where a request waits, requests wait together: an answer that took so long, in seconds, crossed a network or came out
# of a store's depths. A server on the same machine or in the same rack answers sooner.
FAR = 0.02
# What to begin with there: as many as browsers open to any server, and what stores with the S3 interface are made for.
SOME, MANY = 6, 32
# Past this a single client is a burden to one server. A store with the S3 interface is a thousand of them, each of
# which gives a connection what it gives, so that only their number fills a fast link.
LIMIT, STORE_LIMIT = 32, 96
# Once every connection delivers, their rate shows in this time: servers that cap it send in bursts of 20 to 50 ms.
WINDOW = 0.06
# Slow connections are read in strides of 256 KiB: with fewer bytes than this from each, a window shows little but where
# it happened to begin.
GRAIN = 1024 * 1024
# So long the late ones are waited for, before the rest are judged without them; and between two looks that saw no gain.
INTERVAL = 0.2
# Far away, handshakes and a slow start may take a second: so long without a gain before that is believed.
PATIENCE = 1.0
# Each connection that came brings, in shares of what one brought before: all of it where each is capped, next to
# nothing where the link or the machine is the limit.
LEAST_GAIN, CLEAR_GAIN = 0.25, 0.6
# How many times as many there are next: after a gain, and after a clear one.
STEP, STRIDE = 2, 4
# Sharing the machine with the server, or with hashing, threads past this only take the processor from each other.
FULL = 0.9
# Whoever has grown to just that stays; only where nothing is left at all do connections go.
SWAMPED = 0.97
# What they have room for beside that is taken by connections slower than this, in bytes a second, for those wait and do
# not compute, if it is so many times as many at least.
SLOW, LEAST_ROOM = 100e6, 1.5


@record
class Sample:
    """The state of a transfer at one moment: seconds on a monotonic clock, bytes so far, processor seconds so far.

    `flowing` counts the connections that have delivered any bytes.
    """

    at: float
    received: int
    processor: float
    flowing: int


def start_for(facts: StoreFacts) -> int:
    """Connections to begin with: what paid for the last object of this store, or what its first answer looks like."""
    if facts.connections is not None:
        return facts.connections
    if facts.wait is None or facts.wait < FAR:
        return START
    return MANY if facts.is_object_store else SOME


def limit_for(facts: StoreFacts) -> int:
    """The most connections that its server is worth asking for."""
    return min(STORE_LIMIT if facts.is_object_store else LIMIT, facts.bears or STORE_LIMIT)


class Governor:
    """Decides for one transfer. `cores` is the number of processors that the process may use.

    `abreast` of its threads compute at once: one, where what each does takes the interpreter's lock. None: as many as
    there are cores. `reopens`: a settled number stays settled only as long as it brings what it did; for many objects,
    which may lie on different servers, near and far.
    """

    def __init__(
        self, start: int, limit: int, cores: int, abreast: int | None = None, *, reopens: bool = False
    ) -> None:
        self._start = self._wanted = start
        self._limit = self._most = limit
        self._lookout = Lookout() if reopens and start < limit else None
        self._cores = cores
        self._abreast = abreast or cores
        self._opened: Sample | None = None
        self._rate_before = 0.0
        self._flowing_before = 0
        self._grown = 0.0
        self._is_on_trial = False
        self._window = WINDOW
        self._is_settled = start >= limit

    @property
    def wanted(self) -> int:
        """Connections to have now."""
        return self._wanted

    @property
    def limit(self) -> int:
        """The most there can be."""
        return self._limit

    @property
    def has_judged(self) -> bool:
        """Whether the number is more than a guess."""
        return self._is_settled or self._wanted != self._start

    @property
    def is_settled(self) -> bool:
        """Whether the number is found; it is final, unless this one reopens."""
        return self._is_settled

    def begin_with(self, count: int, limit: int) -> int:
        """The number to begin with and the most there can be, learned after the beginning.

        What was measured meanwhile decides instead.
        """
        if not self.has_judged:
            self._limit = self._most = limit
            self._start = self._wanted = min(max(count, self._start), limit)
            self._is_settled = self._wanted == limit
        return self._wanted

    def observe(self, sample: Sample) -> int:
        """Take a sample and answer how many connections to have; the same number until enough has been seen."""
        if not sample.received:
            return self._wanted  # waiting for the first bytes says nothing about the rate
        if self._is_settled:
            if self._lookout is not None and self._wanted < self._most:
                self._look_after(sample, self._lookout)
            return self._wanted
        if self._opened is None:
            self._opened, self._grown = sample, sample.at
            return self._wanted
        seconds = sample.at - self._opened.at
        if seconds <= 0:
            return self._wanted
        if self._has_all(sample) and not self._has_all(self._opened):
            # The last ones have begun. What the others brought until now is what this is to be compared with.
            if not self._rate_before:
                self._remember(_rate(self._opened, sample), self._opened.flowing)
            self._opened = sample
        elif self._shows(self._opened, sample):
            self._judge(self._opened, sample)
        return self._wanted

    def pause(self) -> None:
        """There was nothing to do for a while: what was seen meanwhile says nothing of the connections."""
        self._opened = None

    def _look_after(self, sample: Sample, lookout: Lookout) -> None:
        """Once it is settled: whether it still brings what it did."""
        opened = self._opened = self._opened or sample
        if sample.at - opened.at < PATIENCE:
            return
        self._opened = sample
        is_idle = self._load(opened, sample) * self._cores / self._abreast * STEP < FULL
        if lookout.misses(_rate(opened, sample), is_idle=is_idle):
            lookout.reopen(self._wanted)
            self._start, self._limit, self._is_settled = self._wanted, self._most, False
            self._rate_before, self._grown, self._window = 0.0, sample.at, WINDOW

    def _load(self, opened: Sample, now: Sample) -> float:
        """What was taken of the processors, as a share of all."""
        return (now.processor - opened.processor) / (now.at - opened.at) / self._cores

    def _shows(self, opened: Sample, now: Sample) -> bool:
        """Whether enough was seen since the window was opened."""
        seconds = now.at - opened.at
        if seconds < (self._window if self._has_all(now) else INTERVAL):
            return False
        return now.received - opened.received >= GRAIN * now.flowing or seconds >= PATIENCE

    def _has_all(self, sample: Sample) -> bool:
        return sample.flowing >= self._wanted

    def _remember(self, rate: float, flowing: int) -> None:
        self._rate_before, self._flowing_before = rate, max(flowing, 1)

    def _judge(self, opened: Sample, now: Sample) -> None:
        self._opened = now
        rate = _rate(opened, now)
        if not rate:
            self._grown = now.at  # a silence says nothing about the number of connections, however long
            return
        if self._lookout is not None and (before := self._lookout.recovered(rate)) is not None:
            self._wanted, self._is_settled = before, True
            return
        load = self._load(opened, now)
        gain = self._gain(rate, now.flowing)
        step = self._carried(self._step(gain), load * self._cores / self._abreast, rate / max(now.flowing, 1))
        if step > 1:
            self._grow(step, rate, now)
        elif self._is_on_trial and gain < LEAST_GAIN:
            self._shrink(START)
        elif load > SWAMPED and self._wanted > self._cores:
            self._shrink(max(self._cores, self._wanted // STEP))
        else:
            self._look_closer(load, rate, now)

    def _look_closer(self, load: float, rate: float, now: Sample) -> None:
        """A longer look next, in which bursts and lulls even out, and what a transfer takes to begin.

        If this was one, the number is final; but one thread that fills one of several processors cannot tell whether
        the others are free or the server's: a second one tries that out, so late that it costs little if it fails.
        """
        is_close, self._window = self._window == INTERVAL, INTERVAL
        is_over = now.at - self._grown >= PATIENCE
        if self._wanted == START < min(self._abreast, self._limit):
            if is_over:
                self._grow(STEP, rate, now)
                self._is_on_trial = True
        else:
            self._is_on_trial = False
            self._is_settled = is_over or (is_close and load * STEP > FULL)

    def _carried(self, step: int, load: float, each: float) -> float:
        """How much of a step the processors carry, with `load` of them busy, for connections that bring `each`."""
        room = FULL / load if load > 0 else float(STRIDE)
        if room >= step:
            return step
        if room >= STEP:
            return STEP
        return room if step > 1 and each < SLOW and room >= LEAST_ROOM else 1

    def _grow(self, step: float, rate: float, now: Sample) -> None:
        self._wanted = min(max(int(self._wanted * step), self._wanted + 1), self._limit)
        self._is_settled = self._wanted == self._limit
        self._remember(rate, now.flowing)
        self._grown, self._window = now.at, WINDOW
        self._is_on_trial = False

    def _shrink(self, wanted: int) -> None:
        """Fewer from now on: what was too much once is not tried again, unless the number is found anew."""
        self._wanted = self._limit = wanted
        self._window = INTERVAL
        self._is_on_trial = False
        self._is_settled = wanted <= self._cores

    def _gain(self, rate: float, flowing: int) -> float:
        """What each connection that came last brings, in shares of what one brought before."""
        if not self._rate_before:
            return 0.0
        added = max(flowing / self._flowing_before - 1, 0.5)
        return (rate / self._rate_before - 1) / added

    def _step(self, gain: float) -> int:
        """How many times as many connections the gain is worth."""
        if gain >= CLEAR_GAIN:
            return STRIDE
        # What the first connection brought alone was seen too briefly to say that a second is no use.
        return STEP if gain >= LEAST_GAIN or self._wanted == self._start else 1


def _rate(first: Sample, second: Sample) -> float:
    return (second.received - first.received) / (second.at - first.at)
