"""What the engine asks of a sink: a place for the bytes that shows nothing until it is told to."""

from __future__ import annotations

from typing import Protocol


class Sink(Protocol):
    """A destination of one transfer. `write_at` and `read_at` are called from many threads at once.

    The contract suite in tests/sinks/ holds for every implementation.
    """

    @property
    def path(self) -> str | None:
        """The final name for people, or None."""
        ...

    @property
    def is_seekable(self) -> bool:
        """Whether bytes may be read back and written again (repair, and digests that follow the written front)."""
        ...

    def check(self) -> None:
        """Refuse, before any request, what cannot work: no such directory, not writable, a directory as the target.

        Raises DestinationError.
        """
        ...

    def open(self, size: int | None) -> None:
        """Make room for `size` bytes (None: unknown).

        Raises NoSpace, before the first byte is written, when they cannot fit, DestinationError otherwise.
        """
        ...

    def write_at(self, offset: int, data: memoryview) -> None:
        """Write all of `data` at `offset`. A sink that is not seekable waits until everything before it is written.

        Raises NoSpace, DestinationError, Cancelled after `abort`.
        """
        ...

    def read_at(self, offset: int, buffer: memoryview) -> int:
        """Read back what was written, as `os.preadv` does; only where `is_seekable`."""
        ...

    def publish(self, size: int) -> None:
        """Make the `size` bytes visible under the final name, durably where the options say so.

        Raises NoSpace, DestinationError; the destination is then as it was before.
        """
        ...

    def discard(self) -> None:
        """Take back everything that is not published. Safe to call at any time, and after `publish`."""
        ...

    def abort(self) -> None:
        """From any thread: end every `write_at` that waits for its turn, with Cancelled."""
        ...
