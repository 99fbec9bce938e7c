"""Whether a pull may have several processes; and what stands in their place where it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.config import LEAST_MEMORY
from fastget.engine.threads import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.bulk.folder import Folder
    from fastget.bulk.outcome import Sum
    from fastget.bulk.processes.company import Company, Lender
    from fastget.config import Config

# Where as many as pay are wanted: more than these were never measured.
AUTOMATIC = 4
# The module that a child runs.
CHILD = "fastget.bulk.processes.child"


class Alone:
    """A company of one: see `Company`."""

    count = worked = 1
    finished = threads = 0
    error = None
    sums: tuple[Sum, ...] = ()

    def look(self, orders: object, finished: int, outstanding: int, *, may_grow: bool) -> None:
        """Nobody else is there."""

    def finish(self, on_look: Callable[[], None]) -> None:
        """Nobody else is there."""

    def stop(self) -> None:
        """Nobody else is there."""


def company_for(folder: Folder, config: Config, lender: Lender) -> Alone | Company:
    """Who shares a pull; `config.on_event` may be called from any thread."""
    count = processes_for(config, usable_cores())
    if count < 2:
        return Alone()
    from fastget.bulk.processes.company import Company

    return Company(folder, config, count, lender)


def processes_for(config: Config, cores: int) -> int:
    """How many processes a pull may have, the first among them."""
    # A limit on the rate is one of this process; parts are for whoever knows how an object is laid out.
    if config.limit_rate is not None or config.split == "part":
        return 1
    wanted = config.processes
    if wanted is None:
        # So many objects at a time, and nothing said of processes: the threads of this one.
        wanted = min(cores, AUTOMATIC) if config.jobs is None else 1
    return max(1, min(wanted, config.jobs or wanted, config.max_memory // LEAST_MEMORY))
