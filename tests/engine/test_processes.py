"""One object, fetched by several processes: the same bytes, the same faults survived, nothing left behind."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
import trustme

from fastget.client import Client
from fastget.core.checksums.algorithms import Algorithm
from fastget.engine.cancellation import Cancellation
from fastget.engine.processes.attendant import Attendant
from fastget.errors import Cancelled, DestinationError, NetworkError, SourceChanged
from fastget.events import Event, Kept, Method, Progress, Repaired, Result, Resumed
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.testing.answer import Answer, document
from fastget.testing.documents import error
from fastget.testing.fault import Fault
from fastget.testing.received import ReceivedRequest

pytestmark = pytest.mark.usefixtures("no_children", "no_leaks")

MIB = 1024 * 1024
SIZE = 24 * MIB + 4321
PARTS = (5 * MIB, 8 * MIB + 3, 6 * MIB, 5 * MIB + 4318)
OPTIONS: dict[str, Any] = {"processes": 2, "connections": 4, "part_size": MIB, "stall_timeout": 30.0}
CHANGED_AFTER = 12


@pytest.fixture(scope="session")
def large() -> Content:
    """Uneven against pieces, parts and blocks."""
    return Content.generated(SIZE, seed=23)


@pytest.fixture(scope="session")
def large_bytes(large: Content) -> bytes:
    return large.read()


@pytest.fixture(autouse=True)
def _small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object of some megabytes is worth several processes."""
    monkeypatch.setattr("fastget.engine.processes.alone.LEAST_SHARE", MIB)


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(**OPTIONS) as one:
        yield one


def busy_children(port: int) -> list[psutil.Process]:
    """The children of this process that talk to the server."""
    found = []
    for child in psutil.Process().children():
        try:
            # Between its fork and its exec it looks like this process, sockets and all.
            has_begun = any("fastget.engine.processes.child" in text for text in child.cmdline())
            links = child.net_connections("tcp") if has_begun else []
        except psutil.Error:  # it has just ended
            continue
        if any(link.raddr and link.raddr.port == port for link in links):
            found.append(child)
    return found


class Stage:
    """A server that keeps everyone waiting, once ranges are proven, until all processes are at work.

    `at_work`, if given, is called at that moment with the children, in the thread of the download.
    """

    def __init__(
        self,
        stored: StoredObject,
        *,
        children: int = 1,
        others: Sequence[Fault] = (),
        at_work: Callable[[list[psutil.Process]], None] | None = None,
        **server: Any,
    ) -> None:
        self._release = threading.Event()
        self._children = children
        self._at_work = at_work
        self.events: list[Event] = []
        waits = (
            faults.hold(self._release).on(ranged=False).always(),
            faults.hold(self._release, after=None).on(ranged=True, request=2).always(),
        )
        self.server = ObjectServer({"/b/object": stored}, faults=(*others, *waits), **server)
        self.url = self.server.url("/b/object")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.close()

    def handle(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Progress) and not self._release.is_set():
            children = busy_children(self.server.port)
            if len(children) >= self._children:
                if self._at_work is not None:
                    self._at_work(children)
                self._release.set()

    def run(self, client: Client, path: Path, **options: Any) -> Result:
        return client.download(self.url, path, on_event=self.handle, **options)


