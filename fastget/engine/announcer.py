"""Events on their way to the caller's handler: kept by whoever has one to tell, delivered in the caller's thread."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastget.events import Event, EventHandler


class Announcer:
    """Holds events until the caller's thread comes by: handlers never run in a worker's."""

    def __init__(self, handler: EventHandler | None) -> None:
        self._handler = handler
        self._events: deque[Event] = deque()

    @property
    def is_heard(self) -> bool:
        return self._handler is not None

    def keep(self, event: Event) -> None:
        """Keep an event for the caller's thread; from any thread."""
        if self._handler is not None:
            self._events.append(event)

    def tell(self, event: Event) -> None:
        """Keep an event and deliver; from the caller's thread."""
        self.keep(event)
        self.deliver()

    def deliver(self) -> None:
        """Hand over everything that is kept, in order; from the caller's thread."""
        while self._handler is not None and self._events:
            try:
                self._handler(self._events.popleft())
            except Exception:
                # A reader's fault is not the download's: it is told once, and not called again.
                self._handler = None
                import logging

                logging.getLogger("fastget.events").exception("the event handler failed; it gets no more events")
