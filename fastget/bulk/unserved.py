"""Threads of a pull that a server leaves without an answer, because it serves no more connections at once.

As engine/workers/rescue.py for the connections of one object. Time alone condemns nobody: only one whose connection has
never been answered is judged, and only by what came to the others of the same server since it asked.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Protocol

from fastget.core.straggler import UNSERVED, UNSERVED_SHARE
from fastget.records import record, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.core.urls import Origin
    from fastget.engine.download.transfer import Transfer
    from fastget.engine.exchange.line import Line

# Seconds between two looks.
LOOK = 0.25


class Asker(Protocol):
    """What one thread asks with; another may read it at any time. Times are those of `time.monotonic`."""

    @property
    def asked(self) -> float | None:
        """When the request went out that waits for the first answer of its connection; None where none does."""
        ...

    @property
    def answered(self) -> float:
        """When the latest answer came."""
        ...

    @property
    def longest_wait(self) -> float:
        """Seconds until the slowest answer."""
        ...

    @property
    def received(self) -> int:
        """Bytes of the large object that is on its way; another number than before says that they flow."""
        ...

    @property
    def server(self) -> Origin | None:
        """Whom it asks."""
        ...


class Asking:
    """Implements `Asker` for a thread that fetches over lines, and by transfers. That thread tells it what is next.

    While `is_patient` it is not to be given up, however long it waits.
    """

    def __init__(self) -> None:
        self.is_given_up = False
        self.is_patient = False
        self._line: Line | None = None
        self._transfer: Transfer | None = None
        self._slowest = 0.0
        # Who brought the latest transfer to its end, and when that was.
        self._brought: tuple[Origin | None, float] = (None, 0.0)

    def over(self, line: Line) -> None:
        """The next requests go out over this line."""
        if line is not self._line:
            self._slowest = self.longest_wait
            self._line = line

    def by(self, transfer: Transfer | None) -> None:
        """A transfer begins; None: it has ended."""
        self._slowest = self.longest_wait
        if transfer is None and self.received:
            self._brought = (self.server, time.monotonic())
        self._transfer = transfer

    @property
    def asked(self) -> float | None:
        transfer, line = self._transfer, self._current
        # What has begun to flow watches over its connections itself.
        if line is None or self.is_patient or (transfer is not None and transfer.received):
            return None
        return line.asked

    @property
    def answered(self) -> float:
        if (line := self._current) is None:
            return 0.0
        server, at = self._brought
        return max(line.answered, at) if server == line.origin else line.answered

    @property
    def longest_wait(self) -> float:
        return max(self._slowest, line.longest_wait) if (line := self._current) is not None else self._slowest

    @property
    def received(self) -> int:
        return transfer.received if (transfer := self._transfer) is not None else 0

    @property
    def server(self) -> Origin | None:
        return line.origin if (line := self._current) is not None else None

    def blame_mute(self) -> bool:
        """As `Line.blame_mute`, of what is waited for."""
        return (line := self._current) is not None and line.blame_mute()

    def give_up(self) -> None:
        """From another thread: end the request that waits, with Cancelled."""
        self.is_given_up = True
        if (transfer := self._transfer) is not None:
            transfer.cancellation.cancel()
        elif (line := self._line) is not None:
            line.cut()

    @property
    def _current(self) -> Line | None:
        return self._line if (transfer := self._transfer) is None else transfer.opening_line


@record
class Unserved:
    """One that is in vain at its server, which serves `served` others at once.

    Where that is none, connections that nobody uses may be in its place; or the server is slow.
    """

    index: int
    served: int


@state
class _Flow:
    """What was received at the last look, and the moment that it has flowed after, at the latest."""

    received: int = 0
    since: float = 0.0


@record
class _Seen:
    """One of the askers: since when it waits, infinite where it does not, and when it last heard of its server."""

    server: Origin | None
    asked: float
    heard: float
    is_given_up: bool


class Watch:
    """Finds the unserved among the askers of one pull. Safe in many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked = 0.0
        self._flows: dict[int, _Flow] = {}
        # The slowest answer of each server, until it is known to leave some without one: those then come late, too.
        self._usual: dict[Origin | None, float] = {}
        self._short: set[Origin | None] = set()
        self._given_up: set[int] = set()
        # Requests that nobody else was served instead of.
        self._alone: dict[int, float] = {}

    def look(self, askers: Sequence[Asker], now: float) -> list[Unserved]:
        """The unserved by their indexes; nobody where the last look was a moment ago. A slow request is named once.

        Whoever was among them is no example for others any more: so some who are served are always left.
        """
        with self._lock:
            if now - self._looked < LOOK:
                return []
            before, self._looked = self._looked, now
            self._learn_usual(askers)
            seen = [self._see(asker, before) for asker in askers]
            late = {index for index, one in enumerate(seen) if self._is_late(one, now)}
            examples = [one for index, one in enumerate(seen) if index not in late and not one.is_given_up]
            found = []
            for index in late:
                served = sum(one.server == seen[index].server and one.heard > seen[index].asked for one in examples)
                if served:
                    found.append(Unserved(index, served))
                    self._short.add(seen[index].server)
                    self._given_up.add(id(askers[index]))
                elif self._alone.get(id(askers[index])) != seen[index].asked:
                    self._alone[id(askers[index])] = seen[index].asked
                    found.append(Unserved(index, 0))
            return found

    def _learn_usual(self, askers: Sequence[Asker]) -> None:
        """Of the servers that are asked now: a list may lead to a million of them."""
        usual = {server: wait for server, wait in self._usual.items() if server in self._short}
        for asker in askers:
            if (server := asker.server) not in self._short:
                usual[server] = max(usual.get(server, 0.0), asker.longest_wait)
        self._usual = usual

    def _see(self, asker: Asker, before: float) -> _Seen:
        server, asked = asker.server, asker.asked
        heard = max(asker.answered, self._flowed(asker, before))
        return _Seen(server, math.inf if asked is None else asked, heard, id(asker) in self._given_up)

    def _is_late(self, seen: _Seen, now: float) -> bool:
        return now - seen.asked >= self._patience(seen.server)

    def _patience(self, server: Origin | None) -> float:
        """As `is_unserved`, but without a bound: what is slow for all is slow, and nothing is in vain there."""
        return max(UNSERVED, UNSERVED_SHARE * self._usual.get(server, 0.0))

    def _flowed(self, asker: Asker, before: float) -> float:
        flow, received = self._flows.setdefault(id(asker), _Flow()), asker.received
        if received != flow.received:
            flow.received, flow.since = received, before
        return flow.since
