"""Streams: order, the bounded window, and nothing that waits for ever."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from queue import Empty, SimpleQueue

import pytest

from fastget.errors import Cancelled, DestinationError
from fastget.sinks.stream import StreamSink

UntilWaiting = Callable[[StreamSink, int], None]
pytestmark = pytest.mark.usefixtures("no_leaks")


class Gate(io.RawIOBase):
    """A writer that takes bytes only while it is open, and says when one waits at it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.way = threading.Event()
        self.reached = threading.Event()

    def writable(self) -> bool:
        return True

    def write(self, data: memoryview, /) -> int:  # type: ignore[override]
        self.reached.set()
        self.way.wait()
        self.received += data
        return len(data)


@pytest.mark.parametrize("window", [0, 1, 1000, 1 << 20])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_pieces_handed_out_in_order_leave_in_order_however_small_the_window(
    pool: ThreadPoolExecutor, window: int, threads: int
) -> None:
    chance = random.Random(window * 10 + threads)
    content, target = chance.randbytes(200_000), io.BytesIO()
    cuts = sorted({0, len(content), *(chance.randrange(len(content)) for _ in range(300))})
    queue: SimpleQueue[tuple[int, int]] = SimpleQueue()
    for span in pairwise(cuts):
        queue.put(span)
    sink = StreamSink(target, window=window)
    sink.open(len(content))

    def work() -> None:
        while True:
            try:
                first, last = queue.get_nowait()
            except Empty:
                return
            middle = (first + last) // 2
            sink.write_at(first, memoryview(content)[first:middle])
            sink.write_at(middle, memoryview(content)[middle:last])

    for done in [pool.submit(work) for _ in range(threads)]:
        done.result()
    sink.publish(len(content))
    assert target.getvalue() == content


def test_the_window_bounds_what_is_held_and_the_front_passes_when_it_is_full(
    pool: ThreadPoolExecutor,
    until_waiting: UntilWaiting,
) -> None:
    target = io.BytesIO()
    sink = StreamSink(target, window=10)
    sink.open(20)
    sink.write_at(5, memoryview(b"56789"))
    sink.write_at(10, memoryview(b"abcde"))
    late = pool.submit(sink.write_at, 15, memoryview(b"fghij"))
    until_waiting(sink, 1)
    assert sink._held == 10
    assert target.getvalue() == b""
    sink.write_at(0, memoryview(b"01234"))
    late.result()
    sink.publish(20)
    assert target.getvalue() == b"0123456789abcdefghij"
    assert sink._held == 0


def test_bytes_larger_than_the_window_wait_for_their_turn(
    pool: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    target = io.BytesIO()
    sink = StreamSink(target, window=2)
    sink.open(10)
    late = pool.submit(sink.write_at, 5, memoryview(b"56789"))
    until_waiting(sink, 1)
    sink.write_at(0, memoryview(b"01234"))
    late.result()
    sink.publish(10)
    assert target.getvalue() == b"0123456789"


def test_while_bytes_leave_others_may_come_ahead_of_them(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    sink = StreamSink(gate)
    sink.open(10)
    front = pool.submit(sink.write_at, 0, memoryview(b"01234"))
    gate.reached.wait()
    sink.write_at(5, memoryview(b"56789"))
    assert not front.done()
    gate.way.set()
    front.result()
    sink.publish(10)
    assert gate.received == b"0123456789"


def test_the_buffer_may_be_filled_again_as_soon_as_its_write_returns() -> None:
    target, own = io.BytesIO(), bytearray(b"later")
    sink = StreamSink(target)
    sink.open(10)
    sink.write_at(5, memoryview(own))
    own[:] = b"XXXXX"
    sink.write_at(0, memoryview(b"first"))
    sink.publish(10)
    assert target.getvalue() == b"firstlater"


@pytest.mark.fault("C7")
@pytest.mark.parametrize("offset", [0, 2, 5])
def test_bytes_that_were_written_before_are_refused(offset: int) -> None:
    sink = StreamSink(io.BytesIO())
    sink.open(20)
    sink.write_at(0, memoryview(b"0123"))
    sink.write_at(5, memoryview(b"567"))
    with pytest.raises(DestinationError, match=f"the bytes from {offset} were already written"):
        sink.write_at(offset, memoryview(b"again"))
    sink.discard()


def test_a_hole_is_not_published() -> None:
    target = io.BytesIO()
    sink = StreamSink(target)
    sink.open(10)
    sink.write_at(0, memoryview(b"0123"))
    sink.write_at(5, memoryview(b"56789"))
    with pytest.raises(DestinationError, match="4 of 10 bytes went to the stream, and 5 are left over"):
        sink.publish(10)
    assert target.getvalue() == b"0123"


@pytest.mark.parametrize("ending", ["abort", "discard"])
def test_abort_and_discard_wake_every_writer_that_waits_for_its_turn(
    pool: ThreadPoolExecutor, ending: str, until_waiting: UntilWaiting
) -> None:
    sink = StreamSink(io.BytesIO(), window=0)
    sink.open(100)
    waiting = [pool.submit(sink.write_at, 10 * number, memoryview(b"x")) for number in range(1, 6)]
    until_waiting(sink, 5)
    getattr(sink, ending)()
    for writer in waiting:
        with pytest.raises(Cancelled if ending == "abort" else DestinationError):
            writer.result()
    sink.discard()


def test_a_writer_that_is_recalled_has_written_nothing_and_the_others_go_on_waiting(
    pool: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    target = io.BytesIO()
    sink = StreamSink(target, window=0)
    sink.open(3)
    second, third = (pool.submit(sink.write_at, offset, memoryview(b"%d" % offset)) for offset in (1, 2))
    until_waiting(sink, 2)

    assert sink.held_up() == (0, (1, 2))
    assert sink.recall(2)
    with pytest.raises(Cancelled):
        third.result()
    assert sink.held_up() == (0, (1,))

    sink.write_at(0, memoryview(b"0"))
    second.result()
    sink.write_at(2, memoryview(b"2"))
    sink.publish(3)
    assert target.getvalue() == b"012"


def test_nobody_is_recalled_from_the_front_or_from_where_nobody_waits() -> None:
    sink = StreamSink(io.BytesIO())
    sink.open(3)
    sink.write_at(0, memoryview(b"0"))

    assert not sink.recall(0)
    assert not sink.recall(1)
    assert not sink.recall(2)
    sink.discard()
