"""The pool of buffers: never more than its bound, never a wait, and nothing kept once nothing is lent."""

from __future__ import annotations

import mmap
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget import buffers
from fastget.buffers import LEAST, Buffer, Buffers, allocated, shared_buffers
from fastget.core.coalesce import coalesce
from fastget.core.ranges import Span
from fastget.errors import NoSpace
from fastget.sinks.memory import BufferSink, MemorySink
from fastget.sinks.scattered import ScatteredSink

KIB, MIB = 1024, 1024 * 1024


def test_where_much_is_free_a_buffer_is_as_large_as_wanted() -> None:
    pool = Buffers(32 * MIB)
    with pool.lend(MIB) as first, pool.lend(256 * KIB) as second:
        assert (len(first), len(second), pool.held) == (MIB, 256 * KIB, MIB + 256 * KIB)
    assert (pool.held, pool.resident) == (0, 0)


def test_where_little_is_free_buffers_become_smaller_so_that_many_find_one() -> None:
    pool = Buffers(MIB)
    lent = [found for _ in range(100) if (found := pool.offer(MIB)) is not None]
    sizes = [len(found) for found in lent]
    assert sizes[0] == 256 * KIB
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 2 * LEAST
    assert len(sizes) > 8
    assert pool.held <= MIB


def test_what_is_needed_is_lent_when_all_is_lent_and_what_is_only_useful_is_not() -> None:
    pool = Buffers(MIB)
    lent = []
    while (found := pool.offer(MIB)) is not None:
        lent.append(found)
    while pool.held < MIB:
        lent.append(pool.lend(MIB))
    assert pool.spare(1) is None
    assert pool.offer(MIB) is None
    with pool.lend(MIB) as needed:
        assert len(needed) == LEAST


def test_what_nobody_has_any_more_is_found_when_it_is_wanted() -> None:
    """An interrupt may come before whoever has asked for it has it."""
    pool = Buffers(MIB)
    kept = pool.lend(256 * KIB)
    lost = pool.lend(MIB)
    assert len(lost) < 256 * KIB
    del lost
    assert pool.held == len(kept)
    kept.close()
    for _ in range(100):
        assert len(pool.lend(MIB)) == 256 * KIB


def test_part_of_the_bound_is_left_to_those_who_begin() -> None:
    pool = Buffers(8 * MIB)
    held = []
    while (found := pool.spare(MIB)) is not None:
        held.append(found)
    assert len(held) == 7
    assert len(pool.lend(MIB)) == 256 * KIB


def test_each_lending_has_a_view_of_its_own() -> None:
    """Slices of an earlier one may live on in an error, and be dropped by any thread at any time."""
    pool = Buffers(8 * MIB)
    with pool.lend(256 * KIB):
        first = pool.lend(MIB)
        earlier = first.view
        first.close()
        second = pool.lend(MIB)
        assert second.view.obj is earlier.obj
        earlier.release()
        second.view[:5] = b"bytes"
        second.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="threads run one at a time there")
