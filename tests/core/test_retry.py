"""Retries: which failures earn one, how long they wait, and how many there are for all."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastget import errors
from fastget.config import Config
from fastget.core.retry import (
    LEAST_WIDTH,
    LONGEST_DELAY,
    LONGEST_RETRY_AFTER,
    QUIET,
    RetryBudget,
    delay_before,
    is_range_refusal,
    is_refusal,
    is_transient,
    may_be_range_refusal,
)
from fastget.errors import FastgetError, NetworkError, RangeNotSupported, ServerError, ServerReply, Throttled

FINAL = [
    errors.AccessDenied,
    errors.Cancelled,
    errors.ChecksumMismatch,
    errors.ConfigError,
    errors.CredentialsError,
    errors.DestinationError,
    errors.InvalidURL,
    errors.NoSpace,
    errors.NotFound,
    errors.NotModified,
    errors.ObjectArchived,
    errors.ObjectDeleted,
    errors.RangeNotSupported,
    errors.SourceChanged,
    errors.Unverifiable,
    errors.ServerError,
]
attempts = st.integers(1, 10_000)
jitters = st.floats(0.0, 1.0)


def refused(status: int, retry_after: float | None = None) -> ServerError:
    return ServerError("refused", reply=ServerReply(status, retry_after=retry_after))


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524, 598, 599])
def test_a_server_that_fails_for_a_moment_is_asked_again(status: int) -> None:
    assert is_transient(refused(status))


@pytest.mark.row(91)
@pytest.mark.parametrize(
    ("status", "code"), [(400, "RequestTimeout"), (400, "RequestTimeoutException"), (409, "OperationAborted")]
)
def test_a_code_may_say_what_the_status_does_not(status: int, code: str) -> None:
    assert is_transient(ServerError("refused", reply=ServerReply(status, code)))
    assert not is_transient(ServerError("refused", reply=ServerReply(status, "InvalidRequest")))


@pytest.mark.parametrize("status", [200, 301, 304, 400, 401, 403, 404, 405, 409, 410, 412, 416, 451, 501, 505, 511])
def test_a_server_that_means_it_is_not_asked_again(status: int) -> None:
    assert not is_transient(refused(status))


@pytest.mark.parametrize(("status", "expected"), [(425, True), (500, False), (408, False)])
def test_a_request_that_came_too_early_says_nothing_against_the_server(status: int, expected: bool) -> None:
    assert is_refusal(refused(status)) is expected
    assert is_refusal(errors.Throttled("slow down"))


@pytest.mark.parametrize("kind", [errors.NetworkError, errors.Stalled, errors.ProtocolError])
def test_the_way_there_is_tried_again_unless_that_cannot_help(kind: type[NetworkError]) -> None:
    assert is_transient(kind("lost"))
    assert not is_transient(kind("lost", is_transient=False))


def test_a_store_that_asks_for_fewer_requests_is_asked_again_later() -> None:
    assert is_transient(Throttled("slow down"))
    assert is_transient(Throttled("slow down", reply=ServerReply(429)))


@pytest.mark.parametrize("kind", FINAL)
def test_every_other_error_is_final(kind: type[FastgetError]) -> None:
    assert not is_transient(kind("no"))


def test_a_server_without_ranges_is_told_from_one_that_fails() -> None:
    assert is_range_refusal(refused(501))
    assert is_range_refusal(RangeNotSupported("ignored"))
    assert not is_range_refusal(RangeNotSupported("416", reply=ServerReply(416)))
    assert not is_range_refusal(refused(500))
    assert not is_range_refusal(ServerError("no answer"))
    assert not is_range_refusal(errors.ProtocolError("other bytes"))


def test_a_refusal_of_ranges_may_have_any_status_that_is_of_no_other_matter() -> None:
    kinds = [errors.AccessDenied, errors.NotFound, RangeNotSupported, ServerError]
    assert all(may_be_range_refusal(kind("no", reply=ServerReply(400))) for kind in kinds)
    assert not may_be_range_refusal(errors.CredentialsError("expired", reply=ServerReply(403)))
    assert not may_be_range_refusal(errors.SourceChanged("another", reply=ServerReply(412)))
    assert not may_be_range_refusal(Throttled("busy", reply=ServerReply(429)))
    assert not may_be_range_refusal(refused(500))
    assert not may_be_range_refusal(refused(302))


@given(attempt=attempts, jitter=jitters)
def test_a_wait_is_bounded_and_grows_with_the_attempts(attempt: int, jitter: float) -> None:
    delay = delay_before(attempt, jitter, NetworkError("lost"))
    assert 0.0 <= delay <= LONGEST_DELAY
    assert delay <= delay_before(attempt + 1, jitter, NetworkError("lost"))


def test_the_first_wait_is_short_and_a_late_one_is_the_longest() -> None:
    assert 0.0 < delay_before(1, 1.0, NetworkError("lost")) < 1.0
    assert delay_before(50, 1.0, NetworkError("lost")) == LONGEST_DELAY
    assert delay_before(50, 0.0, NetworkError("lost")) == 0.0


@pytest.mark.fault("H40")
@given(
    attempt=attempts,
    jitter=jitters,
    retry_after=st.floats(-1e12, 1e12),
    kind=st.sampled_from([Throttled, ServerError]),
)
def test_what_the_server_asks_for_is_the_least_wait_and_capped(
    attempt: int, jitter: float, retry_after: float, kind: type[errors.SourceError]
) -> None:
    delay = delay_before(attempt, jitter, kind("later", reply=ServerReply(503, retry_after=retry_after)))
    assert min(max(retry_after, 0.0), LONGEST_RETRY_AFTER) <= delay <= LONGEST_RETRY_AFTER + LONGEST_DELAY


def test_what_one_server_asks_for_does_not_hold_for_other_errors() -> None:
    patient = ServerReply(503, retry_after=60.0)
    assert delay_before(1, 0.0, ServerError("later", reply=patient)) == 60.0
    assert delay_before(1, 0.0, NetworkError("lost", reply=patient)) == 0.0
    assert delay_before(1, 0.0, Throttled("later", reply=ServerReply(429))) == 0.0
    assert delay_before(1, 0.0, Throttled("later")) == 0.0


# What all requests to one endpoint share ------------------------------------------------------------------------------


def drained(budget: RetryBudget, retries: int, width: int = 1, now: float = 0.0, *, is_refusal: bool = False) -> int:
    """How many retries there are, which then are spent."""
    return next(count for count in range(100_000) if not budget.spend(retries, width, now, is_refusal=is_refusal))


@given(retries=st.integers(0, 50), width=st.integers(0, 200), is_refusal=st.booleans())
def test_an_endpoint_has_all_retries_of_as_many_requests_as_are_under_way_at_once(
    retries: int, width: int, is_refusal: bool
) -> None:
    budget = RetryBudget()
    assert drained(budget, retries, width, is_refusal=is_refusal) == retries * max(width, LEAST_WIDTH)
    assert not budget.spend(retries, width, 0.0, is_refusal=is_refusal)


def test_by_default_there_are_about_as_many_retries_as_the_sdks_have() -> None:
    # botocore's standard mode: a quota of 500, of which a retry takes 5.
    assert 80 <= drained(RetryBudget(), retries=Config().retries) <= 120


@given(actions=st.lists(st.booleans(), max_size=300), retries=st.integers(0, 5), width=st.integers(1, 40))
def test_success_refills_a_budget_and_never_overfills_it(actions: list[bool], retries: int, width: int) -> None:
    budget, spent = RetryBudget(), 0
    for succeeds in actions:
        if succeeds:
            budget.succeed()
        else:
            spent += budget.spend(retries, width, 0.0)
        assert 0.0 <= budget.tokens <= budget.capacity
    assert spent <= budget.capacity + sum(actions)


def test_one_retry_comes_back_for_each_success() -> None:
    budget = RetryBudget()
    drained(budget, 5)
    for _ in range(3):
        budget.succeed()

    assert drained(budget, 5) == 3


@pytest.mark.fault("H41")
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), faults=st.floats(0.0, 0.2))
def test_a_run_of_thousands_of_objects_that_fails_now_and_then_never_runs_dry(seed: int, faults: float) -> None:
    luck, budget = Random(seed), RetryBudget()
    for _ in range(5000):
        while luck.random() < faults:
            assert budget.spend(5, 1, 0.0)
        budget.succeed()


def test_an_object_that_succeeds_at_its_last_attempt_each_time_wears_the_budget_down() -> None:
    budget, objects = RetryBudget(), 0
    while all(budget.spend(5, 1, 0.0) for _ in range(5)):
        budget.succeed()
        objects += 1

    assert objects < 30


def test_a_budget_is_full_again_once_nothing_has_failed_for_a_while_and_not_while_it_is_asked() -> None:
    budget = RetryBudget()
    whole = drained(budget, 5, now=100.0)
    for step in range(1, 20):
        assert not budget.spend(5, 1, 100.0 + step * (QUIET - 1))

    assert drained(budget, 5, now=100.0 + 20 * QUIET) == whole


def test_more_requests_at_once_widen_a_budget_by_what_they_may_retry_and_fewer_take_nothing_away() -> None:
    budget = RetryBudget()
    assert drained(budget, 2, width=20) == 40
    assert drained(budget, 2, width=64) == 2 * 44
    assert drained(budget, 2, width=1) == 0


def test_refusals_cost_nothing_while_anything_succeeds_between_them() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        assert all(budget.spend(5, 1, 0.0, is_refusal=True) for _ in range(20))
        budget.succeed()

    assert drained(budget, 5) == 5 * LEAST_WIDTH


def test_an_endpoint_that_only_refuses_is_as_dead_as_any_other_until_it_serves_again() -> None:
    budget = RetryBudget()
    drained(budget, 5, is_refusal=True)
    assert budget.refusals > budget.capacity
    budget.succeed()

    assert budget.is_full
    assert budget.spend(5, 1, 0.0, is_refusal=True)


@pytest.mark.parametrize(
    ("failures", "refusals", "expected"), [(0, 0, False), (8, 8, False), (9, 0, True), (0, 9, True)]
)
def test_a_budget_is_low_when_more_than_half_of_it_is_spent(failures: int, refusals: int, expected: bool) -> None:
    budget = RetryBudget()
    for number in range(failures + refusals):
        budget.spend(1, 1, 0.0, is_refusal=number >= failures)

    assert budget.is_low is expected
