"""Retries: which failures earn one, how long they wait, and how many there are for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget import errors
from fastget.core.retry import (
    LONGEST_DELAY,
    LONGEST_RETRY_AFTER,
    RetryBudget,
    delay_before,
    is_range_refusal,
    is_transient,
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


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524])
def test_a_server_that_fails_for_a_moment_is_asked_again(status: int) -> None:
    assert is_transient(refused(status))


@pytest.mark.parametrize("status", [200, 301, 304, 400, 401, 403, 404, 405, 409, 410, 412, 416, 451, 501, 505, 511])
def test_a_server_that_means_it_is_not_asked_again(status: int) -> None:
    assert not is_transient(refused(status))


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


@given(retries=st.integers(0, 50), pieces=st.integers(0, 10_000))
def test_a_budget_is_for_a_few_failures_of_every_connection_whatever_the_number_of_pieces(
    retries: int, pieces: int
) -> None:
    budget = RetryBudget.of(retries, pieces)
    spent = 0
    while budget.spend():
        spent += 1
    assert spent == retries * min(max(pieces, 1), 16)
    assert not budget.spend()


@given(actions=st.lists(st.booleans(), max_size=300), retries=st.integers(0, 5), pieces=st.integers(1, 20))
def test_success_refills_a_budget_and_never_overfills_it(actions: list[bool], retries: int, pieces: int) -> None:
    budget = RetryBudget.of(retries, pieces)
    spent = 0
    for succeeds in actions:
        if succeeds:
            budget.succeed()
        else:
            spent += budget.spend()
        assert 0.0 <= budget.tokens <= budget.capacity
    assert spent <= budget.capacity + budget.refill * sum(actions)


def test_a_store_that_fails_half_of_the_time_and_serves_the_other_half_wears_the_budget_down() -> None:
    budget = RetryBudget.of(5, 16)
    rounds = 0
    while budget.spend():
        budget.succeed()
        rounds += 1
    assert 80 <= rounds < 200


def test_one_retry_comes_back_for_two_pieces_that_land() -> None:
    budget = RetryBudget.of(1, 1)
    assert budget.spend()
    budget.succeed()
    assert not budget.spend()
    budget.succeed()
    assert budget.spend()
