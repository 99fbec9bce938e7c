"""The board: one holder for every chunk, and an end to all of them, whatever the workers do."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fastget.core.board import Board
from fastget.core.planner import Chunk, plan_ranges

MOST = 12


def chunks(count: int) -> tuple[Chunk, ...]:
    plan = plan_ranges(count, chunk_size=1)
    assert len(plan.chunks) == count
    return plan.chunks


def claimed(chunk: Chunk | None) -> int | None:
    return None if chunk is None else chunk.index


class Workers(RuleBasedStateMachine):
    """Workers claim, give back and land in any order; a plain set of indexes says what must come of it."""

    @initialize(count=st.integers(1, MOST), data=st.data())
    def start(self, count: int, data: st.DataObject) -> None:
        self.chunks = chunks(count)
        self.wanted = data.draw(st.none() | st.sets(st.integers(0, count - 1)), label="wanted")
        lead = data.draw(st.integers(0, count), label="lead")
        self.board = Board(self.chunks, lead=lead, wanted=self.wanted)
        self.free = set(range(count)) if self.wanted is None else set(self.wanted)
        self.held: set[int] = set()
        self.returned: list[int] = []
        self.landed = set(range(count)) - self.free

    def take(self, chunk: Chunk) -> None:
        assert chunk is self.chunks[chunk.index]
        assert chunk.index in self.free
        self.free.remove(chunk.index)
        self.held.add(chunk.index)
        if chunk.index in self.returned:
            self.returned.remove(chunk.index)

    @rule()
    def claim(self) -> None:
        first = min(self.returned, default=None)
        assert claimed(self.board.first_returned) == first
        chunk = self.board.claim()
        assert (chunk is None) == (not self.free)
        if chunk is not None:
            assert first is None or chunk.index == first
            self.take(chunk)

    @rule(data=st.data(), even_returned=st.booleans())
    def claim_at(self, data: st.DataObject, even_returned: bool) -> None:
        index = data.draw(st.integers(0, len(self.chunks) - 1), label="index")
        chunk = self.board.claim_at(index, even_returned=even_returned)
        is_to_be_had = index in self.free and (even_returned or index not in self.returned)
        assert claimed(chunk) == (index if is_to_be_had else None)
        if chunk is not None:
            self.take(chunk)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.held)), label="given back")
        self.board.give_back(self.chunks[index])
        self.held.remove(index)
        self.free.add(index)
        self.returned.append(index)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.held)), label="landed")
        self.board.land(self.chunks[index])
        self.held.remove(index)
        self.landed.add(index)

    @precondition(lambda self: self.landed)
    @rule(data=st.data())
    def land_again(self, data: st.DataObject) -> None:
        self.board.land(self.chunks[data.draw(st.sampled_from(sorted(self.landed)), label="landed again")])

    @invariant()
    def tells_the_truth(self) -> None:
        if not hasattr(self, "board"):
            return
        count = len(self.chunks)
        assert self.board.has_free == bool(self.free)
        assert self.board.is_complete == (len(self.landed) == count)
        for index in range(count):
            first = min((free for free in self.free if free >= index), default=None)
            assert claimed(self.board.first_free(index)) == first
        assert self.board.front == next((index for index in range(count) if index not in self.landed), count)

    def teardown(self) -> None:
        """Workers that only go on always come to the end."""
        if not hasattr(self, "board"):
            return
        while (chunk := self.board.claim()) is not None:
            self.take(chunk)
        assert not self.free
        for index in sorted(self.held):
            self.board.land(self.chunks[index])
        assert self.board.is_complete
        assert self.board.claim() is None
        assert not self.board.has_free


Workers.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestWorkers = Workers.TestCase


def test_the_others_begin_beyond_the_lead_and_take_what_is_nearest_to_the_stream_last() -> None:
    board = Board(chunks(6), lead=3)
    assert [claimed(board.claim()) for _ in range(7)] == [3, 4, 5, 2, 1, 0, None]


def test_without_a_lead_chunks_are_handed_out_from_front_to_back() -> None:
    board = Board(chunks(4), lead=0)
    assert [claimed(board.claim()) for _ in range(5)] == [0, 1, 2, 3, None]


def test_a_stream_runs_on_until_it_meets_another_worker() -> None:
    board = Board(chunks(4), lead=2)
    assert claimed(board.claim_at(0)) == 0
    assert claimed(board.claim()) == 2
    assert [claimed(board.claim_at(index)) for index in (1, 2)] == [1, None]
    assert claimed(board.claim()) == 3
    assert board.claim() is None


def test_chunks_that_were_given_back_are_handed_out_before_any_other_from_front_to_back() -> None:
    board = Board(chunks(4), lead=0)
    first, second = board.claim(), board.claim()
    assert first is not None
    assert second is not None
    board.give_back(second)
    board.give_back(first)
    assert [claimed(board.claim()) for _ in range(3)] == [0, 1, 2]


def test_only_the_wanted_chunks_are_handed_out_and_the_rest_has_landed() -> None:
    board = Board(chunks(5), lead=2, wanted=[1, 4, 4])
    assert board.front == 1
    held = [board.claim(), board.claim()]
    assert [claimed(chunk) for chunk in held] == [4, 1]
    assert board.claim() is None
    for chunk in held:
        assert chunk is not None
        board.land(chunk)
    assert board.is_complete


def test_a_board_on_which_nothing_is_wanted_is_complete() -> None:
    board = Board(chunks(3), lead=1, wanted=())
    assert board.is_complete
    assert not board.has_free
    assert board.front == 3
    assert board.claim() is None


def test_whoever_cannot_go_on_with_begun_chunks_is_given_others_and_those_are_given_to_the_next() -> None:
    all_chunks = chunks(5)
    board = Board(all_chunks, lead=0)
    begun = {all_chunks[0].index, all_chunks[2].index}
    first = board.claim_untouched(begun)
    assert first == all_chunks[1]
    rest = []
    while (chunk := board.claim_untouched(begun)) is not None:
        rest.append(chunk)
    assert rest == [chunk for chunk in all_chunks if chunk.index not in begun and chunk != first]
    assert [board.claim(), board.claim(), board.claim()] == [all_chunks[0], all_chunks[2], None]


def test_a_chunk_that_came_back_as_it_was_given_is_given_to_anyone() -> None:
    board = Board(chunks(5), lead=0)
    taken = board.claim()
    assert taken is not None
    board.give_back(taken)
    assert board.claim_untouched(()) == taken
