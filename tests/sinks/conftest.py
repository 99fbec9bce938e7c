"""Every kind of sink, with the means to see from outside what it has made visible; failing system calls."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import pytest

import fastget.sinks
from fastget.core.journal import Identity
from fastget.sinks.file import FileSink
from fastget.sinks.kept import KeptFile
from fastget.sinks.memory import BufferSink, MemorySink
from fastget.sinks.protocol import Sink
from fastget.sinks.stream import StreamSink

LARGEST = 3 << 20
KINDS = (
    "file",
    "new-file",
    "unflushed-file",
    "kept-file",
    "journalled-file",
    "memory",
    "buffer",
    "pipe",
    "named-pipe",
    "redirected",
    "writer",
)


@dataclass
class Subject:
    """A sink under test. `visible` gives what the world sees now, None for nothing, and may be called once.

    `is_hidden` says that nothing shows before `publish`, which memory of the caller and streams cannot offer.
    """

    sink: Sink
    visible: Callable[[], bytes | None]
    is_hidden: bool = False
    strays: Callable[[], list[str]] = list


class Drain(Thread):
    """Reads a pipe to its end."""

    def __init__(self, opened: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self.received = bytearray()
        self._open = opened
        self.start()

    def run(self) -> None:
        descriptor = self._open()
        try:
            while data := os.read(descriptor, 1 << 16):
                self.received += data
        finally:
            os.close(descriptor)


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """One sink of every kind."""
    kind: str = request.param
    if "file" in kind:
        yield _file(kind, tmp_path)
    elif kind in ("pipe", "named-pipe", "redirected"):
        yield from {"pipe": _pipe, "named-pipe": _named_pipe, "redirected": _redirected}[kind](tmp_path)
    else:
        yield {"memory": _memory, "buffer": _buffer, "writer": _writer}[kind]()


def _file(kind: str, folder: Path) -> Subject:
    target = folder / "object.bin"
    sink = FileSink(target, fsync=kind != "unflushed-file", overwrite=kind != "new-file")
    if kind == "kept-file":
        sink = KeptFile(target)
    elif kind == "journalled-file":
        sink = _Journalled(target)
    return Subject(
        sink,
        lambda: target.read_bytes() if target.exists() else None,
        is_hidden=True,
        strays=lambda: [found.name for found in folder.iterdir() if found != target],
    )


class _Journalled(KeptFile):
    """Opened as a transfer opens it, where the size is known."""

    def open(self, size: int | None) -> None:
        if size is None:
            super().open(size)
        else:
            self.begin(size, Identity("https://host/key", "", size, '"etag"'), is_journalled=True)


def _memory() -> Subject:
    sink = MemorySink()

    def visible() -> bytes | None:
        with suppress(OSError):
            return sink.getvalue()
        return None

    return Subject(sink, visible, is_hidden=True)


def _buffer() -> Subject:
    memory = bytearray(LARGEST)
    return Subject(BufferSink(memory), lambda: bytes(memory))


def _writer() -> Subject:
    target = io.BytesIO()
    return Subject(StreamSink(target), target.getvalue)


def _pipe(folder: Path) -> Iterator[Subject]:
    reader, writer = os.pipe()
    drain = Drain(lambda: reader)
    ends = [writer]

    def close() -> None:
        while ends:
            os.close(ends.pop())
        drain.join()

    def visible() -> bytes:
        close()
        return bytes(drain.received)

    yield Subject(StreamSink(writer), visible)
    close()


def _named_pipe(folder: Path) -> Iterator[Subject]:
    path = folder / "pipe"
    os.mkfifo(path)
    # A read end that is already there lets the sink open the pipe at once, and its reader may come later.
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    sink = StreamSink(path)
    drains: list[Drain] = []

    def opened(size: int | None) -> None:
        original(size)
        drains.append(Drain(lambda: reader))

    original, sink.open = sink.open, opened  # type: ignore[method-assign]

    def visible() -> bytes:
        for drain in drains:
            drain.join()
        return b"".join(bytes(drain.received) for drain in drains)

    yield Subject(sink, visible)
    sink.discard()
    visible()
    if not drains:
        os.close(reader)


def _redirected(folder: Path) -> Iterator[Subject]:
    path = folder / "output"
    with path.open("wb") as file:
        yield Subject(StreamSink(file.fileno()), path.read_bytes)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's two ends, closed afterwards if they are still open."""
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        with suppress(OSError):  # a test has closed it
            os.close(end)


@pytest.fixture
def until_waiting() -> Callable[[StreamSink, int], None]:
    """Returns once so many writers wait for room; outside of the sink there is no event for it."""

    def wait(sink: StreamSink, count: int) -> None:
        pause = Event()
        while len(sink._turn._waiters) < count:  # type: ignore[attr-defined]
            pause.wait(0.002)

    return wait


@pytest.fixture
def names() -> Callable[[Path], list[str]]:
    """What a folder holds, sorted."""
    return lambda folder: sorted(found.name for found in folder.iterdir())


@pytest.fixture
def project() -> Path:
    """The folder from which a fresh interpreter can import the package."""
    return Path(fastget.sinks.__path__[0]).parent.parent


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """fail("pwrite", errno.EIO, after=2): the third and later calls of os.pwrite fail."""

    def inject(name: str, code: int, *, after: int = 0) -> None:
        original = getattr(os, name)
        calls = iter(range(1 << 30))

        def failing(*arguments: object, **options: object) -> object:
            if next(calls) >= after:
                raise OSError(code, os.strerror(code))
            return original(*arguments, **options)

        monkeypatch.setattr(os, name, failing)

    return inject