KINDS: dict[str, dict[str, Any]] = {
    "whole crc": {"checksum": Algorithm.CRC64NVME},
    "whole sha": {"checksum": Algorithm.SHA256},
    "parts of crc": {"part_sizes": PARTS, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"},
    "parts of sha": {"part_sizes": PARTS, "checksum": Algorithm.SHA256, "checksum_type": "COMPOSITE"},
    "etag alone": {},
    "multipart etag": {"part_sizes": PARTS},
}


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_bring_the_bytes_of_every_kind_of_object_and_verify_them(
    kind: str, large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    with Stage(StoredObject(large, **KINDS[kind])) as stage:
        result = stage.run(client, destination)
    assert destination.read_bytes() == large_bytes
    assert result.verification.verified
    assert result.processes == 2
    assert result.bytes_received == SIZE
    assert result.connections == 4
    assert [name.name for name in destination.parent.iterdir()] == ["object.bin"]


def test_parts_are_asked_for_by_number_in_every_process(large: Content, client: Client, destination: Path) -> None:
    with Stage(StoredObject(large, **KINDS["parts of sha"])) as stage:
        result = stage.run(client, destination)
        numbers = {request.part_number for request in stage.server.requests if request.part_number}
    assert result.split == "part"
    assert result.verification.method is Method.COMPOSITE
    assert len(numbers) >= 3


def test_three_processes_share_an_object_over_tls(
    large: Content, large_bytes: bytes, destination: Path, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    options = {**OPTIONS, "processes": 3, "connections": 6, "ca_bundle": str(bundle)}
    with Stage(stored, children=2, tls=context) as stage, Client(**options) as client:
        result = stage.run(client, destination)
    assert destination.read_bytes() == large_bytes
    assert (result.processes, result.verification.verified) == (3, True)


def test_every_request_of_every_process_is_pinned(large: Content, client: Client, destination: Path) -> None:
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME, version_id="v1")
    with Stage(stored) as stage:
        stage.run(client, destination)
        later = stage.server.requests[1:]
    assert later
    assert {request.headers.get("if-match") for request in later} == {stored.etag}


@pytest.mark.fault("N1")
def test_a_child_that_is_killed_loses_no_more_than_its_pieces_in_flight(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    def kill(children: list[psutil.Process]) -> None:
        for child in children:
            child.kill()

    with Stage(StoredObject(large, checksum=Algorithm.CRC64NVME), at_work=kill) as stage:
        result = stage.run(client, destination)
    assert destination.read_bytes() == large_bytes
    assert result.verification.verified
    assert result.bytes_received - SIZE <= 2 * MIB


def test_a_child_that_is_stopped_in_its_tracks_is_ended_and_its_pieces_are_fetched_by_others(
    large: Content, large_bytes: bytes, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Attendant.look

    def freeze(children: list[psutil.Process]) -> None:
        """Only now is there little patience: a child takes its time to come up on a busy machine."""
        for child in children:
            child.send_signal(signal.SIGSTOP)
        monkeypatch.setattr("fastget.engine.children.process._LEAST_PATIENCE", 0.0)
        monkeypatch.setattr(Attendant, "look", lambda attendant, _: look(attendant, 0.5))

    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    with Stage(stored, at_work=freeze) as stage, Client(**OPTIONS) as client:
        result = stage.run(client, destination)
    assert destination.read_bytes() == large_bytes
    assert result.verification.verified


def test_a_bit_that_flips_on_the_way_is_repaired(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    flips = [faults.flip_bit(place * MIB + 5) for place in (9, 14, 20)]
    with Stage(StoredObject(large, checksum=Algorithm.CRC64NVME), others=flips) as stage:
        result = stage.run(client, destination)
        assert stage.server.faults_happened.count("flip-bit") == 3
    assert destination.read_bytes() == large_bytes
    assert result.verification.verified
    # One of them may have been in an answer that was cut for a faster one.
    assert result.repairs


def test_a_part_that_comes_damaged_to_a_child_is_fetched_again_alone(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    flips = [faults.flip_bit(offset) for offset in (2 * MIB, 6 * MIB, 15 * MIB, 22 * MIB)]
    with Stage(StoredObject(large, **KINDS["parts of crc"]), others=flips) as stage:
        result = stage.run(client, destination)
    assert destination.read_bytes() == large_bytes
    assert result.repairs == len([event for event in stage.events if isinstance(event, Repaired)]) == 4


def test_an_object_that_changes_on_the_way_ends_the_download_and_publishes_nothing(
    large: Content, client: Client, destination: Path
) -> None:
    other = StoredObject(Content.generated(SIZE, seed=24), checksum=Algorithm.CRC64NVME)
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    changes = faults.replaced(other).on(ranged=True, request=CHANGED_AFTER)
    with Stage(stored, others=[changes]) as stage, pytest.raises(SourceChanged):
        stage.run(client, destination)
    assert list(destination.parent.iterdir()) == []


def test_resets_in_every_process_are_retried_and_counted(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    resets = faults.reset(after=100_000).on(ranged=True).every(4)
    with Stage(StoredObject(large, checksum=Algorithm.CRC64NVME), others=[resets]) as stage:
        result = stage.run(client, destination)
        happened = stage.server.faults_happened.count("reset")
    assert destination.read_bytes() == large_bytes
    # One behind the last byte of a piece is no failure.
    assert 2 < result.retries <= happened
    assert result.bytes_received == SIZE


def test_retries_are_bounded_for_all_processes_together(large: Content, destination: Path) -> None:
    resets = faults.reset().on(ranged=True, request=3).always()
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    with (
        Stage(stored, others=[resets]) as stage,
        Client(**{**OPTIONS, "retries": 1}) as client,
        pytest.raises(NetworkError),
    ):
        stage.run(client, destination)
    assert not destination.exists()


def test_a_store_that_asks_one_process_for_fewer_requests_is_heard_by_all(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    refusals = faults.slow_down(retry_after=0).on(ranged=True, request=3).times(3)
    with Stage(StoredObject(large, checksum=Algorithm.CRC64NVME), others=[refusals]) as stage:
        result = stage.run(client, destination)
    assert destination.read_bytes() == large_bytes
    assert result.retries == 3


@pytest.mark.fault("H44")
@pytest.mark.parametrize("kind", ["whole crc", "whole sha", "etag alone"])
@pytest.mark.parametrize("retries", [0, 1])
def test_what_is_refused_to_every_process_is_read_from_the_first_answer(
    kind: str, retries: int, large: Content, large_bytes: bytes, destination: Path
) -> None:
    refusals = faults.slow_down().on(ranged=True, request=2).always()
    # Its first chunk takes longer than it takes until the refusal of a child is known in this process.
    slowly = faults.slow_start(MIB, rate=MIB).on(ranged=False).always()
    stored = StoredObject(large, **KINDS[kind])
    with Stage(stored, others=[refusals, slowly]) as stage, Client(**{**OPTIONS, "retries": retries}) as client:
        result = stage.run(client, destination)
        answers = [request.status for request in stage.server.requests]
    assert destination.read_bytes() == large_bytes
    assert result.processes == 2
    assert (answers.count(200), answers.count(206)) == (1, 1)
    assert result.bytes_received <= SIZE + MIB


def test_an_error_of_the_disk_in_a_child_is_raised_as_what_it_is(
    large: Content, client: Client, destination: Path
) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def shrink(children: list[psutil.Process]) -> None:
        for child in children:
            child.rlimit(psutil.RLIMIT_FSIZE, (MIB, MIB))

    with (
        Stage(StoredObject(large, checksum=Algorithm.CRC64NVME), at_work=shrink) as stage,
        pytest.raises(DestinationError) as caught,
    ):
        stage.run(client, destination)
    assert isinstance(caught.value.__cause__, OSError)
    assert not destination.exists()
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before


def test_a_download_that_is_cancelled_leaves_no_process_and_goes_on_from_where_it_stood(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    stored, scope, landed = StoredObject(large, checksum=Algorithm.CRC64NVME), Cancellation(), 10 * MIB

    with Stage(stored, behaviour=Behaviour(rate_per_connection=4 * MIB)) as stage:

        def handle(event: Event) -> None:
            stage.handle(event)
            if isinstance(event, Progress) and event.landed >= landed:
                scope.cancel()

        with pytest.raises(Cancelled):
            client.transfer_to_file(stage.url, destination, scope, on_event=handle)
        kept = [event.landed for event in stage.events if isinstance(event, Kept)]
    assert kept
    assert kept[0] >= landed
    with Stage(stored, port=stage.server.port) as stage:
        result = stage.run(client, destination)
        resumed = [event.landed for event in stage.events if isinstance(event, Resumed)]
    assert destination.read_bytes() == large_bytes
    assert resumed == [result.bytes_resumed]
    # What was between the socket and the file of four connections is fetched again.
    assert result.bytes_resumed >= landed - 4 * MIB
    assert result.bytes_received == SIZE - result.bytes_resumed
    assert result.verification.verified


def test_redirects_are_followed_by_every_process(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    with Stage(stored) as stage:
        away = faults.redirect(stage.url).always()
        with ObjectServer({"/b/object": stored}, faults=[away]) as front:
            result = client.download(front.url("/b/object"), destination, on_event=stage.handle)
    assert destination.read_bytes() == large_bytes
    assert result.processes == 2


@pytest.mark.fault("H38")
def test_a_redirect_to_a_url_that_ends_while_all_processes_are_at_work_is_followed_anew_once(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    good: set[str | None] = set()
    seen: list[str | None] = []

    def gate(request: ReceivedRequest) -> Answer | None:
        seen.append(request.parameter("Signature"))
        return None if seen[-1] in good else error(403, "AccessDenied", "Access Denied")

    with Stage(stored, at_work=lambda _: good.clear(), operations=[gate]) as stage:

        def lead(request: ReceivedRequest) -> Answer | None:
            del request
            ticket = f"ticket-{len(front.requests)}"
            good.add(ticket)
            return document(302, b"", ("Location", f"{stage.url}?Signature={ticket}&Expires=99999999999"))

        with ObjectServer({"/b/object": stored}, operations=[lead]) as front:
            result = client.download(front.url("/b/object"), destination, on_event=stage.handle)
        assert len(front.requests) == 2
    assert destination.read_bytes() == large_bytes
    assert (result.processes, result.retries) == (2, 0)
    assert len(set(seen)) == 2


# The module that a child runs, where names lead to several machines; its path is what a child is known by here.
LED = """
import socket
from fastget.engine.processes.child import main
socket.getaddrinfo = lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", name) for name in {names}]
"""


def test_an_address_with_another_version_is_left_alone_by_every_process(
    large: Content, large_bytes: bytes, destination: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = StoredObject(Content.generated(SIZE, seed=24))
    stage = Stage(StoredObject(large), behaviour=Behaviour(rate_per_connection=8 * MIB))
    with stage, ObjectServer({"/b/object": newer}) as other, Client(**OPTIONS) as client:
        names = [("127.0.0.1", stage.server.port), ("127.0.0.1", other.port)]
        path = tmp_path / "fastget.engine.processes.child"
        path.mkdir()
        (path / "led_to_several.py").write_text(LED.format(names=names))
        monkeypatch.syspath_prepend(path)
        monkeypatch.setattr("fastget.engine.processes.company._CHILD", "led_to_several")
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", name) for name in names]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        result = client.download("http://store.example/b/object", destination, on_event=stage.handle, resume=False)
        assert other.requests
    assert result.processes == 2
    assert destination.read_bytes() == large_bytes


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("processes", [2, 3])
def test_a_server_that_serves_few_connections_at_once_is_left_to_those_who_are_served(
    most: int,
    processes: int,
    large: Content,
    large_bytes: bytes,
    client: Client,
    destination: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fastget.core.straggler.UNSERVED", 0.3)
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    behaviour = Behaviour(rate_per_connection=4 * MIB)
    with ObjectServer({"/b/object": stored}, behaviour=behaviour, max_connections=most) as server:
        result = client.download(server.url("/b/object"), destination, processes=processes, connections=12)
    assert destination.read_bytes() == large_bytes
    assert result.retries == 0
    assert result.bytes_received == SIZE


def test_a_child_that_cannot_be_started_is_done_without(
    large: Content, large_bytes: bytes, client: Client, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, module: str) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("fastget.engine.processes.company.launch", refuse)
    with ObjectServer({"/b/object": StoredObject(large, checksum=Algorithm.CRC64NVME)}) as server:
        result = client.download(server.url("/b/object"), destination)
    assert destination.read_bytes() == large_bytes
    assert result.processes == 1


@pytest.mark.parametrize(
    "options",
    [{"processes": 1}, {"connections": 3}, {"part_size": SIZE}, {"limit_rate": 10**9}],
    ids=str,
)
def test_what_is_not_worth_several_processes_is_fetched_by_one(
    options: dict[str, Any], large: Content, large_bytes: bytes, destination: Path
) -> None:
    with (
        ObjectServer({"/b/object": StoredObject(large)}) as server,
        Client(**{**OPTIONS, **options}) as client,
    ):
        result = client.download(server.url("/b/object"), destination)
    assert destination.read_bytes() == large_bytes
    assert result.processes == 1


def test_the_bytes_of_a_read_are_fetched_by_one_process(large: Content, large_bytes: bytes, client: Client) -> None:
    before = psutil.Process().children()
    with ObjectServer({"/b/object": StoredObject(large)}) as server:
        assert client.read(server.url("/b/object")) == large_bytes
    assert psutil.Process().children() == before


def test_no_secret_is_in_what_a_child_is_started_with(large: Content, destination: Path) -> None:
    seen: list[str] = []

    def look(children: list[psutil.Process]) -> None:
        for child in children:
            seen.extend(child.cmdline())
            seen.extend(child.environ().values())

    stored = StoredObject(large, required_headers={"Authorization": "Bearer abcdef0123456789"})
    headers = {"Authorization": "Bearer abcdef0123456789"}
    with Stage(stored, at_work=look) as stage, Client(**OPTIONS, headers=headers) as client:
        result = stage.run(client, destination)
    assert result.processes == 2
    assert seen
    assert not any("abcdef0123456789" in text for text in seen)
