"""Bytes in memory: a buffer of fastget's own, or one of the caller's."""

from __future__ import annotations

import contextlib
import mmap
import re
from threading import Lock
from typing import TYPE_CHECKING, Self

from fastget.buffers import OwnViews, allocated
from fastget.errors import Cancelled, ConfigError, DestinationError, NoSpace, causes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from _typeshed import WriteableBuffer

    from fastget.core.journal import Identity

# From here a mapping is used: its pages come into being as workers write them, in parallel, and a server that
# declares more than it sends costs address space alone. A bytearray is filled with zeros at once, by one
# thread.
_LEAST_MAPPING = 1 << 20
# In the format of a buffer, as `T{i:name:O:other:}`.
_FIELD_NAME = ":[^:]*:"


class _Fixed:
    """A writable view of a known length. Slices copy without a lock: workers write different bytes."""

    __slots__ = ("_view", "_views")

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._views = OwnViews()

    def write(self, offset: int, data: memoryview) -> None:
        stop = offset + len(data)
        if stop > len(self._view):
            raise DestinationError(f"the buffer of {len(self._view)} bytes is too small for bytes up to {stop}")
        self._views.of(self._view)[offset:stop] = data

    def window(self, offset: int, length: int) -> memoryview | None:
        # What would lie outside is for `write` to refuse.
        return self._views.of(self._view)[offset : offset + length] if offset + length <= len(self._view) else None

    def read(self, offset: int, buffer: memoryview) -> int:
        found = self._views.of(self._view)[offset : offset + len(buffer)]
        buffer[: len(found)] = found
        return len(found)

    def finished(self, size: int) -> memoryview:
        if size > len(self._view):
            raise DestinationError(f"{len(self._view)} of {size} bytes were written")
        return self._view[:size]


class _Growing:
    """A bytearray that is as long as what was written."""

    __slots__ = ("_bytes", "_lock")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._lock = Lock()

    def write(self, offset: int, data: memoryview) -> None:
        with self._lock:
            try:
                self._write(offset, data)
            except (MemoryError, OverflowError) as error:
                raise _no_memory(offset + len(data)) from error

    def _write(self, offset: int, data: memoryview) -> None:
        missing = offset - len(self._bytes)
        if missing > 0:
            self._bytes.extend(bytes(missing))
        inside = min(len(data), len(self._bytes) - offset)
        with memoryview(self._bytes) as view:
            view[offset : offset + inside] = data[:inside]
        self._bytes += data[inside:]

    def window(self, offset: int, length: int) -> memoryview | None:
        del offset, length  # it moves when it grows
        return None

    def read(self, offset: int, buffer: memoryview) -> int:
        with self._lock, memoryview(self._bytes) as view:
            return _Fixed(view).read(offset, buffer)

    def finished(self, size: int) -> memoryview:
        return _Fixed(memoryview(self._bytes)).finished(size)


class _InMemory:
    """What both kinds of memory share: the way from open to publish."""

    is_seekable = True
    resumable = None
    path = None

    def __init__(self) -> None:
        self._store: _Fixed | _Growing | None = None
        self._room: memoryview | None = None
        self._aborted = False

    def check(self) -> None:
        """Nothing can be wrong with memory before its size is known."""

    def write_at(self, offset: int, data: memoryview) -> None:
        """Copy `data` to `offset`. Raises DestinationError, NoSpace, Cancelled after `abort`."""
        self._opened().write(offset, data)

    def window(self, offset: int, length: int) -> memoryview | None:
        """The memory itself for `length` bytes at `offset`, to receive them in place of `write_at`; None for none.

        Raises as `write_at`.
        """
        return self._opened().window(offset, length)

    def read_at(self, offset: int, buffer: memoryview) -> int:
        """Copy back into `buffer`; returns the bytes copied, 0 at the end. Raises DestinationError."""
        return self._opened().read(offset, buffer)

    def discard(self) -> None:
        """Let go of the memory that is not published. Safe to call at any time."""
        self._store = self._room = None

    def abort(self) -> None:
        """Refuse every later write, and publishing, with Cancelled. No write waits here for another."""
        self._aborted = True

    def _opened(self) -> _Fixed | _Growing:
        self._check_running()
        store = self._store
        if store is None:
            raise DestinationError("the memory is not open for writing")
        return store

    def _check_running(self) -> None:
        if self._aborted:
            raise Cancelled("the transfer to memory was told to stop")

    def _check_new(self) -> None:
        if self._store is not None:
            raise DestinationError("the memory is already being written by this transfer")


class MemorySink(_InMemory):
    """Memory that is allocated for the size of the object, or grows with it where the size is unknown."""

    def __init__(self) -> None:
        super().__init__()
        self._published: memoryview | None = None

    @property
    def buffer(self) -> memoryview:
        """The published bytes, writable and not copied. Raises DestinationError before `publish`."""
        if self._published is None:
            raise DestinationError("nothing has been published to memory")
        return self._published

    def getvalue(self) -> bytes:
        """A copy of the published bytes. Raises DestinationError before `publish`, NoSpace for want of room."""
        try:
            return bytes(self.buffer)
        except MemoryError as error:
            raise _no_memory(len(self.buffer)) from error

    def taken(self) -> bytes:
        """The same, and the sink lets go of them: what a transfer is made of lasts until the garbage is collected."""
        value, self._published = self.getvalue(), None
        return value

    def open(self, size: int | None) -> None:
        """Allocate `size` bytes. Raises NoSpace when they cannot be had."""
        self._check_new()
        self._store = _Growing() if size is None else _Fixed(allocate(size))

    def is_vacant(self) -> bool:
        """True until it is opened."""
        return self._store is None and self._published is None

    def room(self, size: int) -> memoryview:
        """Memory to receive all of a small object in, which may be `put` then."""
        self._room = memoryview(bytearray(size))
        return self._room

    def put(self, data: memoryview, identity: Identity | None) -> bool:
        """Show its `room`, or a copy of other bytes. Raises Cancelled after `abort`."""
        del identity
        self._check_new()
        self._check_running()
        self._published, self._room = data if data is self._room else memoryview(bytearray(data)), None
        return True

    def publish(self, size: int) -> None:
        """Show the first `size` bytes. Raises DestinationError if they are fewer, Cancelled on `abort`."""
        self._published = self._opened().finished(size)
        self._store = None


