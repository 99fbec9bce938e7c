"""Memory: bounds, growth, and the buffers that callers bring."""

from __future__ import annotations

import array
import mmap

import pytest

from fastget.errors import Cancelled, ConfigError, DestinationError, NoSpace
from fastget.sinks.memory import BufferSink, MemorySink

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize("size", [10, 2 << 20])
def test_published_memory_is_given_without_a_copy_or_as_bytes(size: int) -> None:
    sink = MemorySink()
    sink.open(size)
    sink.write_at(size - 5, memoryview(b"bytes"))
    sink.publish(size)
    assert sink.getvalue() == bytes(size - 5) + b"bytes"
    assert sink.buffer is sink.buffer
    assert sink.buffer.nbytes == size


def test_memory_of_unknown_size_grows_with_what_is_written() -> None:
    sink = MemorySink()
    sink.open(None)
    sink.write_at(5, memoryview(b"56789"))
    sink.write_at(0, memoryview(b"01234"))
    sink.publish(10)
    assert sink.getvalue() == b"0123456789"


def test_bytes_past_the_declared_size_are_refused() -> None:
    sink = MemorySink()
    sink.open(4)
    with pytest.raises(DestinationError, match="too small"):
        sink.write_at(0, memoryview(b"bytes"))
    sink.discard()


@pytest.mark.fault("X32", "S16")
@pytest.mark.parametrize("size", [1 << 62, (1 << 63) - 1, 1 << 64])
def test_a_size_that_no_machine_has_is_no_space_and_no_crash(size: int) -> None:
    with pytest.raises(NoSpace, match=f"no memory for {size} bytes"):
        MemorySink().open(size)


def test_a_write_at_an_absurd_place_is_no_space_and_no_crash() -> None:
    sink = MemorySink()
    sink.open(None)
    with pytest.raises(NoSpace):
        sink.write_at(1 << 62, memoryview(b"x"))
    sink.discard()


@pytest.mark.fault("S16")
def test_a_declared_size_takes_no_memory_before_bytes_arrive() -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    sink = MemorySink()
    sink.open(256 << 20)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    sink.discard()
    assert faults < 1000


def test_nothing_is_shown_before_it_is_published() -> None:
    sink = MemorySink()
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    with pytest.raises(DestinationError):
        sink.getvalue()
    sink.discard()


@pytest.mark.parametrize(
    "buffer",
    [
        bytearray(16),
        array.array("d", [0.0, 0.0]),
        mmap.mmap(-1, 16),
        memoryview(bytearray(16)).cast("B", (4, 4)),
    ],
    ids=["bytearray", "array", "mmap", "matrix"],
)
def test_any_contiguous_writable_buffer_serves(buffer: bytearray) -> None:
    sink = BufferSink(buffer)
    sink.open(10)
    sink.write_at(5, memoryview(b"56789"))
    sink.write_at(0, memoryview(b"01234"))
    sink.publish(10)
    assert memoryview(buffer).cast("B").tobytes() == b"0123456789" + bytes(6)


@pytest.mark.parametrize("size", [17, 1 << 64])
def test_a_buffer_that_is_too_small_is_refused_before_the_first_byte(size: int) -> None:
    with pytest.raises(DestinationError, match=f"the buffer holds 16 bytes, the object has {size}"):
        BufferSink(bytearray(16)).open(size)


@pytest.mark.parametrize("is_own", [True, False])
def test_a_small_object_is_put_where_it_was_received_or_copied_there(is_own: bool) -> None:
    target = bytearray(10)
    sinks: tuple[MemorySink | BufferSink, ...] = (MemorySink(), BufferSink(target))
    for sink in sinks:
        room = sink.room(5)
        room[:] = b"bytes"
        assert sink.is_vacant()
        assert sink.put(room if is_own else memoryview(b"other"), None)
        assert not sink.is_vacant()
        expected = b"bytes" if is_own else b"other"
        assert target[:5] == expected if isinstance(sink, BufferSink) else sink.getvalue() == expected


def test_there_is_no_room_where_an_object_does_not_fit() -> None:
    sink = BufferSink(bytearray(4))
    with pytest.raises(DestinationError, match="holds 4 bytes"):
        sink.room(5)
    with pytest.raises(DestinationError, match="holds 4 bytes"):
        sink.put(memoryview(b"bytes"), None)


def test_a_buffer_is_never_written_past_its_end() -> None:
    target = bytearray(4)
    sink = BufferSink(target)
    sink.open(None)
    with pytest.raises(DestinationError, match="too small"):
        sink.write_at(2, memoryview(b"bytes"))
    sink.discard()
    assert target == bytes(4)


@pytest.mark.parametrize("empty", [bytearray(), array.array("d")])
def test_an_empty_buffer_takes_an_empty_object_and_nothing_else(empty: bytearray) -> None:
    sink = BufferSink(empty)
    sink.open(0)
    with pytest.raises(DestinationError):
        sink.write_at(0, memoryview(b"x"))
    sink.publish(0)
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("buffer", "words"),
    [
        (b"read-only", "read-only"),
        (memoryview(bytearray(16))[::2], "plain bytes"),
        ("text", "plain bytes"),
        (None, "plain bytes"),
    ],
)
def test_a_buffer_that_cannot_serve_is_an_error_in_the_argument(buffer: bytearray, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as failure:
        BufferSink(buffer)
    assert failure.value.hint


@pytest.mark.parametrize("ending", ["publish", "exit"])
def test_the_callers_buffer_is_let_go_of(ending: str) -> None:
    target = bytearray(5)
    sink = BufferSink(target)
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    with pytest.raises(BufferError):
        target.append(0)
    if ending == "publish":
        sink.publish(5)
    else:
        sink.__exit__()
    target.append(0)
    assert len(target) == 6
    with pytest.raises(DestinationError):
        sink.open(5)


@pytest.mark.parametrize("sink", [MemorySink(), BufferSink(bytearray(20))], ids=["own", "caller's"])
def test_what_is_received_into_a_window_needs_no_writing(sink: MemorySink | BufferSink) -> None:
    sink.open(20)
    window = sink.window(5, 10)
    assert window is not None
    window[:] = b"0123456789"
    found = bytearray(20)
    assert sink.read_at(0, memoryview(found)) == 20
    assert found == bytes(5) + b"0123456789" + bytes(5)
    assert sink.window(15, 10) is None  # which write_at refuses
    sink.abort()
    with pytest.raises(Cancelled):
        sink.window(5, 10)
    window.release()
    sink.discard()


def test_memory_that_grows_has_no_windows() -> None:
    sink = MemorySink()
    sink.open(None)
    assert sink.window(0, 1) is None
    sink.discard()
