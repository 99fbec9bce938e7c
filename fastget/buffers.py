"""The memory that payload passes through: every buffer comes from a bounded pool, and goes back to it.

One pool for all transfers of the process that have the same bound: a client for each call, as the plain functions make
it, would bound nothing. Nobody ever waits for a buffer, so that no two transfers can wait for each other
(docs/design/0008-memory.md).
"""

from __future__ import annotations

import mmap
import sys
import threading
from typing import TYPE_CHECKING, Any, Self
from weakref import ref

from fastget.errors import NoSpace
from fastget.interrupts import is_of_handler

if TYPE_CHECKING:
    from types import TracebackType

# Bytes without which nothing moves: what a transfer gets when all is lent, and the smallest of all buffers.
LEAST = 16 * 1024
# A buffer takes at most this share of what is free, so that the next one finds something.
_SHARE = 4
# This share of the bound stays free of what could also wait: for transfers that begin.
_RESERVE = 8
# Whether one thread runs at a time. An import may make it so later on; nothing ends it.
HAS_LOCK: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
# From here on memory is mapped: given back, it is the system's again, and no hole in the heap. All of it is, where
# threads run at once: a bytearray minds how many views of it are counted.
_LEAST_MAPPING = 128 * 1024 if HAS_LOCK else 0


class Buffer:
    """Memory lent by a pool: `view` of `len()` bytes, until `close`. A context manager."""

    __slots__ = ("__weakref__", "_pool", "view")

    def __init__(self, pool: Buffers, view: memoryview) -> None:
        self._pool = pool
        self.view = view

    def __len__(self) -> int:
        return len(self.view)

    def close(self) -> None:
        """Give it back; the memory will be another's. Safe to call again."""
        self._pool.take_back(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Buffers:
    """Buffers of at most `bound` bytes together; safe in many threads, none of which ever waits here.

    The one thing that goes beyond the bound is the first buffer of a transfer that finds everything lent: LEAST bytes.
    Sizes are powers of two. What comes back is kept for the next one as long as anything is lent.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._lock = threading.RLock()
        self._held = 0
        # Those of a buffer that nobody has any more, as its taker was interrupted, count until they are looked for. A
        # finalizer would be told at once, but an interrupt that came as it ran would be lost.
        self._lent: dict[ref[Buffer], int] = {}
        # The memory itself; each lending has a view of its own, as slices of an earlier one may live on, in an error.
        self._idle: dict[int, list[Any]] = {}
        self._idle_bytes = 0

    @property
    def held(self) -> int:
        """Bytes that are lent now."""
        with self._lock:
            self._look_for_lost()
            return self._held

    @property
    def resident(self) -> int:
        """Bytes of all memory that the pool has, lent or not."""
        return self.held + self._idle_bytes

    def lend(self, most: int) -> Buffer:
        """A buffer of `most` bytes, or a smaller one where little is free; of LEAST bytes where nothing is.

        Raises NoSpace where the system has no memory.
        """
        with self._lock:
            return self._take(self._fitting(most))

    def offer(self, most: int) -> Buffer | None:
        """The same for what is useful and not needed: None where nothing is free. Raises NoSpace."""
        with self._lock:
            size = self._fitting(most)
            return self._take(size) if self._is_spare(size) else None

    def spare(self, least: int) -> Buffer | None:
        """A buffer of `least` bytes or more; None where they are not free. Raises NoSpace."""
        size = _rounded(least)
        with self._lock:
            return self._take(size) if self._is_spare(size) else None

    def take_back(self, buffer: Buffer) -> None:
        """For `Buffer.close`."""
        view, lending = buffer.view, ref(buffer)
        size = len(view)
        with self._lock:
            if lending not in self._lent:
                return
            # Without a call no interrupt comes in between, here and below.
            del self._lent[lending]
            self._held -= size
            self._look_for_lost()
            if self._held and self._held + self._idle_bytes + size <= self.bound:
                self._idle.setdefault(size, []).append(view.obj)
                self._idle_bytes += size

    def _look_for_lost(self) -> None:
        for lending in list(self._lent):
            if lending() is None and lending in self._lent:
                size = self._lent[lending]
                del self._lent[lending]
                self._held -= size
        if not self._held:
            self._idle.clear()
            self._idle_bytes = 0

    def _is_spare(self, size: int) -> bool:
        if size > self._spare:
            self._look_for_lost()
        return size <= self._spare

    @property
    def _spare(self) -> int:
        return self.bound - self.bound // _RESERVE - self._held

    def _fitting(self, most: int) -> int:
        size = _rounded(most)
        if size * _SHARE > self.bound - self._held:
            self._look_for_lost()
        share = (self.bound - self._held) // _SHARE
        while size > LEAST and size > share:
            size //= 2
        return size

    def _take(self, size: int) -> Buffer:
        kept = self._idle.get(size)
        if kept:
            self._idle_bytes -= size
            view = memoryview(kept.pop())
        else:
            self._make_room(size)
            view = self._new(size)
        buffer = Buffer(self, view)
        lending = ref(buffer)
        self._lent[lending] = size
        self._held += size
        return buffer

    def _new(self, size: int) -> memoryview:
        try:
            return allocated(size, _LEAST_MAPPING)
        except MemoryError as error:
            raise NoSpace(f"there is no memory for a buffer of {size} bytes", hint="lower max_memory") from error

    def _make_room(self, size: int) -> None:
        """Let go of idle memory of other sizes that would be too much beside the new."""
        for other in sorted(self._idle, reverse=True):
            while (kept := self._idle.get(other)) and self._held + self._idle_bytes + size > self.bound:
                kept.pop()
                self._idle_bytes -= other


def _rounded(size: int) -> int:
    return max(LEAST, 1 << (size - 1).bit_length())


def allocated(size: int, least_mapping: int) -> memoryview:
    """New memory of `size` bytes, mapped from `least_mapping` bytes on. Raises MemoryError."""
    if size < least_mapping:
        return memoryview(bytearray(size))
    try:
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and (error.errno is None or is_of_handler(error)):
            raise
        raise MemoryError from error


class _Exporter:
    """Makes a view whose slices are counted apart from those of `memory`."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory

    def __buffer__(self, flags: int) -> memoryview:
        return self._memory[:]


class OwnViews:
    """Views of shared memory, one for each thread, for it to slice. They last as long as this.

    CPython counts the slices of a memory without a lock, even where there is no other one: threads that make and drop
    some at once may end them all, and the memory, while it is written to (python/cpython#127716).
    """

    __slots__ = ("_lock", "_made")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._made: dict[tuple[int, int], memoryview] = {}

    def of(self, memory: memoryview, number: int = 0) -> memoryview:
        """All of `memory`, for the calling thread; `number` tells it from others."""
        if HAS_LOCK:
            return memory
        key = threading.get_ident(), number
        if (own := self._made.get(key)) is None:
            with self._lock:
                own = self._made[key] = memoryview(_Exporter(memory))
        return own


_pools: dict[int, Buffers] = {}


def shared_buffers(bound: int) -> Buffers:
    """The one pool of this process with that bound, in bytes."""
    return _pools.get(bound) or _pools.setdefault(bound, Buffers(bound))


def forget() -> None:
    """In a forked child: the locks, and the memory, may be held by threads that do not exist here."""
    _pools.clear()
