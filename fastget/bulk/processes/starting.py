"""Starting a child of a pull."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.bulk.processes.alone import CHILD
from fastget.bulk.processes.attendant import Attendant
from fastget.bulk.processes.messages import Commission
from fastget.config import LEAST_MEMORY
from fastget.engine.children.launch import can_launch, launch
from fastget.engine.children.portion import share_of, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.bulk.folder import Folder
    from fastget.bulk.outcome import Sum
    from fastget.bulk.processes.attendant import Orders
    from fastget.bulk.puller import Order
    from fastget.config import Config
    from fastget.sources.lent import LentSource
    from fastget.sources.protocol import Source


def start(
    folder: Folder,
    config: Config,
    count: int,
    number: int,
    orders: Orders,
    total: Sum,
    lend: Callable[[Order[Source]], LentSource | None],
    keep: Callable[[Order[Source]], None],
) -> Attendant | None:
    """A child, one of `count` processes, and whoever attends to it (see `Attendant`); None where none can be had here.

    Raises OSError or RuntimeError where the system does not allow it.
    """
    if not can_launch():
        return None
    launched = launch(folder.descriptor, CHILD)
    attendant = Attendant(launched, number, orders, total, lend, keep, folder.shown, config.on_event)
    memory = max(LEAST_MEMORY, config.max_memory // count)
    own = without_secrets(config).merged(max_memory=memory)
    attendant.start(Commission(own, folder.path, folder.is_new, share_of(config.jobs, count), count))
    return attendant
