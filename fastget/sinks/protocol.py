"""What the engine asks of a sink: a place for the bytes that shows nothing until it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from fastget.records import record

if TYPE_CHECKING:
    from fastget.core.journal import Claim, Identity
    from fastget.core.ranges import Span


@record
class Leftover:
    """What an earlier download of the same object has left. Nothing of it is to be believed before it is read again.

    `refused` says why what was found is of no use, None where nothing was found or it is used. `is_elsewhere`: the
    claimed bytes are in another file, and have to be written to the sink before they count.
    """

    claims: tuple[Claim, ...] = ()
    refused: str | None = None
    is_elsewhere: bool = False


class ExistingFile(Protocol):
    """A regular file that stands under the final name before the download. It is to be closed."""

    @property
    def size(self) -> int: ...

    def may_be_from(self, place: Identity) -> bool:
        """Whether it is worth a question whether it is a copy of the object at that place; sizes are not looked at."""
        ...

    def is_copy_of(self, identity: Identity) -> bool:
        """Whether it was published as this very version of this object, and has not been touched since."""
        ...

    def read_at(self, offset: int, buffer: memoryview) -> int: ...

    def is_unchanged(self) -> bool:
        """Whether it is still the one, and as it was when it was opened."""
        ...

    def close(self) -> None: ...


class Resumable(Protocol):
    """A sink that can be left unfinished and gone on with, by another process."""

    def leftover(self) -> Identity | None:
        """Of which object an earlier download has left something here; costs next to nothing where there is none.

        Raises DestinationError where a download is running.
        """
        ...

    def clear(self) -> None:
        """Take away what an earlier download has left. Raises DestinationError where a download is running."""
        ...

    def existing(self) -> ExistingFile | None:
        """The file that stands under the final name, if there is one that may be replaced."""
        ...

    def begin(self, size: int, identity: Identity, *, is_journalled: bool) -> Leftover:
        """As `open`, but take over what was left of this object, and keep a journal if `is_journalled`.

        Raises NoSpace, DestinationError; also where another process is at work on the same destination.
        """
        ...

    def read_claimed(self, offset: int, buffer: memoryview) -> int:
        """Read what was left, as `Sink.read_at` does."""
        ...

    def claim(self, span: Span, digest: bytes) -> None:
        """These bytes have been written, and this is their xxh3-64. From any thread; never fails."""
        ...

    def withdraw(self, span: Span) -> None:
        """Nothing that was claimed of these bytes holds any more."""
        ...

    def beat(self) -> None:
        """Show, now and then, that this process is at work."""
        ...

    def keep(self) -> bool:
        """As `discard`, but leave to the next download what has landed; whether anything is left."""
        ...


@runtime_checkable
class WholeSink(Protocol):
    """A sink that takes a small object in one piece, verified before, in the place of everything from `open` on."""

    @property
    def path(self) -> str | None:
        """As `Sink.path`."""
        ...

    def is_vacant(self) -> bool:
        """Whether nothing stands at the destination, and nothing of an earlier download beside it."""
        ...

    def put(self, data: memoryview, identity: Identity | None) -> bool:
        """Publish these bytes, of this object, as `Sink.publish` does; False, and nothing done, where that is not
        possible at once.

        Raises NoSpace, DestinationError, Cancelled after `abort`.
        """
        ...


class HeldUp(NamedTuple):
    """The offset of the next byte that an ordered sink can let go, and of later ones that writers wait with."""

    front: int
    waiting: tuple[int, ...]


@runtime_checkable
class OrderedSink(Protocol):
    """A sink whose writers may have to wait until others have brought what comes before their bytes."""

    def held_up(self) -> HeldUp:
        """Where the front is, and who waits for it, from front to back. From any thread."""
        ...

    def recall(self, offset: int) -> bool:
        """From any thread: the `write_at` that waits at `offset` ends with Cancelled, having written nothing.

        False where none waits there any more.
        """
        ...


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

    @property
    def resumable(self) -> Resumable | None:
        """The same sink as one that can be gone on with, where it is one and that is wanted."""
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
        """Take back everything that is not published. Safe to call at any time, and after `publish`.

        A sink that `is_seekable` may be opened again, for another try.
        """
        ...

    def abort(self) -> None:
        """From any thread: end every `write_at` that waits for its turn, with Cancelled."""
        ...
