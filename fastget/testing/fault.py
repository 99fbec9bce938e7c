"""A fault as a value: what goes wrong, with which requests, how many times."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, Self

from fastget.testing.answer import Answer
from fastget.testing.received import ReceivedRequest

if TYPE_CHECKING:
    from fastget.testing.objects import StoredObject

Edit = Callable[[ReceivedRequest, Answer], Answer]


class Ending(Enum):
    """How an answer ends that does not end well."""

    CLOSE = "close"  # FIN
    RESET = "reset"  # RST
    STALL = "stall"  # silence until the client gives up


@dataclass(frozen=True, slots=True)
class Flip:
    """A bit that is flipped on its way: bit 0 to 7 of the byte at `offset` of the object, or of the body."""

    offset: int
    bit: int = 0
    of_body: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """A pause after so many body bytes (None: before the head): `reached` is set, `release` is awaited."""

    after: int | None
    reached: threading.Event
    release: threading.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an answer is put on the wire.

    `greeting` goes out before the status line. `ending` comes after `stop_after` body bytes (None: after all
    of them), or, where `before_head`, instead of an answer. `rates` are (body offset, bytes a second from
    there on or None). `surplus` follows the body. `closes` ends the connection after the answer without
    having said so.
    """

    greeting: bytes = b""
    before_head: bool = False
    stop_after: int | None = None
    ending: Ending | None = None
    rates: tuple[tuple[int, float | None], ...] = ()
    surplus: bytes = b""
    last_chunk: bool = True
    closes: bool = False
    hold: Hold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Which requests a fault befalls; every condition that is set must hold.

    `request` is the first of the matching requests, counted from 1, `every` each so-manieth of them. `part`
    is a partNumber, `offset` a byte of the object that the answer holds. `ranged` asks for a Range or
    partNumber, or for neither.
    """

    method: str | None = "GET"
    path: str | None = None
    connection: int | None = None
    part: int | None = None
    offset: int | None = None
    ranged: bool | None = None
    request: int = 1
    every: int = 1

    def matches(self, request: ReceivedRequest, answer: Answer) -> bool:
        """Whether the conditions hold, but for the counted ones."""
        wanted = (
            (self.method, request.method),
            (self.path, request.path),
            (self.connection, request.connection),
            (self.part, request.part_number),
            (self.ranged, request.range is not None or request.part_number is not None),
        )
        if any(wish is not None and wish != fact for wish, fact in wanted):
            return False
        return self.offset is None or _holds(answer, self.offset)

    def counts(self, number: int) -> bool:
        """Whether the so-manieth matching request is one of those meant."""
        return number >= self.request and (number - self.request) % self.every == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One misbehaviour, named. The catalogue of them is `fastget.testing.faults`.

    By itself it befalls the first GET, once; `on`, `times`, `every` and `always` say otherwise:

        faults.reset(after=1000).on(request=3)
        faults.slow_down(retry_after=1).on(part=2).times(4)

    `limit` is how many times it happens (None: without end). What goes wrong is any of: options of the
    `behaviour` that are different this once, an `edit` of the answer, a `flip` of a bit, a `manner` of
    sending; or `replacement`, the object that lies under the path from then on. With `at_accept` it befalls a
    connection before any request.
    """

    name: str
    when: When = When()
    limit: int | None = 1
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    edit: Edit | None = None
    flip: Flip | None = None
    manner: Manner = Manner()
    replacement: StoredObject | None = None
    at_accept: bool = False

    def on(self, **conditions: Any) -> Self:
        """The same fault on other requests; the conditions are the fields of `When`."""
        return replace(self, when=replace(self.when, **conditions))

    def times(self, limit: int) -> Self:
        """The same fault, so many times in a row."""
        return replace(self, limit=limit)

    def every(self, number: int) -> Self:
        """The same fault on each so-manieth matching request, without end."""
        return replace(self, when=replace(self.when, request=number, every=number), limit=None)

    def always(self) -> Self:
        """The same fault on every matching request."""
        return replace(self, limit=None)


class FaultSource(Protocol):
    """Where a server has its faults from. Used by many threads at once."""

    @property
    def happened(self) -> tuple[str, ...]:
        """The names of the faults that have happened, in order."""
        ...

    def befalling(self, request: ReceivedRequest, answer: Answer) -> tuple[Fault, ...]:
        """The faults that befall this request; flips only become due here, they happen in `use`."""
        ...

    def greeting(self, connection: int) -> Fault | None:
        """The fault that befalls a connection when it is accepted."""
        ...

    def use(self, fault: Fault) -> bool:
        """Let a flip happen, unless it has happened often enough."""
        ...

    def release(self) -> None:
        """End every hold, because the server is closing."""
        ...


class FaultBook:
    """A list of faults, and which of them have happened."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._seen = [0] * len(self._faults)
        self._happened = [0] * len(self._faults)
        self._names: list[str] = []
        self._lock = threading.Lock()

    @property
    def happened(self) -> tuple[str, ...]:
        """The names of the faults that have happened, in order."""
        with self._lock:
            return tuple(self._names)

    def release(self) -> None:
        """End every hold, because the server is closing."""
        for fault in self._faults:
            if fault.manner.hold is not None:
                fault.manner.hold.release.set()

    def befalling(self, request: ReceivedRequest, answer: Answer) -> tuple[Fault, ...]:
        """The faults that befall this request; flips only become due here, they happen in `use`."""
        with self._lock:
            return tuple(
                fault
                for index, fault in enumerate(self._faults)
                if not fault.at_accept and fault.when.matches(request, answer) and self._is_due(index)
            )

    def greeting(self, connection: int) -> Fault | None:
        """The fault that befalls a connection when it is accepted."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                wanted = fault.when.connection
                if fault.at_accept and wanted in (None, connection) and self._is_due(index):
                    return fault
        return None

    def use(self, fault: Fault) -> bool:
        """Let a flip happen, unless it has happened often enough."""
        with self._lock:
            index = next(index for index, known in enumerate(self._faults) if known is fault)
            if not self._is_left(index):
                return False
            self._note(index)
            return True

    def _is_due(self, index: int) -> bool:
        fault = self._faults[index]
        self._seen[index] += 1
        if not fault.when.counts(self._seen[index]) or not self._is_left(index):
            return False
        if fault.flip is None:
            self._note(index)
        return True

    def _is_left(self, index: int) -> bool:
        limit = self._faults[index].limit
        return limit is None or self._happened[index] < limit

    def _note(self, index: int) -> None:
        self._happened[index] += 1
        self._names.append(self._faults[index].name)


def merged_manner(faults: Sequence[Fault]) -> Manner:
    """The manners of several faults in one; a later fault outdoes an earlier one."""
    plain = Manner()
    changes = {
        name: getattr(fault.manner, name)
        for fault in faults
        for name in (item.name for item in fields(Manner))
        if getattr(fault.manner, name) != getattr(plain, name)
    }
    return replace(plain, **changes)


def _holds(answer: Answer, offset: int) -> bool:
    return any(segment.is_object and segment.span.start <= offset < segment.span.stop for segment in answer.segments)
