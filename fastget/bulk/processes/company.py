"""The children of one pull: when one more pays, and their end."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol

from fastget.bulk.outcome import Sum
from fastget.bulk.processes.alone import CHILD
from fastget.core.reinforcement import Load, Reinforcement
from fastget.engine.children.standby import stands_by
from fastget.engine.small.plain import LARGEST as SMALL
from fastget.errors import FastgetError
from fastget.warn import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.bulk.folder import Folder
    from fastget.bulk.processes.attendant import Attendant, Orders
    from fastget.bulk.puller import Order
    from fastget.config import Config
    from fastget.sources.lent import LentSource
    from fastget.sources.protocol import Source

# Seconds between two looks at the end.
_LOOK = 0.02
# A child that sends back one of so many has the wrong kind of objects, or an ailing server, before it.
_MOST_RETURNED, _LEAST_SEEN = 0.25, 32


class Lender(Protocol):
    """What makes requests for others to send."""

    def lend(self, source: Source) -> LentSource | None:
        """The plain request of a source; None where that is better kept. Raises what `Source.get` does."""
        ...


class Company:
    """Use `look` in the thread of the pull, a few times a second, then `finish` or `stop`.

    `count` is the most processes there can be. `finished` counts what the children have brought, `threads` theirs,
    `worked` the processes that have had a share, the one of the pull among them.
    """

    def __init__(self, folder: Folder, config: Config, count: int, lender: Lender) -> None:
        self.sums: list[Sum] = []
        self._folder = folder
        self._config = config
        self.count = count
        self._lender = lender
        self._reinforcement = Reinforcement(
            count - 1, is_asked_for=config.processes is not None, stands_by=stands_by(CHILD)
        )
        self._attendants: list[Attendant] = []
        # What has come back, by its path.
        self._kept: set[str] = set()
        self._is_lending = True

    @property
    def finished(self) -> int:
        return sum(attendant.finished for attendant in self._attendants)

    @property
    def threads(self) -> int:
        return sum(attendant.threads for attendant in self._attendants)

    @property
    def worked(self) -> int:
        return 1 + sum(attendant.finished > 0 for attendant in self._attendants)

    @property
    def error(self) -> BaseException | None:
        """What has gone wrong in a child, and ends the pull."""
        return next((one.error for one in self._attendants if one.error is not None), None)

    def look(self, orders: Orders, finished: int, outstanding: int, *, may_grow: bool) -> None:
        """Give what there is to give, and start one more child where that pays and `may_grow`.

        `finished` counts what this process has done, `outstanding` what is named and not done.
        """
        for attendant in self._attendants:
            attendant.look(self._config.stall_timeout, finished)
        if any(one.has_died or _is_in_vain(one) for one in self._attendants):
            self._reinforcement.end()
            self._is_lending = False
        if may_grow and not self._reinforcement.is_over:
            load = Load(time.monotonic(), finished, outstanding, time.process_time())
            if self._reinforcement.pays(load):
                self._add(orders)

    def finish(self, on_look: Callable[[], None]) -> None:
        """End them all, after the last object is here; the names are on the disk then, as far as they can be."""
        for attendant in self._attendants:
            attendant.finish()
        for attendant in self._attendants:
            while not attendant.has_ended(_LOOK):
                on_look()
        if self._config.fsync and any(attendant.has_died for attendant in self._attendants):
            os.sync()  # whoever has died cannot say which directories it has left without a flush

    def stop(self) -> None:
        """End them all, at once."""
        if self._attendants:
            from fastget.engine.children.process import end_all

            end_all(self._attendants)

    def _add(self, orders: Orders) -> None:
        # Most pulls have no children, and load no more than they need.
        from fastget.bulk.processes.starting import start

        number, total = len(self._attendants) + 1, Sum()
        try:
            attendant = start(self._folder, self._config, self.count, number, orders, total, self._lend, self._keep)
        except (OSError, RuntimeError) as error:
            warn("fastget", "no more processes can be started: %s", error)
            attendant = None
        if attendant is None:
            self._reinforcement.end()
            return
        self.sums.append(total)
        self._attendants.append(attendant)

    def _lend(self, order: Order[Source]) -> LentSource | None:
        size = order.item.size
        if not self._is_lending or order.path in self._kept or (size is not None and size > SMALL):
            return None
        try:
            return self._lender.lend(order.source)
        except FastgetError:
            return None  # whoever fetches it here says why

    def _keep(self, order: Order[Source]) -> None:
        self._kept.add(order.path)


def _is_in_vain(attendant: Attendant) -> bool:
    seen = attendant.finished + attendant.returned
    return seen >= _LEAST_SEEN and attendant.returned > seen * _MOST_RETURNED
