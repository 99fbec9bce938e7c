"""One child of a pull, seen from the process of the pull: what it holds, what has come of it, and its end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from fastget.bulk.processes.messages import Broken, Commission, Errand, Finish, Finished, Lot, Report
from fastget.core.straggler import UNSERVED
from fastget.engine.children.messages import Stop
from fastget.engine.children.process import ChildProcess
from fastget.events import Done
from fastget.warn import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastget.bulk.outcome import Sum
    from fastget.bulk.puller import Order
    from fastget.engine.children.launch import Launched
    from fastget.events import Event
    from fastget.sources.lent import LentSource
    from fastget.sources.protocol import Source

# Orders that are looked at in vain, at most, before others are served.
_MOST_VAIN = 32


class Orders(Protocol):
    """What waits to be fetched by whoever is free next."""

    def take(self) -> Order[Source] | None:
        """The next one, if one is ready."""
        ...

    def give_back(self, order: Order[Source]) -> None:
        """It is for others."""
        ...


class Attendant:
    """Serves one child from a thread of its own, until it is gone; what it held then goes back to the `orders`.

    `lend` gives an order's plain request, None where it is for this process; `keep` is told of those that have come
    back; `shown` makes a result's path of an order's.
    `finished` counts what is here, `threads` are those of the child.
    """

    def __init__(
        self,
        launched: Launched,
        number: int,
        orders: Orders,
        total: Sum,
        lend: Callable[[Order[Source]], LentSource | None],
        keep: Callable[[Order[Source]], None],
        shown: Callable[[str], str],
        notify: Callable[[Event], None] | None,
    ) -> None:
        self.finished = self.threads = self.returned = 0
        self.has_died = False
        self.error: BaseException | None = None
        self._child = ChildProcess(launched, f"pull-process-{number}", self._attend)
        self._orders = orders
        self._total = total
        self._lend = lend
        self._keep = keep
        self._shown = shown
        self._notify = notify
        self._lock = threading.Lock()
        # Held by whoever gives: others have no need to.
        self._giving = threading.Lock()
        self._has_finished = False
        self._held: dict[str, Order[Source]] = {}
        self._due = self._given = 0
        self._is_gone = self._is_ending = False
        # Seconds since others have brought something, and this child nothing; and what they had brought before.
        self._behind, self._others, self._has_news = 0.0, 0, False

    # In the thread of the pull -----------------------------------------------------------------------------------

    def start(self, commission: Commission) -> None:
        """Begin. Raises RuntimeError where the system gives no more threads; the child is gone then."""
        self._child.start(commission)

    def look(self, patience: float, others: int) -> None:
        """Give what there is to give; end a child that says nothing for `patience` seconds, or has died unnoticed.

        `others`: what the process of the pull has done itself. Where that has grown for long, and a child that holds
        errands brings none, it is ended as well: the server may serve no more connections.
        """
        passed = self._child.look(patience)
        if self._has_news or not self._held:
            self._has_news, self._behind, self._others = False, 0.0, others
        elif others > self._others:
            self._behind += passed
        if self._behind > UNSERVED:
            self._child.kill()
        self._give()

    def finish(self) -> None:
        """Ask it to end, once it holds nothing."""
        self._is_ending = True
        self._child.post(Finish())

    def stop(self) -> None:
        """Ask it to end at once."""
        self._is_ending = True
        self._child.post(Stop())

    def has_ended(self, patience: float) -> bool:
        """Whether the child and the thread are gone, within so many seconds."""
        return self._child.has_ended(patience)

    def join(self, patience: float) -> None:
        """See `ChildProcess`."""
        self._child.join(patience)

    # In a thread of its own ------------------------------------------------------------------------------------

    def _attend(self) -> None:
        try:
            for message in self._child.messages():
                if isinstance(message, Report):
                    self._take(message)
                elif isinstance(message, Finished):
                    self._has_finished = True
                elif isinstance(message, Broken):
                    self.error = self.error or message.failure.unpacked()
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self.error = self.error or error
        finally:
            self._child.bury()
            self._take_back()

    def _take(self, report: Report) -> None:
        if report.landed or report.returned:
            self._has_news = True
        self.threads = report.threads
        self._due = report.due
        for result in report.landed:
            self._held.pop(result.path or "")
            self._total.add(result)
            if self._notify is not None:
                self._notify(Done(result))
        for path in report.returned:
            order = self._held.pop(self._shown(path))
            self._keep(order)
            self._orders.give_back(order)
        self.returned += len(report.returned)
        # Last: whoever sees that all is done must find it in the sum.
        self.finished += len(report.landed)
        self._give()

    def _give(self) -> None:
        """Make errands of orders, as many as are due; nobody waits for whoever does so already."""
        if not self._is_ending and self._giving.acquire(blocking=False):
            try:
                errands = tuple(self._errands())
                if errands:
                    self._child.post(Lot(errands))  # does not wait
            finally:
                self._giving.release()

    def _errands(self) -> Iterator[Errand]:
        vain: list[Order[Source]] = []
        while self._given < self._due and len(vain) < _MOST_VAIN and (order := self._orders.take()) is not None:
            source = self._lend(order)
            if source is None or not self._hold(order):
                vain.append(order)
                continue
            self._given += 1
            yield Errand(source, order.path, order.item.size, order.item.checksum)
        for order in vain:
            self._orders.give_back(order)

    def _hold(self, order: Order[Source]) -> bool:
        """False where the child is gone."""
        with self._lock:
            if not self._is_gone:
                self._held[self._shown(order.path)] = order
            return not self._is_gone

    # Its end ---------------------------------------------------------------------------------------------------

    def _take_back(self) -> None:
        """What the child held is fetched by this process."""
        with self._lock:
            self._is_gone = True
            held, self._held = self._held, {}
        self.threads = 0
        self.has_died = not self._has_finished
        if self._has_finished:
            return
        if not self._is_ending:
            warn("fastget", "a process that shared the pull %s", self._child.end)
        for order in held.values():
            self._keep(order)
            self._orders.give_back(order)
