"""What fastget does with an object by itself: how many connections it takes, and what they bring."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from fastget.cli.bench_wording import ByItself
from fastget.errors import Cancelled
from fastget.events import Event, Progress

if TYPE_CHECKING:
    from fastget.client import Client

# In windows of a measurement: fastget looks for the number of connections first, and is then measured.
WINDOWS = 3
# The part of it that is measured, at its end.
SETTLED = 0.5
# Of the bytes that all measurements may fetch, this one's share.
SHARE = 8


def measure_default(client: Client, url: str, seconds: float, most_bytes: int) -> ByItself | None:
    """Download an object to nowhere, without a flag, for a moment; None where too little came to tell by.

    Raises FastgetError.
    """
    from fastget.engine.cancellation import Cancellation

    samples: list[Progress] = []
    cancellation = Cancellation()

    def handle(event: Event) -> None:
        if isinstance(event, Progress):
            samples.append(event)
            if event.received >= most_bytes // SHARE:
                cancellation.cancel()

    alarm = threading.Timer(seconds * WINDOWS, cancellation.cancel)
    alarm.start()
    try:
        client.transfer_to_file(
            url,
            os.devnull,
            cancellation,
            connections=None,
            part_size=None,
            checksum=None,
            require_verified=False,
            on_event=handle,
        )
    except Cancelled:
        if not cancellation.is_cancelled:
            raise
    finally:
        alarm.cancel()
        alarm.join()
    return _settled(samples)


def _settled(samples: list[Progress]) -> ByItself | None:
    """The rate of the second half of the time."""
    if not samples:
        return None
    last = samples[-1]
    first = next(sample for sample in samples if sample.seconds >= last.seconds * SETTLED)
    seconds = last.seconds - first.seconds
    if seconds <= 0 or last.received <= first.received:
        return None
    return ByItself(last.connections, (last.received - first.received) / seconds, last.seconds)
