"""What a pass is given and what it reports: the task, its counts, where bytes and digests go, why it begins anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from fastget.errors import SourceChanged
from fastget.records import record, state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastget.config import Config
    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.objectinfo import ObjectInfo
    from fastget.core.planner import Plan
    from fastget.engine.exchange.stores import Store
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import Source, StoreTraits

# What takes the bytes from an offset on.
Write = Callable[[int, memoryview], None]


class Replan(Exception):
    """The plan rested on something that the store does not do: start again with another one.

    A message between rooms of the engine; it never leaves it.
    """

    def __init__(
        self,
        *,
        stream: bool = False,
        no_part_numbers: bool = False,
        exact_layout: bool = False,
        seen: tuple[bytes, ...] | None = None,
    ) -> None:
        super().__init__("another plan is needed")
        self.seen = seen
        self.stream = stream
        self.no_part_numbers = no_part_numbers
        self.exact_layout = exact_layout

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (dict(self.__dict__),)


def _rebuild(lesson: dict[str, Any]) -> Replan:
    return Replan(**lesson)


@state
class Tally:
    """Counts of one transfer, for its progress and its result. Bytes and events.

    `resumed` bytes were there already, `discarded` are those of both kinds that no longer count.
    """

    received: int = 0
    discarded: int = 0
    resumed: int = 0
    verified: int = 0
    requests: int = 0
    retries: int = 0
    repairs: int = 0
    rescues: int = 0
    kept: int | None = None
    """What had landed before the pass that is run, where that one lands nothing."""

    @property
    def landed(self) -> int:
        return self.received + self.resumed - self.discarded if self.kept is None else self.kept

    @contextmanager
    def landing_nothing(self) -> Iterator[None]:
        """What is received meanwhile is written nowhere."""
        self.kept = landed = self.landed
        try:
            yield
        finally:
            self.kept = None
            self.discarded += self.landed - landed


@record
class Task:
    """What is to be done: facts that stay as they are while the workers run."""

    source: Source
    info: ObjectInfo
    traits: StoreTraits
    plan: Plan
    sink: Sink
    config: Config
    can_resume: bool
    """Whether what is missing may be asked for by range: the server serves them, and the pin holds them together."""
    content_is_checked: bool
    """Whether a digest is going to tell if bytes of another version came in between."""
    in_order: bool
    """Whether chunks are handed out from front to back: for a sink, or a digest, that follows the front."""
    store: Store
    """What other objects of the same store have taught about it."""

    @property
    def can_go_on(self) -> bool:
        """Whether what is missing may be asked for by range after a stream has broken.

        One that told no length goes on by a range, which tells it, where it cannot be begun anew as a file is.
        """
        if self.info.size is not None or self.sink.is_seekable:
            return self.can_resume
        return self.can_resume or (self.info.accepts_ranges is not False and self.info.pin.is_strong)

    def source_changed(self, reason: str) -> SourceChanged:
        """The error for an answer that is of another object than the first one."""
        url = self.source.display_url
        return SourceChanged(
            f"{url} changed during the download: {reason}", hint="run it again to fetch the new object", url=url
        )


class Recorder(Protocol):
    """Where the digests of landed chunks go. Called under the job's lock."""

    def record(self, index: int, digests: Mapping[Algorithm, bytes]) -> bool:
        """Take the digests of a chunk; True when the pass has found what it was run for and may end early."""
        ...


class NoRecord:
    """A recorder where nothing is to be recorded: no digest is declared, or another process has the ledger."""

    def record(self, index: int, digests: Mapping[Algorithm, bytes]) -> bool:
        del index, digests
        return False


def write_nothing(offset: int, data: memoryview) -> None:
    """Where bytes are fetched for their digests alone, or have been received where they belong."""
    del offset, data
