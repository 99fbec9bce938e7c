"""A store that refuses every further request while its first answer flows: that answer is the download then."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.engine.cancellation import Cancellation
from fastget.errors import Cancelled, NetworkError, Throttled
from fastget.events import Event, Progress, Retried
from fastget.testing import Behaviour, Content, Fault, ObjectServer, StoredObject, faults
from fastget.testing.answer import Answer
from fastget.testing.received import ReceivedRequest
from fastget.testing.record import RecordedRequest

pytestmark = pytest.mark.usefixtures("no_leaks")

MIB = 1024 * 1024
# In pieces of 1 MiB: three begin, and one more is tried for each that lands.
MOST_REFUSALS = 20
OPTIONS: dict[str, Any] = {"part_size": MIB, "connections": 4, "retries": 1}
UNHURRIED = Behaviour(rate_per_connection=8 * MIB)
PARTS = (1 * MIB, 2 * MIB, 4321, 3 * MIB)
KINDS: dict[str, dict[str, Any]] = {
    "crc": {"checksum": Algorithm.CRC64NVME},
    "sha": {"checksum": Algorithm.SHA256},
    "parts": {"part_sizes": PARTS, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"},
    "etag": {"etag": '"opaque"'},
}
NO_MORE = faults.slow_down().on(ranged=True).always()


def _is_right(path: Path, digest: str) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == digest and list(path.parent.iterdir()) == [path]


@pytest.mark.fault("H44")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("retries", [0, 1, 5])
def test_where_every_range_is_refused_the_first_answer_is_read_to_its_end(
    content: Content, content_digest: str, destination: Path, kind: str, retries: int
) -> None:
    stored = StoredObject(content, **KINDS[kind])
    with ObjectServer({"/k": stored}, behaviour=UNHURRIED, faults=[NO_MORE]) as server:
        result = fastget.download(server.url("/k"), destination, **{**OPTIONS, "retries": retries})
        plain = [request for request in server.requests if request.range is None and request.part_number is None]
    assert _is_right(destination, content_digest)
    assert len([request for request in plain if request.method == "GET"]) == 1
    assert result.bytes_received == content.size


@pytest.mark.fault("H44")
@pytest.mark.parametrize("retries", [0, 5])
def test_nobody_waits_for_a_retry_after_that_the_first_answer_has_overtaken(
    content: Content, content_digest: str, destination: Path, retries: int
) -> None:
    busy = faults.slow_down(retry_after=100).on(ranged=True).always()
    waits: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Retried):
            waits.append(event.delay)

    with ObjectServer({"/k": StoredObject(content)}, behaviour=UNHURRIED, faults=[busy]) as server:
        fastget.download(server.url("/k"), destination, on_event=note, **{**OPTIONS, "retries": retries})
    assert _is_right(destination, content_digest)
    assert all(wait >= 100 for wait in waits)


@pytest.mark.fault("H44")
def test_a_pipe_gets_everything_from_the_first_answer(content: Content) -> None:
    with ObjectServer({"/k": StoredObject(content)}, behaviour=UNHURRIED, faults=[NO_MORE]) as server:
        assert b"".join(bytes(view) for view in fastget.stream(server.url("/k"), **OPTIONS)) == content.read()


@pytest.mark.fault("H44")
def test_a_server_that_only_refuses_once_its_first_answer_has_broken_ends_the_download(
    content: Content, destination: Path
) -> None:
    broken = faults.close_mid_body(after=2 * MIB).on(ranged=False)
    with (
        ObjectServer({"/k": StoredObject(content)}, behaviour=UNHURRIED, faults=[broken, NO_MORE]) as server,
        pytest.raises(Throttled),
    ):
        fastget.download(server.url("/k"), destination, **OPTIONS)
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("H44")
def test_one_connection_at_a_time_is_enough(content: Content, content_digest: str, destination: Path) -> None:
    """The first answer breaks, and from then on its place is free for ranges."""

    def only_one(request: ReceivedRequest, answer: Answer) -> Answer:
        is_free = server.requests[0].bytes_sent >= 2 * MIB
        return answer if is_free or NO_MORE.edit is None else NO_MORE.edit(request, answer)

    broken = faults.close_mid_body(after=2 * MIB).on(ranged=False)
    refusals = Fault(name="one connection", edit=only_one).on(ranged=True).always()
    with ObjectServer({"/k": StoredObject(content)}, behaviour=UNHURRIED, faults=[broken, refusals]) as server:
        result = fastget.download(server.url("/k"), destination, **OPTIONS)
    assert _is_right(destination, content_digest)
    assert result.bytes_received == content.size


def _refusals_after(served: int) -> tuple[Fault, Fault]:
    """So many ranges are served, and all others refused; the first answer goes on when the first of them is."""
    has_refused = threading.Event()

    def refuse(request: ReceivedRequest, answer: Answer) -> Answer:
        has_refused.set()
        return NO_MORE.edit(request, answer) if NO_MORE.edit else answer

    refusals = Fault(name="refuse", edit=refuse).on(ranged=True, request=1 + served).always()
    return faults.hold(has_refused, after=1000).on(ranged=False), refusals


@pytest.mark.fault("H44")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("retries", [0, 1, 5])
def test_where_one_range_is_served_and_no_more_the_first_answer_is_read_to_its_end(
    content: Content, content_digest: str, destination: Path, kind: str, retries: int
) -> None:
    """What others have brought is passed over in it, up to what they leave."""
    stored = StoredObject(content, **KINDS[kind])
    with ObjectServer({"/k": stored}, behaviour=UNHURRIED, faults=_refusals_after(1)) as server:
        result = fastget.download(server.url("/k"), destination, **{**OPTIONS, "retries": retries})
        answers = [request.status for request in server.requests if request.method == "GET"]
    assert _is_right(destination, content_digest)
    assert (answers.count(200), answers.count(206)) == (1, 1)
    assert result.bytes_received >= content.size


@pytest.mark.fault("H44")
def test_a_pipe_gets_what_is_refused_elsewhere_from_the_first_answer(content: Content) -> None:
    with ObjectServer({"/k": StoredObject(content)}, behaviour=UNHURRIED, faults=_refusals_after(1)) as server:
        assert b"".join(bytes(view) for view in fastget.stream(server.url("/k"), **OPTIONS)) == content.read()


class OneAtATime:
    """Refuses whoever asks while another answer is on its way, once `has_begun`. `refused` counts them."""

    def __init__(self, has_begun: Callable[[], bool] = lambda: True) -> None:
        self.server: ObjectServer | None = None
        self.refused = 0
        self._has_begun = has_begun
        self.fault = Fault(name="one at a time", edit=self._edit).always()

    def _edit(self, request: ReceivedRequest, answer: Answer) -> Answer:
        if self.server is None or NO_MORE.edit is None or not self._has_begun():
            return answer
        # This request is the last of them on its connection, and still without a status.
        others = [one for one in self.server.requests if one.status in (200, 206) and one.bytes_sent < _length(one)]
        if not others:
            return answer
        self.refused += 1
        return NO_MORE.edit(request, answer)


def _length(request: RecordedRequest) -> int:
    """How many body bytes are asked for."""
    first, _, last = (request.range or "bytes=0-0").partition("=")[2].partition("-")
    return int(last) + 1 - int(first) if request.range else 0


@pytest.mark.fault("H44")
@pytest.mark.parametrize("kind", ["crc", "sha", "etag"])
@pytest.mark.parametrize("retries", [1, 5])
def test_a_store_that_bears_one_range_at_a_time_gets_one_at_a_time(
    content: Content, content_digest: str, destination: Path, kind: str, retries: int
) -> None:
    """Where the first stream has ended before."""
    one = OneAtATime()
    stored = StoredObject(content, **KINDS[kind])
    broken = faults.close_mid_body(after=MIB // 2).on(ranged=False)
    with ObjectServer({"/k": stored}, behaviour=UNHURRIED, faults=[broken, one.fault]) as server:
        one.server = server
        fastget.download(server.url("/k"), destination, **{**OPTIONS, "retries": retries})
    assert _is_right(destination, content_digest)
    assert one.refused <= MOST_REFUSALS


@pytest.mark.fault("H44")
def test_others_join_in_again_when_the_store_serves_them(
    content: Content, content_digest: str, destination: Path
) -> None:
    """The first answer stands still until they do."""
    is_busy, is_joined = threading.Event(), threading.Event()
    is_busy.set()

    def while_busy(request: ReceivedRequest, answer: Answer) -> Answer:
        if is_busy.is_set() and NO_MORE.edit:
            return NO_MORE.edit(request, answer)
        is_joined.set()
        return answer

    def look(event: Event) -> None:
        if isinstance(event, Progress) and event.landed >= 2 * MIB:
            is_busy.clear()

    refusals = Fault(name="busy", edit=while_busy).on(ranged=True).always()
    injected = [faults.hold(is_joined, after=4 * MIB).on(ranged=False), refusals]
    with ObjectServer({"/k": StoredObject(content)}, behaviour=UNHURRIED, faults=injected) as server:
        fastget.download(server.url("/k"), destination, on_event=look, **OPTIONS)
        served = [answer for answer in server.requests if answer.status == 206]
    assert _is_right(destination, content_digest)
    assert served


@pytest.mark.fault("H44", "X18")
def test_a_download_that_cannot_go_on_by_ranges_says_how_to_begin_anew(destination: Path) -> None:
    content = Content.generated(9 * MIB, seed=5)
    scope = Cancellation()

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.landed >= 4 * MIB:
            scope.cancel()

    with (
        ObjectServer({"/k": StoredObject(content)}, behaviour=UNHURRIED, faults=[NO_MORE]) as server,
        fastget.Client(**OPTIONS) as client,
    ):
        with pytest.raises(Cancelled):
            client.transfer_to_file(server.url("/k"), destination, scope, on_event=stop)
        with pytest.raises(Throttled) as caught:
            client.download(server.url("/k"), destination)
        assert "--no-resume" in (caught.value.hint or "")
        assert not destination.exists()
        result = client.download(server.url("/k"), destination, resume=False)
    assert result.bytes_received == content.size
    assert destination.read_bytes() == content.read()


@pytest.mark.fault("N5", "H44")
def test_a_first_answer_that_stalls_while_all_else_is_refused_is_no_endless_wait(
    content: Content, destination: Path
) -> None:
    stalls = faults.stall(after=2 * MIB).on(ranged=False)
    with (
        ObjectServer({"/k": StoredObject(content)}, faults=[stalls, NO_MORE]) as server,
        pytest.raises((Throttled, NetworkError)),
    ):
        fastget.download(server.url("/k"), destination, **OPTIONS, stall_timeout=0.5)
    assert not list(destination.parent.iterdir())