@pytest.mark.parametrize("kind", ["memory", "buffer", "scattered"])
def test_threads_that_run_at_once_slice_views_of_their_own(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The exporter behind a slice tells whose it is; the bytes are the same."""
    monkeypatch.setattr(buffers, "HAS_LOCK", False)
    memory = bytearray(300 * KIB)
    sink: MemorySink | BufferSink | ScatteredSink
    if kind == "scattered":
        spans = [Span(0, 300 * KIB)]
        sink = ScatteredSink(spans, [memoryview(memory)], coalesce(spans))
    else:
        sink = MemorySink() if kind == "memory" else BufferSink(memory)
        sink.open(300 * KIB)
    with ThreadPoolExecutor(1) as threads:
        mine, theirs = sink.window(0, 5), threads.submit(sink.window, 5, 5).result()
        assert mine is not None
        assert theirs is not None
        assert theirs.obj is not mine.obj
        assert sink.window(10, 5).obj is mine.obj  # type: ignore[union-attr]
        mine[:], theirs[:] = b"these", b"bytes"
        threads.submit(sink.write_at, 10, memoryview(b" too")).result()
    found = bytearray(14)
    sink.read_at(0, memoryview(found))
    assert found == b"thesebytes too"
    sink.publish(300 * KIB)
    del mine, theirs
    sink.discard()
    del sink
    memory.append(0)  # which nobody can, while there is a view of it


def test_memory_that_comes_back_is_lent_again_while_anything_is_lent() -> None:
    pool = Buffers(8 * MIB)
    with pool.lend(256 * KIB):
        first = pool.lend(MIB)
        memory = first.view
        first.close()
        assert pool.resident == MIB + 256 * KIB
        assert pool.lend(MIB).view.obj is memory.obj


def test_idle_memory_makes_room_for_buffers_of_another_size() -> None:
    pool = Buffers(4 * MIB)
    with pool.lend(LEAST):
        for kept in [pool.spare(MIB) for _ in range(3)]:
            assert kept is not None
            kept.close()
        assert pool.resident == 3 * MIB + LEAST
        assert pool.spare(2 * MIB) is not None
        assert pool.resident <= 4 * MIB


def test_a_buffer_that_is_closed_twice_comes_back_once() -> None:
    pool = Buffers(MIB)
    with pool.lend(LEAST):
        twice = pool.lend(LEAST)
        twice.close()
        twice.close()
        assert pool.held == LEAST
        assert pool.lend(LEAST).view is not pool.lend(LEAST).view


def test_memory_that_the_system_has_not_is_an_error_of_its_own() -> None:
    pool = Buffers(1 << 62)
    with pytest.raises(NoSpace, match="no memory for a buffer"):
        pool.spare(1 << 60)
    assert pool.held == 0


def test_pools_of_one_bound_are_one_and_a_child_begins_with_its_own() -> None:
    assert shared_buffers(3 * MIB) is shared_buffers(3 * MIB)
    assert shared_buffers(3 * MIB) is not shared_buffers(5 * MIB)
    before = shared_buffers(3 * MIB)
    buffers.forget()
    assert shared_buffers(3 * MIB) is not before


@given(
    bound=st.integers(MIB, 64 * MIB),
    wishes=st.lists(
        st.tuples(st.sampled_from(("offer", "spare", "close")), st.integers(1, 2 * MIB), st.integers(0, 99)),
        max_size=60,
    ),
)
def test_whatever_is_asked_for_the_bound_holds_and_no_memory_is_lent_twice(
    bound: int, wishes: list[tuple[str, int, int]]
) -> None:
    pool, lent = Buffers(bound), list[Buffer]()
    for verb, size, which in wishes:
        if verb == "close":
            if lent:
                lent.pop(which % len(lent)).close()
            continue
        found: Buffer | None = getattr(pool, verb)(size)
        if found is None:
            continue
        assert verb == "offer" or len(found) >= size
        lent.append(found)
        assert pool.held == sum(len(one) for one in lent)
        assert pool.resident <= bound
        assert len({id(one.view.obj) for one in lent}) == len(lent)
    for one in lent:
        one.close()
    assert (pool.held, pool.resident) == (0, 0)


def test_many_threads_find_the_bound_kept_and_everything_back_in_the_end() -> None:
    pool = Buffers(MIB)

    def work(number: int) -> bool:
        for _ in range(300):
            with pool.lend(64 * KIB) as lent:
                lent.view[:8] = number.to_bytes(8)
                if (more := pool.spare(LEAST)) is not None:
                    more.view[:8] = bytes(8)
                    more.close()
                if int.from_bytes(lent.view[:8]) != number:
                    return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(8)))
    assert (pool.held, pool.resident) == (0, 0)


def test_an_error_that_a_signal_handler_raises_as_memory_is_mapped_is_no_lack_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise TimeoutError("the handler's own")

    monkeypatch.setattr(mmap, "mmap", interrupted)
    with pytest.raises(TimeoutError, match="the handler's own"):
        allocated(1 << 20, 0)
