"""A settled number is found anew where it brings too little for too long, and taken again where it was not to blame."""

from __future__ import annotations

import pytest

from fastget.core.lookout import Lookout


def test_too_little_has_to_come_twice_in_a_row() -> None:
    lookout = Lookout()
    seen = [lookout.misses(rate, is_idle=True) for rate in (100, 49, 51, 49, 49)]
    assert seen == [False, False, False, False, True]


@pytest.mark.parametrize(("rate", "is_idle"), [(0.0, True), (1.0, False), (50.0, True)])
def test_silence_busy_processors_and_half_of_it_are_no_reason(rate: float, is_idle: bool) -> None:
    lookout = Lookout()
    lookout.misses(100, is_idle=True)
    assert not any(lookout.misses(rate, is_idle=is_idle) for _ in range(5))


def test_the_number_before_is_taken_again_once_where_it_would_bring_what_it_did() -> None:
    lookout = Lookout()
    lookout.misses(100, is_idle=True)
    assert lookout.recovered(100) is None  # nothing is being found anew
    lookout.reopen(3)
    assert [lookout.recovered(rate) for rate in (89, 90, 100)] == [None, 3, None]


def test_what_is_found_anew_is_compared_with_what_it_brings_itself() -> None:
    lookout = Lookout()
    lookout.misses(100, is_idle=True)
    lookout.reopen(3)
    lookout.misses(20, is_idle=True)
    assert [lookout.misses(rate, is_idle=True) for rate in (11, 9, 9)] == [False, False, True]
