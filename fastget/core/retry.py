"""Which failure is worth another try, after how long, and out of whose budget.

One policy for every request of a client: no layer beneath retries on its own, so nothing multiplies. Times are in
seconds; randomness comes from the caller.
"""

from __future__ import annotations

from fastget.errors import (
    AccessDenied,
    FastgetError,
    NetworkError,
    NotFound,
    RangeNotSupported,
    ServerError,
    Throttled,
)
from fastget.records import state

BASE_DELAY = 0.2
LONGEST_DELAY = 20.0
# A server may ask for any wait; past this it is as good as down.
LONGEST_RETRY_AFTER = 120.0
# An attempt that brought this many bytes counts as a fresh start: the object moves, however bad the line.
PROGRESS = 256 * 1024
# The first words of a connection came before it was sure of them (RFC 8470): something on the way sent them on so.
_TOO_EARLY = 425
_TRANSIENT_STATUSES = frozenset({408, _TOO_EARLY, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524, 598, 599})
# What stores say by a code alone, with a status that is final otherwise: 400 and 409 (wire-spec.md §4, row 91).
_TRANSIENT_CODES = frozenset({"OperationAborted", "RequestTimeout", "RequestTimeoutException"})


def is_transient(error: FastgetError) -> bool:
    """Whether the same request may succeed if it is sent again."""
    if isinstance(error, NetworkError):
        return error.is_transient
    if isinstance(error, Throttled):
        return True
    if isinstance(error, ServerError) and error.reply is not None:
        return error.reply.status in _TRANSIENT_STATUSES or error.reply.code in _TRANSIENT_CODES
    return False


def is_failing_server(error: FastgetError) -> bool:
    """Whether the server, or what is before it, has answered that it fails, maybe for a while only (500, 502, 504)."""
    return isinstance(error, ServerError) and is_transient(error)


def is_refusal(error: FastgetError) -> bool:
    """Whether the server only puts the request off: that says nothing against it while it serves others."""
    too_early = isinstance(error, ServerError) and error.reply is not None and error.reply.status == _TOO_EARLY
    return too_early or isinstance(error, Throttled)


def is_range_refusal(error: FastgetError) -> bool:
    """Whether the server only refuses ranges (501 from Object Lambda, wire-spec.md row 90) and a stream may work."""
    if isinstance(error, RangeNotSupported):
        return error.reply is None
    return isinstance(error, ServerError) and error.reply is not None and error.reply.status == 501


def may_be_range_refusal(error: FastgetError) -> bool:
    """Whether a server that serves the whole object may mean ranges with this: it is final, and of no other matter.

    Credentials, conditions, archives and a rate are others. 404, 410 and 416 may be, too: `is_about_the_object`.
    """
    if is_range_refusal(error):
        return True
    is_of_kind = isinstance(error, AccessDenied | NotFound | RangeNotSupported | ServerError)
    return is_of_kind and error.reply is not None and error.reply.status >= 400 and not is_transient(error)


def is_about_the_object(error: FastgetError) -> bool:
    """Whether an error says in the first place that the object is not there any more, or is smaller."""
    return error.reply is not None and (
        isinstance(error, NotFound | RangeNotSupported) or error.reply.status in (404, 410, 416)
    )


def delay_before(attempt: int, jitter: float, error: FastgetError) -> float:
    """Seconds to wait before attempt number `attempt` (1 is the first retry): exponential with full jitter.

    `jitter` is a random number from 0.0 to 1.0. A Retry-After of the server is the least wait, capped at two minutes.
    """
    backoff = jitter * min(BASE_DELAY * 2.0 ** min(attempt, 16), LONGEST_DELAY)
    asked = error.reply.retry_after if isinstance(error, Throttled | ServerError) and error.reply else None
    return backoff if asked is None else min(max(asked, 0.0), LONGEST_RETRY_AFTER) + backoff


# So many requests to an endpoint at once, at the least, may each use up all of their retries: the connections of one
# large object, and its discovery.
LEAST_WIDTH = 17
# Seconds without a failure after which those before them say nothing any more.
QUIET = 300.0


@state
class RetryBudget:
    """Retries that all requests to one endpoint share, for whatever object and piece they are.

    A token bucket, as in the SDKs (botocore's standard mode has one of 100 retries for all of a client): what is tried
    again takes a token, what succeeds brings one back. So the number of attempts that a dead endpoint gets does not
    grow with the number of objects, but by one for each; and one that fails now and then never runs dry.

    A refusal (429, SlowDown, 425) costs nothing while anything succeeds in between: whoever asks for fewer requests
    gets fewer. One that says nothing else is down too, and its refusals in a row are bounded alike.
    """

    capacity: float = 0.0
    tokens: float = 0.0
    refusals: int = 0
    failed_at: float = float("-inf")

    @property
    def is_full(self) -> bool:
        """Whether a success would change nothing."""
        return self.tokens >= self.capacity and not self.refusals

    @property
    def is_low(self) -> bool:
        """Whether failures outweigh successes by far."""
        return self.tokens < self.capacity / 2 or self.refusals > self.capacity / 2

    def spend(self, retries: int, width: int, now: float, *, is_refusal: bool = False) -> bool:
        """Take a retry for a request that may have `retries` of them; False where none is left.

        `width` is how many requests to the endpoint were ever under way at once, `now` in seconds on a clock that only
        goes forward.
        """
        wider = max(self.capacity, float(retries * max(width, LEAST_WIDTH)))
        if now - self.failed_at >= QUIET:
            self.tokens, self.refusals = wider, 0
        else:
            self.tokens += wider - self.capacity
        self.capacity, self.failed_at = wider, now
        if is_refusal:
            self.refusals += 1
            return self.refusals <= self.capacity
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def succeed(self) -> None:
        """A piece or a small object has landed, or a good deal of one: a whole retry comes back."""
        self.tokens = min(self.capacity, self.tokens + 1.0)
        self.refusals = 0