class BufferSink(_InMemory):
    """The caller's own writable buffer: bytearray, array, mmap, numpy or torch memory.

    It must be C-contiguous and as large as the object or larger; bytes behind the object are left alone. What
    it holds is undefined until `publish`: memory that the caller sees cannot be hidden, and `discard` gives
    back none of what was there. After that it may be opened again; the buffer is let go of by `publish`, and by leaving
    the sink as a context manager. Raises ConfigError for a buffer that cannot serve.
    """

    def __init__(self, buffer: WriteableBuffer) -> None:
        super().__init__()
        self._target: memoryview | None = as_bytes(buffer)
        self.length = len(self._target)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.discard()
        self._target = None

    def open(self, size: int | None) -> None:
        """Refuse a buffer of fewer than `size` bytes, with DestinationError."""
        self._check_new()
        self._store = _Fixed(self._fitting(size))

    def _fitting(self, size: int | None) -> memoryview:
        if self._target is None:
            raise DestinationError("the buffer has been given back to its owner")
        if size is not None and size > len(self._target):
            raise DestinationError(
                f"the buffer holds {len(self._target)} bytes, the object has {size}",
                hint="give a buffer that is as large as the object",
            )
        return self._target

    def is_vacant(self) -> bool:
        """True until it is opened, or the buffer was let go of."""
        return self._store is None and self._target is not None

    def room(self, size: int) -> memoryview:
        """The part of the buffer to receive all of a small object in, which may be `put` then. Raises as `open`."""
        self._room = self._fitting(size)[:size]
        return self._room

    def put(self, data: memoryview, identity: Identity | None) -> bool:
        """Leave its `room` to the caller, or a copy of other bytes. Raises as `open` and `publish`."""
        del identity
        self.open(len(data))
        if data is not self._room:
            self.write_at(0, data)
        self.publish(len(data))
        return True

    def publish(self, size: int) -> None:
        """Leave the first `size` bytes to the caller. Raises DestinationError, Cancelled after `abort`."""
        self._opened().finished(size)
        self.discard()
        self._target = None


@contextlib.contextmanager
def letting_go() -> Iterator[None]:
    """What is raised within holds none of the caller's memory, which could be neither closed nor resized for it."""
    try:
        yield
    except BaseException as error:
        clear_frames(error)
        raise


def clear_frames(error: BaseException | None) -> None:
    """Forget the local names that fastget's functions had when this error, or one before it, was raised."""
    for one in causes(error):
        step = one.__traceback__
        while step is not None:
            # An error that was kept for a later call holds those who had called by then, through its frames alone.
            frame: FrameType | None = step.tb_frame
            while frame is not None:
                # Of the others, those that are given memory to fill; a caller's handlers stay as they were.
                if str(frame.f_globals.get("__name__")).partition(".")[0] in ("fastget", "socket", "ssl"):
                    with contextlib.suppress(RuntimeError):  # one that still runs
                        frame.clear()
                        _ = frame.f_locals  # before Python 3.13 what somebody had seen of them stays, until seen again
                frame = frame.f_back
            step = step.tb_next


def window_of(sink: object) -> Callable[[int, int], memoryview | None] | None:
    """The `window` of a sink that is memory; None for any other."""
    return sink.window if isinstance(sink, _InMemory) else None


def room_of(sink: object, size: int) -> memoryview | None:
    """The `room` of a sink that is memory; None for any other."""
    return sink.room(size) if isinstance(sink, MemorySink | BufferSink) else None


def allocate(size: int) -> memoryview:
    """Memory of fastget's own. Raises NoSpace where there is none."""
    try:
        memory = allocated(size, _LEAST_MAPPING)
    except MemoryError as error:
        raise _no_memory(size) from error
    _prefer_large_pages(memory)
    return memory


def _prefer_large_pages(memory: memoryview) -> None:
    """Fresh memory comes page by page as it is written: 512 times as seldom where the pages have 2 MiB."""
    if isinstance(memory.obj, mmap.mmap) and hasattr(mmap, "MADV_HUGEPAGE"):
        # A wish: a kernel without them refuses it.
        with contextlib.suppress(OSError):
            memory.obj.madvise(mmap.MADV_HUGEPAGE)


def _no_memory(size: int) -> NoSpace:
    return NoSpace(f"there is no memory for {size} bytes", hint="download to a file instead")


def as_bytes(buffer: WriteableBuffer) -> memoryview:
    """A buffer of the caller's as plain bytes. Raises ConfigError for one that cannot be written that way."""
    try:
        view = memoryview(buffer)
        # A shape with a zero in it cannot be cast.
        found = view.cast("B") if view.nbytes else memoryview(bytearray())
    except (TypeError, ValueError, BufferError) as error:
        raise ConfigError(
            f"the buffer cannot be written as plain bytes: {error}",
            hint="give contiguous memory, or a view of it as uint8",
        ) from error
    if view.readonly:
        raise ConfigError("the buffer is read-only", hint="give a writable one, such as a bytearray")
    if "O" in re.sub(_FIELD_NAME, "", view.format):
        raise ConfigError("the buffer holds Python's objects, which bytes are none of", hint="give one of numbers")
    return found
