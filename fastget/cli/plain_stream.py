"""One connection, for comparison: what a download without fastget's machinery would reach here."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.errors import Cancelled
from fastget.events import Progress, Started
from fastget.records import record

if TYPE_CHECKING:
    from fastget.client import Client
    from fastget.events import Event, EventHandler

NAME = "one plain stream"
LONGEST = 3.0


@record
class PlainStream:
    """What one connection brought: `size` bytes in `seconds`, `rate` in bytes per second.

    `rate` leaves out the time to the first bytes; `is_whole` says that the object ended first.
    """

    size: int
    seconds: float
    rate: float
    is_whole: bool

    def time_for(self, size: int) -> float:
        """Seconds for `size` bytes: measured where the stream was whole, else estimated."""
        return self.seconds if self.is_whole else self.seconds + max(0, size - self.size) / self.rate


def measure(client: Client, url: str, on_event: EventHandler) -> PlainStream | None:
    """Read an object over one connection for at most `LONGEST` seconds and throw it away.

    None where too little came to tell by. Raises FastgetError.
    """
    from fastget.engine.cancellation import Cancellation

    samples: list[Progress] = []

    def handle(event: Event) -> None:
        if isinstance(event, Progress) and event.received:
            samples.append(event)
        on_event(replace(event, path=NAME) if isinstance(event, Started) else event)

    cancellation = Cancellation()
    alarm = threading.Timer(LONGEST, cancellation.cancel)
    alarm.start()
    try:
        result = client.transfer_to_file(
            url,
            os.devnull,
            cancellation,
            connections=1,
            require_verified=False,
            checksum=None,
            on_event=handle,
        )
    except Cancelled:
        return _estimate(samples)
    finally:
        alarm.cancel()
        alarm.join()
    return PlainStream(result.size, result.seconds, result.size / max(result.seconds, 1e-9), is_whole=True)


def _estimate(samples: list[Progress]) -> PlainStream | None:
    if len(samples) < 2 or samples[-1].received == samples[0].received:
        return None
    first, last = samples[0], samples[-1]
    rate = (last.received - first.received) / (last.seconds - first.seconds)
    return PlainStream(last.received, last.seconds, rate, is_whole=False)
