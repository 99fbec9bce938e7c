"""What a pass hands out: every byte to one holder at a time, until all have landed."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fastget.core.planner import Chunk
from fastget.core.ranges import Span
from fastget.core.straggler import GRAIN
from fastget.engine.pieces.piece import Piece
from fastget.engine.pieces.shares import divide
from fastget.engine.pieces.stock import STRIDE, Stock

MIB = 1024 * 1024


def _chunks(*sizes: int) -> list[Chunk]:
    edges = [0, *accumulate(sizes)]
    return [Chunk(index, Span(start, stop)) for index, (start, stop) in enumerate(pairwise(edges))]


def _new_piece(chunk: Chunk) -> Piece:
    return Piece(chunk, ())


def _stock(*sizes: int, lead: int = 0) -> Stock:
    return Stock(_chunks(*sizes), lead, None, _new_piece)


def _next(stock: Stock) -> Piece:
    piece = stock.next()
    assert piece is not None
    return piece


def _land(stock: Stock, piece: Piece) -> None:
    piece.position = piece.chunk.span.stop
    stock.land(piece)


def test_what_was_given_back_goes_out_first_and_where_it_stood() -> None:
    stock = _stock(10, 10, 10)
    first, _ = _next(stock), _next(stock)
    first.position = 4
    stock.give_back(first)
    assert stock.next() is first
    assert first.position == 4


def test_shares_and_returned_pieces_go_out_from_front_to_back() -> None:
    stock = _stock(4 * MIB, 4 * MIB, 4 * MIB)
    first, second = _next(stock), _next(stock)
    parts = divide(second, 2, lambda chunk, _: _new_piece(chunk))
    stock.give_back(second, parts)
    stock.give_back(first)
    assert [_next(stock) for _ in range(3)] == [first, *parts]


def test_a_stream_takes_what_its_holder_only_waits_with() -> None:
    stock = _stock(10, 10)
    piece = _next(stock)
    assert stock.at(0, even_returned=True) is None
    stock.offer(piece)
    assert stock.at(0, even_returned=False) is piece
    assert not stock.take_back(piece)


def test_what_was_given_back_is_left_to_others_unless_the_stream_is_needed() -> None:
    stock = _stock(10, 10)
    piece = _next(stock)
    piece.position = 3
    stock.give_back(piece)
    assert stock.at(3, even_returned=False) is None
    assert stock.at(3, even_returned=True) is piece


def test_a_stream_passes_over_what_has_landed_up_to_what_nobody_fetches_and_not_all_at_once() -> None:
    stock = _stock(2 * STRIDE, 10)
    _land(stock, _next(stock))
    assert stock.gap(0) == Span(0, STRIDE)
    assert stock.gap(STRIDE) == Span(STRIDE, 2 * STRIDE)


def test_a_stream_does_not_pass_over_what_is_being_fetched() -> None:
    stock = _stock(10, 10, 10)
    _land(stock, _next(stock))
    held = _next(stock)
    assert stock.gap(0) is None
    stock.offer(held)
    assert stock.gap(0) == Span(0, 10)


def test_there_are_others_who_are_served_while_they_hold_anything_or_something_has_landed_since() -> None:
    stock = _stock(10, 10, 10)
    one, two = _next(stock), _next(stock)
    assert stock.are_others_served(one)
    _land(stock, two)
    assert stock.are_others_served(one)
    stock.keep(one)
    assert not stock.are_others_served(one)


@pytest.mark.parametrize("is_served", [True, False])
def test_what_is_refused_is_so_until_it_is_served_or_has_landed(is_served: bool) -> None:
    stock = _stock(10, 10)
    piece = _next(stock)
    stock.refuse(piece)
    assert stock.is_refused
    if is_served:
        stock.serve(piece)
    else:
        _land(stock, piece)
    assert not stock.is_refused


class Pass(RuleBasedStateMachine):
    """Workers and one stream, in any order: nobody fetches what another one does, and nothing is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.stock = _stock()
        self.end = 0
        self.held: list[Piece] = []
        self.landed: set[int] = set()
        self.stream = 0

    @initialize(sizes=st.lists(st.integers(1, 64), min_size=1, max_size=6), lead=st.integers(0, 3))
    def begin(self, sizes: list[int], lead: int) -> None:
        self.end = sum(sizes)
        self.stock = _stock(*(size * GRAIN for size in sizes), lead=min(lead, len(sizes)))

    def _take(self, piece: Piece | None) -> None:
        if piece is not None:
            self.held.append(piece)

    @rule()
    def claim(self) -> None:
        self._take(self.stock.next())

    @rule()
    def claim_untouched(self) -> None:
        piece = self.stock.next_untouched()
        assert piece is None or piece.is_fresh
        self._take(piece)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def bring(self, data: st.DataObject) -> None:
        """Someone gets some bytes, or all that are missing."""
        piece = data.draw(st.sampled_from(self.held))
        if self.stock.is_offered(piece):
            assert self.stock.take_back(piece)
        start, stop = piece.position // GRAIN, piece.chunk.span.stop // GRAIN
        upto = data.draw(st.integers(start, stop))
        new = set(range(start, upto))
        assert not new & self.landed, "fetched twice"
        self.landed |= new
        piece.position = upto * GRAIN
        if upto == stop:
            self._land(piece)

    def _land(self, piece: Piece) -> None:
        self.held.remove(piece)
        while (division := piece.division) is not None:
            self.stock.land_share(piece)
            if not division.land():
                return
            piece = division.joined()
        self.stock.land(piece)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), shares=st.integers(1, 4))
    def give_back(self, data: st.DataObject, shares: int) -> None:
        piece = data.draw(st.sampled_from(self.held))
        if self.stock.is_offered(piece):
            assert self.stock.take_back(piece)
        self.held.remove(piece)
        self.stock.give_back(piece, divide(piece, shares, lambda chunk, _: _new_piece(chunk)))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), fails=st.booleans())
    def wait(self, data: st.DataObject, fails: bool) -> None:
        """Someone waits, after a refusal or at the gate."""
        piece = data.draw(st.sampled_from(self.held))
        if fails:
            self.stock.refuse(piece)
            self.stock.keep(piece)
        self.stock.offer(piece)

    @precondition(lambda self: self.stream < self.end)
    @rule(is_needed=st.booleans())
    def stream_on(self, is_needed: bool) -> None:
        """The stream goes on to the end of what it gets, or passes over what it may."""
        offset = self.stream * GRAIN
        piece = self.stock.at(offset, even_returned=is_needed)
        if piece is not None:
            assert piece.position == offset
            if piece in self.held:
                self.held.remove(piece)
            self.held.append(piece)
            new = set(range(self.stream, piece.chunk.span.stop // GRAIN))
            assert not new & self.landed, "fetched twice"
            self.landed |= new
            self.stream = piece.chunk.span.stop // GRAIN
            piece.position = piece.chunk.span.stop
            self._land(piece)
        elif is_needed and (gap := self.stock.gap(offset)) is not None:
            passed = set(range(gap.start // GRAIN, gap.stop // GRAIN))
            assert gap.start == offset
            assert passed
            assert passed <= self.landed, "passed over what has not landed"
            self.stream = gap.stop // GRAIN

    @invariant()
    def nobody_holds_what_another_one_does(self) -> None:
        spans = sorted((piece.position, piece.chunk.span.stop) for piece in self.held)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))

    @invariant()
    def nothing_is_forgotten(self) -> None:
        is_whole = len(self.landed) == self.end
        assert self.stock.is_complete == (is_whole and not self.held)
        assert self.stock.is_held == bool(self.held)
        assert self.stock.has_free or self.held or is_whole

    @invariant()
    def the_front_has_landed(self) -> None:
        assert set(range(self.stock.front // GRAIN)) <= self.landed


TestPass = Pass.TestCase
TestPass.settings = settings(
    max_examples=200, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
