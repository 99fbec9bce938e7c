"""Faults by chance: each request draws from a seed whether something goes wrong with it, and what."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fastget.testing import faults
from fastget.testing.answer import Answer
from fastget.testing.fault import Fault

if TYPE_CHECKING:
    from fastget.testing.received import ReceivedRequest

# Makes a fault for an answer; the random numbers say where in it.
Draw = Callable[[random.Random, Answer], Fault]


def _somewhere(chance: random.Random, answer: Answer) -> int:
    return chance.randrange(max(1, answer.length))


# What a client recovers from by asking again.
TRANSIENT: tuple[Draw, ...] = (
    lambda chance, answer: faults.reset(after=_somewhere(chance, answer)),
    lambda chance, answer: faults.close_mid_body(after=_somewhere(chance, answer)),
    lambda chance, answer: faults.chunked_without_end(after=_somewhere(chance, answer)),
    lambda _, __: faults.reset_before_answer(),
    lambda _, __: faults.vanish_before_answer(),
    lambda _, __: faults.close_idle_connection(),
    lambda _, __: faults.slow_down(retry_after=0),
    lambda _, __: faults.internal_error(),
    lambda _, __: faults.garbage(),
)
# Lies about a range: an answer of this kind must not reach the destination, and the next one is right.
LYING: tuple[Draw, ...] = (
    lambda _, __: faults.range_shifted(),
    lambda chance, answer: faults.short(by=1 + _somewhere(chance, answer) // 2),
    lambda _, __: faults.short_of_content_range(),
    lambda _, __: faults.body_longer(),
    lambda _, __: faults.no_content_range(),
    lambda _, __: faults.multipart_byteranges(),
    lambda _, __: faults.gzip_encoded(),
    lambda _, __: faults.error_document_as_body(),
)
# What only a digest can tell.
DAMAGING: tuple[Draw, ...] = (
    lambda chance, answer: faults.flip_bit_of_body(_somewhere(chance, answer), bit=chance.randrange(8)),
    lambda _, __: faults.body_shifted(),
)
# What only a clock can tell.
SILENT: tuple[Draw, ...] = (
    lambda chance, answer: faults.stall(after=_somewhere(chance, answer)),
    lambda _, __: faults.silence(),
)


class Chaos:
    """A source of faults for `ObjectServer(faults=Chaos(...))`.

    Each GET suffers one of `draws` with the given `probability`, until `limit` faults have happened. What
    befalls a request follows from `seed`, the request (method, target, Range) and how many times it has come:
    a run repeats itself, whatever order the threads of a client come in.
    """

    def __init__(
        self, probability: float, *, seed: int, limit: int | None = None, draws: Sequence[Draw] = TRANSIENT
    ) -> None:
        self._probability = probability
        self._seed = seed
        self._limit = limit
        self._draws = tuple(draws)
        self._times: Counter[str] = Counter()
        self._names: list[str] = []
        self._lock = threading.Lock()

    @property
    def happened(self) -> tuple[str, ...]:
        """The names of the faults that have happened, in order."""
        with self._lock:
            return tuple(self._names)

    def befalling(self, request: ReceivedRequest, answer: Answer) -> tuple[Fault, ...]:
        """The fault that befalls this request, if one does."""
        if request.method != "GET":
            return ()
        with self._lock:
            if self._limit is not None and len(self._names) >= self._limit:
                return ()
            identity = f"{request.method} {request.target} {request.range}"
            self._times[identity] += 1
            chance = random.Random(f"{self._seed} {identity} {self._times[identity]}")
            if chance.random() >= self._probability:
                return ()
            fault = chance.choice(self._draws)(chance, answer)
            if not fault.when.matches(request, answer):
                return ()
            self._names.append(fault.name)
            return (fault,)

    def greeting(self, connection: int) -> Fault | None:  # noqa: ARG002 - of the protocol
        """No connection is refused by chance."""
        return None

    def use(self, fault: Fault) -> bool:  # noqa: ARG002 - of the protocol
        """A flip that was drawn happens."""
        return True

    def release(self) -> None:
        """No fault of chance holds an answer."""
