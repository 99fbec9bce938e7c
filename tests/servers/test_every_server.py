"""What holds for every server: the right bytes, an honest report, a typed error, nothing left behind."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastget
from fastget.errors import NotFound, Unverifiable
from fastget.events import Done, Event, Method, Progress, Started

if TYPE_CHECKING:
    from tests.servers.conftest import Sample, Server

SERVERS = ("nginx", "nginx_tls", "rclone_http", "rclone_s3", "moto", "localstack")
VERIFIED_BY = {"rclone_s3": Method.ETAG_MD5, "localstack": Method.FULL_OBJECT}


@pytest.fixture(params=SERVERS)
def server_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server(request: pytest.FixtureRequest, server_name: str) -> Server:
    found: Server = request.getfixturevalue(server_name)
    return found


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.fault("C15", "H52")
def test_a_sample_arrives_whole_and_nothing_is_left_open(
    server: Server, sample: Sample, tmp_path: Path, no_leaks: None
) -> None:
    result = fastget.download(server.url(sample.name), tmp_path / "copy", **server.options)
    assert sha256_of(tmp_path / "copy") == sample.sha256
    assert (result.size, result.path) == (sample.size, str(tmp_path / "copy"))
    assert result.bytes_received == sample.size
    assert list(tmp_path.iterdir()) == [tmp_path / "copy"]


def test_the_report_says_how_the_bytes_were_checked(
    server: Server, server_name: str, sample: Sample, tmp_path: Path
) -> None:
    method = VERIFIED_BY.get(server_name, Method.SIZE)
    found = fastget.download(server.url(sample.name), tmp_path / "copy", **server.options).verification
    assert found.method is method
    assert found.verified is (method is not Method.SIZE)
    assert found.coverage == (1.0 if found.verified else 0.0)
    assert found.expected == found.actual == declared_digest(server, sample, method)
    assert found.reason


def declared_digest(server: Server, sample: Sample, method: Method) -> str | None:
    """In hex: what hashlib, or the head that botocore reads, says."""
    if method is Method.ETAG_MD5:
        return sample.md5
    if method is Method.FULL_OBJECT:
        head = server.client.head_object(Bucket="samples", Key=sample.name, ChecksumMode="ENABLED")
        return b64decode(head["ChecksumCRC64NVME"]).hex()
    return None


@pytest.mark.parametrize("options", [{"connections": 1}, {"connections": 3, "part_size": 1_000_003}])
def test_the_number_of_connections_and_the_size_of_pieces_change_no_byte(
    server: Server, large: Sample, options: dict[str, int], tmp_path: Path
) -> None:
    result = fastget.download(server.url(large.name), tmp_path / "copy", **options, **server.options)
    assert sha256_of(tmp_path / "copy") == large.sha256
    assert result.connections <= options["connections"]


def test_a_digest_of_the_caller_is_compared_whatever_the_server_declares(
    server: Server, medium: Sample, tmp_path: Path
) -> None:
    digest = f"sha-256={medium.sha256}"
    result = fastget.download(server.url(medium.name), tmp_path / "copy", checksum=digest, **server.options)
    assert result.verification.method is Method.USER_DIGEST
    assert result.verification.actual == medium.sha256


@pytest.mark.fault("S23")
def test_a_wrong_digest_of_the_caller_leaves_the_old_file_as_it_was(
    server: Server, medium: Sample, tmp_path: Path
) -> None:
    (tmp_path / "copy").write_text("the old file")
    with pytest.raises(fastget.errors.ChecksumMismatch) as caught:
        fastget.download(
            server.url(medium.name), tmp_path / "copy", checksum=f"sha-256={'0' * 64}", resume=False, **server.options
        )
    assert caught.value.actual == medium.sha256
    assert (tmp_path / "copy").read_text() == "the old file"
    assert list(tmp_path.iterdir()) == [tmp_path / "copy"]


def test_what_cannot_be_verified_is_refused_where_verification_is_required(
    server: Server, server_name: str, medium: Sample, tmp_path: Path
) -> None:
    if server_name in VERIFIED_BY:
        result = fastget.download(server.url(medium.name), tmp_path / "copy", require_verified=True, **server.options)
        assert result.verification.verified
        return
    with pytest.raises(Unverifiable):
        fastget.download(server.url(medium.name), tmp_path / "copy", require_verified=True, **server.options)
    assert list(tmp_path.iterdir()) == []


def test_memory_gets_the_same_bytes_as_a_file(server: Server, sample: Sample) -> None:
    content = fastget.read(server.url(sample.name), **server.options)
    assert hashlib.sha256(content).hexdigest() == sample.sha256


@pytest.mark.parametrize(("start", "stop"), [(0, 10), (8_388_600, None), (1_000_000, 7_000_000), (-9, None)])
def test_a_slice_is_the_slice_of_the_whole(server: Server, medium: Sample, start: int | None, stop: int | None) -> None:
    assert fastget.read(server.url(medium.name), start, stop, **server.options) == medium.content[start:stop]


def test_the_facts_are_those_of_the_object(server: Server, medium: Sample) -> None:
    assert fastget.head(server.url(medium.name), **server.options).size == medium.size


def test_a_missing_object_is_not_found_and_leaves_no_file(server: Server, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        fastget.download(server.url("there-is-no-such-object"), tmp_path / "copy", **server.options)
    assert caught.value.reply is not None
    assert caught.value.reply.status == 404
    assert list(tmp_path.iterdir()) == []


def test_the_events_tell_the_whole_way(server: Server, large: Sample, tmp_path: Path) -> None:
    events: list[Event] = []
    result = fastget.download(server.url(large.name), tmp_path / "copy", on_event=events.append, **server.options)
    progress = [event.landed for event in events if isinstance(event, Progress)]
    assert isinstance(events[0], Started)
    assert events[-1] == Done(result)
    assert progress == sorted(progress)
    assert progress[-1] == large.size


class TestCommandLine:
    """The same through `python -m fastget`, whose environment is that of the tests."""

    @pytest.fixture
    def run(self, server: Server) -> Callable[..., subprocess.CompletedProcess[str]]:
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in server.options.items()]

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "fastget", *arguments, *flags]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        return run

    def test_it_fetches_a_file(
        self,
        run: Callable[..., subprocess.CompletedProcess[str]],
        server: Server,
        large: Sample,
        tmp_path: Path,
    ) -> None:
        done = run(server.url(large.name), "-o", str(tmp_path / "copy"))
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert sha256_of(tmp_path / "copy") == large.sha256

    def test_its_json_holds_the_result(
        self,
        run: Callable[..., subprocess.CompletedProcess[str]],
        server: Server,
        medium: Sample,
        tmp_path: Path,
    ) -> None:
        done = run(server.url(medium.name), "-o", str(tmp_path / "copy"), "--json")
        events = {event["event"]: event for event in map(json.loads, done.stdout.splitlines())}
        assert events["done"]["size"] == medium.size
        assert events["summary"]["failed"] == 0

    def test_a_missing_object_ends_it_with_3(
        self, run: Callable[..., subprocess.CompletedProcess[str]], server: Server, tmp_path: Path
    ) -> None:
        done = run(server.url("there-is-no-such-object"), "-o", str(tmp_path / "copy"))
        assert done.returncode == 3, done.stderr
        assert "Traceback" not in done.stderr
        assert list(tmp_path.iterdir()) == []
