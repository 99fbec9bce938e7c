"""The pool of buffers: never more than its bound, never a wait, and nothing kept once nothing is lent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget import buffers
from fastget.buffers import LEAST, Buffer, Buffers, shared_buffers
from fastget.errors import NoSpace

KIB, MIB = 1024, 1024 * 1024


def test_where_much_is_free_a_buffer_is_as_large_as_wanted() -> None:
    pool = Buffers(32 * MIB)
    with pool.lend(MIB) as first, pool.lend(256 * KIB) as second:
        assert (len(first), len(second), pool.held) == (MIB, 256 * KIB, MIB + 256 * KIB)
    assert (pool.held, pool.resident) == (0, 0)


def test_where_little_is_free_buffers_become_smaller_so_that_many_find_one() -> None:
    pool = Buffers(MIB)
    sizes = [len(found) for _ in range(100) if (found := pool.offer(MIB)) is not None]
    assert sizes[0] == 256 * KIB
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 2 * LEAST
    assert len(sizes) > 8
    assert pool.held <= MIB


def test_what_is_needed_is_lent_when_all_is_lent_and_what_is_only_useful_is_not() -> None:
    pool = Buffers(MIB)
    while pool.offer(MIB) is not None:
        pass
    while pool.held < MIB:
        pool.lend(MIB)
    assert pool.spare(1) is None
    assert pool.offer(MIB) is None
    with pool.lend(MIB) as needed:
        assert len(needed) == LEAST


def test_part_of_the_bound_is_left_to_those_who_begin() -> None:
    pool = Buffers(8 * MIB)
    held = []
    while (found := pool.spare(MIB)) is not None:
        held.append(found)
    assert len(held) == 7
    assert len(pool.lend(MIB)) == 256 * KIB


def test_memory_that_comes_back_is_lent_again_while_anything_is_lent() -> None:
    pool = Buffers(8 * MIB)
    with pool.lend(256 * KIB):
        first = pool.lend(MIB)
        memory = first.view
        first.close()
        assert pool.resident == MIB + 256 * KIB
        assert pool.lend(MIB).view is memory


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
