"""Which address comes next: the least loaded of the good ones, and the bad ones last, until their time is up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.addresses import LONGEST_PENALTY, MOST_ADDRESSES, Address, AddressBook, Trouble


def address(last: int) -> Address:
    return Address(2, 1, 6, (f"10.0.0.{last}", 443))


A, B, C = address(1), address(2), address(3)
CHANCE = (Trouble.BROKEN, Trouble.FAILING, Trouble.SLOW)
TROUBLES = st.sampled_from(list(Trouble))
FOUND = st.lists(st.builds(address, st.integers(1, 5)), min_size=1, max_size=8)


def book_of(*found: Address) -> AddressBook:
    book = AddressBook()
    book.update(found, 0.0)
    return book


def test_the_first_connection_goes_where_getaddrinfo_says() -> None:
    assert book_of(C, A, B).order(0.0) == [C, A, B]


def test_connections_are_spread_over_all_addresses() -> None:
    book, chosen = book_of(A, B, C), []
    for _ in range(7):
        chosen.append(book.order(0.0)[0])
        book.opened(chosen[-1])
    assert chosen == [A, B, C, A, B, C, A]
    book.closed(B)
    assert book.order(0.0)[0] == B


@pytest.mark.parametrize("trouble", list(Trouble))
def test_an_address_in_trouble_comes_last_and_is_tried_again_later(trouble: Trouble) -> None:
    book = book_of(A, B)
    book.opened(B)
    book.blame(A, trouble, 100.0)
    assert book.order(100.1) == [B, A]
    assert book.is_shunned(A, 100.1)
    assert not book.is_shunned(B, 100.1)
    assert book.order(100.0 + LONGEST_PENALTY) == [A, B]


def test_an_address_that_thousands_have_tried_in_vain_is_bad_for_no_longer_than_any_other() -> None:
    book = AddressBook()
    book.update([A, B], 0.0)
    for attempt in range(5000):
        book.blame(A, Trouble.UNREACHABLE, attempt / 1000)
    assert book.order(5.0 + LONGEST_PENALTY) == [A, B]


def test_trouble_that_comes_back_counts_longer_each_time() -> None:
    book, now, waits = book_of(A, B), 0.0, []
    for _ in range(8):
        book.blame(A, Trouble.UNREACHABLE, now)
        waits.append(next(wait for wait in range(1000) if not book.is_shunned(A, now + wait)))
        now += waits[-1]
    assert waits == [15, 30, 60, 120, 240, 300, 300, 300]


def test_trouble_of_long_ago_is_forgotten() -> None:
    book = book_of(A, B)
    book.blame(A, Trouble.UNREACHABLE, 0.0)
    book.blame(A, Trouble.UNREACHABLE, 1000.0)
    assert book.is_shunned(A, 1014.0)
    assert not book.is_shunned(A, 1015.0)


@pytest.mark.parametrize("trouble", CHANCE)
def test_what_may_be_chance_never_counts_for_long(trouble: Trouble) -> None:
    book = book_of(A, B)
    for now in range(100):
        book.blame(A, trouble, float(now))
    assert not book.is_shunned(A, 104.0)


def test_a_smaller_trouble_does_not_shorten_a_greater_one() -> None:
    book = book_of(A, B)
    book.blame(A, Trouble.DAMAGED, 0.0)
    book.blame(A, Trouble.SLOW, 1.0)
    assert book.is_shunned(A, LONGEST_PENALTY - 1.0)


def test_where_all_are_bad_all_are_tried_and_the_latest_last() -> None:
    book = book_of(A, B, C)
    for now, bad in enumerate((B, C, A)):
        book.blame(bad, Trouble.UNREACHABLE, float(now))
    assert book.order(3.0) == [B, C, A]
    assert not any(book.is_shunned(one, 3.0) for one in (A, B, C))


def test_an_address_is_mute_that_has_never_answered_while_another_has() -> None:
    book = book_of(A, B)
    assert not book.is_mute(A, 0.0)
    book.answered(B)
    assert book.is_mute(A, 0.0)
    assert not book.is_mute(B, 0.0)
    book.answered(A)
    assert not book.is_mute(A, 0.0)


def test_what_has_answered_is_remembered_while_it_is_found_or_has_connections() -> None:
    book = book_of(A, B)
    book.answered(A)
    book.answered(B)
    book.opened(A)
    book.update([C], 1.0)
    assert book.is_mute(B, 0.0)
    assert not book.is_mute(A, 0.0)


def test_an_address_is_not_mute_where_there_is_no_other_to_go_to() -> None:
    book = book_of(A)
    book.answered(A)
    book.opened(A)
    book.update([B], 1.0)
    assert not book.is_mute(B, 1.0)
    book.update([B, C], 2.0)
    assert book.is_mute(B, 2.0)
    book.blame(C, Trouble.SILENT, 2.0)
    assert not book.is_mute(B, 2.0)
    book.update([A, B, C], 3.0)
    book.blame(A, Trouble.SILENT, 3.0)
    assert book.is_mute(B, 3.0)


def test_the_only_address_is_never_shunned() -> None:
    book = book_of(A)
    book.blame(A, Trouble.DAMAGED, 0.0)
    assert not book.is_shunned(A, 0.0)
    assert book.order(0.0) == [A]


def test_one_that_is_to_be_avoided_comes_after_the_good_ones_and_before_the_bad_ones() -> None:
    book = book_of(A, B, C)
    book.opened(C)
    book.blame(B, Trouble.SILENT, 0.0)
    assert book.order(0.0, avoiding=A) == [C, A, B]


def test_what_is_held_against_an_address_outlives_an_answer_without_it() -> None:
    book = book_of(A, B)
    book.blame(A, Trouble.DAMAGED, 0.0)
    book.update((C,), 1.0)
    assert book.order(1.0) == [C]
    book.update((A, B), 2.0)
    assert book.order(2.0) == [B, A]


def test_more_addresses_than_anyone_needs_are_left_out() -> None:
    assert len(book_of(*(address(last) for last in range(200))).found) == MOST_ADDRESSES


def test_name_resolution_is_asked_again_once_for_each_time_that_all_are_bad() -> None:
    book = book_of(A, B)
    book.blame(A, Trouble.UNREACHABLE, 1.0)
    assert not book.is_worth_a_question(1.0, asked=0.0)
    book.blame(B, Trouble.UNREACHABLE, 1.0)
    assert book.is_worth_a_question(1.0, asked=0.0)
    assert not book.is_worth_a_question(2.0, asked=1.5)


@given(
    FOUND,
    st.lists(st.tuples(st.integers(0, 7), TROUBLES, st.floats(0, 1e4)), max_size=20),
    st.lists(st.integers(0, 7), max_size=20),
    st.one_of(st.none(), st.integers(0, 7)),
    st.floats(0, 1e4),
)
def test_an_order_leaves_nothing_out_and_begins_with_a_good_one_if_there_is_any(
    found: list[Address],
    troubles: list[tuple[int, Trouble, float]],
    opened: list[int],
    avoided: int | None,
    now: float,
) -> None:
    book = book_of(*found)
    for index, trouble, at in sorted(troubles, key=lambda one: one[2]):
        book.blame(found[index % len(found)], trouble, at)
    for index in opened:
        book.opened(found[index % len(found)])
    order = book.order(now, None if avoided is None else found[avoided % len(found)])
    assert sorted(order) == sorted(set(found))
    assert not book.is_shunned(order[0], now)
    assert book.order(now + 1e5 + LONGEST_PENALTY)
    assert all(not book.is_shunned(one, 1e4 + LONGEST_PENALTY + 1) for one in found)


@given(FOUND, st.lists(st.booleans(), max_size=40))
def test_without_trouble_the_least_loaded_address_is_next(found: list[Address], steps: list[bool]) -> None:
    book = book_of(*found)
    chosen: list[Address] = []
    for opens in steps:
        if opens:
            least = min(chosen.count(one) for one in found)
            chosen.append(book.order(0.0)[0])
            book.opened(chosen[-1])
            assert chosen.count(chosen[-1]) == least + 1
        elif chosen:
            book.closed(chosen.pop())
