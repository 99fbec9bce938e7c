"""Directory buckets: one session for many requests and threads, renewed before and after its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from fastget.client import Client
from fastget.config import Config
from fastget.errors import AccessDenied, CredentialsError
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.resolve import resolve
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject
from fastget.testing.answer import Answer, document
from fastget.testing.documents import error
from fastget.testing.received import ReceivedRequest

KIB = 1024
BUCKET = "fast--use1-az4--x-s3"
CONTENT = Content.generated(2 * KIB * KIB + 99, seed=3)
STORED = StoredObject(CONTENT, etag='"opaque"', checksum=Algorithm.CRC32)
PATH = f"/{BUCKET}/key"
URL = f"s3://{BUCKET}/key"
SLOW = Behaviour(rate_per_connection=8 * KIB * KIB)
HANG = 30.0


class Zone:
    """Gives sessions, each of which lasts for `lives`, and refuses what comes without one or with an `ended` one."""

    def __init__(self, *lives: timedelta) -> None:
        self.sessions: list[ReceivedRequest] = []
        self.objects: list[ReceivedRequest] = []
        self.ended: set[str] = set()
        self.refusal: Answer | None = None
        self._lives = lives or (timedelta(minutes=5),)
        self._lock = threading.Lock()

    @property
    def tokens(self) -> set[str | None]:
        """The session tokens that have come with requests for the object."""
        return {request.headers.get("x-amz-s3session-token") for request in self.objects}

    def __call__(self, request: ReceivedRequest) -> Answer | None:
        if request.parameter("session") is not None:
            with self._lock:
                self.sessions.append(request)
                number = len(self.sessions)
            return self.refusal or document(200, self._session(number), ("Content-Type", "application/xml"))
        with self._lock:
            self.objects.append(request)
        token = request.headers.get("x-amz-s3session-token")
        if token is None:
            return error(403, "AccessDenied", "There is no session.")
        return error(400, "ExpiredToken", "The session has expired.") if token in self.ended else None

    def _session(self, number: int) -> bytes:
        until = datetime.now(UTC) + self._lives[min(number, len(self._lives)) - 1]
        return (
            '<CreateSessionResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Credentials>'
            f"<SessionToken>marked-session-{number}</SessionToken><SecretAccessKey>marked-secret</SecretAccessKey>"
            f"<AccessKeyId>SESSIONKEY{number}</AccessKeyId><Expiration>{until:%Y-%m-%dT%H:%M:%SZ}</Expiration>"
            "</Credentials></CreateSessionResult>"
        ).encode()


def served(*operations: Any) -> ObjectServer:
    return ObjectServer({PATH: STORED}, behaviour=SLOW, operations=operations)


@pytest.mark.row(96, 97)
def test_one_session_serves_every_request_of_every_thread(tmp_path: Path) -> None:
    zone = Zone()
    with served(zone) as server, Client(endpoint_url=server.base_url, connections=8, part_size=64 * KIB) as client:
        result = client.download(URL, tmp_path / "object")
        assert client.read(URL, 5, 10) == CONTENT.read(5, 10)
    assert (tmp_path / "object").read_bytes() == CONTENT.read(0, CONTENT.size)
    assert result.verification.algorithm == "crc32"
    assert len(zone.sessions) == 1
    assert zone.tokens == {"marked-session-1"}
    for request in zone.objects:
        authorization = str(request.headers.get("authorization"))
        assert "Credential=SESSIONKEY1/" in authorization
        assert "/s3express/aws4_request" in authorization
        assert "x-amz-s3session-token" in authorization.partition("SignedHeaders=")[2]


@pytest.mark.row(96)
def test_threads_that_begin_together_make_one_session(endpoints: S3Endpoints) -> None:
    zone = Zone()
    start = threading.Barrier(8)
    with served(zone) as server:
        source = resolve(URL, Config(endpoint_url=server.base_url), endpoints)

        def ask() -> None:
            start.wait(HANG)
            source.get()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG)
    assert len(zone.sessions) == 1


@pytest.mark.row(96)
def test_a_session_is_renewed_before_it_ends_in_mid_download() -> None:
    zone = Zone(timedelta(seconds=40), timedelta(minutes=5))
    with served(zone) as server, Client(endpoint_url=server.base_url, connections=4, part_size=64 * KIB) as client:
        assert client.read(URL) == CONTENT.read(0, CONTENT.size)
    assert len(zone.sessions) == 2
    assert "marked-session-2" in zone.tokens


@pytest.mark.row(92, 96)
def test_a_session_that_the_store_ends_in_mid_download_is_replaced_once() -> None:
    zone = Zone()
    tickets = iter(range(3))
    together = threading.Barrier(3, action=lambda: zone.ended.add("marked-session-1"))

    def gather(request: ReceivedRequest) -> Answer | None:
        if request.range and next(tickets, None) is not None:
            together.wait(HANG)
        return None

    with (
        served(gather, zone) as server,
        Client(endpoint_url=server.base_url, connections=4, part_size=64 * KIB) as client,
    ):
        assert client.read(URL) == CONTENT.read(0, CONTENT.size)
    assert len(zone.sessions) == 2
    assert zone.tokens == {"marked-session-1", "marked-session-2"}


@pytest.mark.row(96)
def test_the_session_is_asked_for_as_botocore_does() -> None:
    theirs, mine = Zone(), Zone()
    with served(theirs) as server:
        client = Session().create_client("s3", "us-east-1", endpoint_url=server.base_url)
        client.get_object(Bucket=BUCKET, Key="key")["Body"].read()
        client.close()
    with served(mine) as server, Client(endpoint_url=server.base_url, region="us-east-1") as ours:
        ours.read(URL)
    expected, found = theirs.sessions[0], mine.sessions[0]
    assert (found.method, found.target) == (expected.method, expected.target)
    for name in ("x-amz-create-session-mode", "x-amz-security-token"):
        assert found.headers.get(name) == expected.headers.get(name)


@pytest.mark.row(96)
@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (error(403, "AccessDenied", "Access Denied"), AccessDenied),
        (error(403, "InvalidAccessKeyId", "No such key."), CredentialsError),
    ],
)
def test_a_session_that_is_refused_is_explained(refusal: Answer, kind: type[Exception]) -> None:
    zone = Zone()
    zone.refusal = refusal
    with served(zone) as server, Client(endpoint_url=server.base_url) as client, pytest.raises(kind) as caught:
        client.read(URL)
    assert URL in str(caught.value)
    assert not zone.objects


@pytest.fixture
def secrets_seen(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level("DEBUG"):
        yield caplog


@pytest.mark.row(96)
def test_the_session_shows_nowhere(endpoints: S3Endpoints, secrets_seen: pytest.LogCaptureFixture) -> None:
    zone = Zone()
    with served(zone) as server:
        source = resolve(URL, Config(endpoint_url=server.base_url), endpoints)
        request = source.get()
    assert "marked-session-1" in str(request.headers.get("x-amz-s3session-token"))
    assert "marked" not in f"{source!r} {request!r} {secrets_seen.text}"
