"""Stores that follow S3 up to a point: right bytes, the best verification that each makes possible, no false alarm."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.errors import ChecksumMismatch, SourceChanged, Unverifiable
from fastget.events import Method
from fastget.testing import Content, ObjectServer, StoredObject, faults
from fastget.testing.quirks import QUIRKS

pytestmark = pytest.mark.usefixtures("aws_keys")

MIB = 1024 * 1024
EVEN = (2 * MIB, 2 * MIB, 2 * MIB, 4321)
UNEVEN = (1 * MIB, 3 * MIB, 4321, 2 * MIB)
# As large as they would have to be if all were like the first.
MISLEADING = (2 * MIB, 3 * MIB, 1 * MIB, 4321)
OBJECTS: dict[str, dict[str, Any]] = {
    "single": {"checksum": Algorithm.CRC64NVME},
    "full": {"checksum": Algorithm.CRC64NVME, "part_sizes": UNEVEN},
    "even": {"checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE", "part_sizes": EVEN},
    "uneven": {"checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE", "part_sizes": UNEVEN},
    "misleading": {"checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE", "part_sizes": MISLEADING},
    "sha-even": {"checksum": Algorithm.SHA256, "checksum_type": "COMPOSITE", "part_sizes": EVEN},
    "sha-misleading": {"checksum": Algorithm.SHA256, "checksum_type": "COMPOSITE", "part_sizes": MISLEADING},
    "etag-even": {"part_sizes": EVEN},
    "etag-uneven": {"part_sizes": UNEVEN},
    "one-part": {"checksum": Algorithm.SHA256, "checksum_type": "COMPOSITE", "part_sizes": (sum(EVEN),)},
}
# Uneven parts that these stores tell nobody: no digest of the whole can be compared.
_TOLD_BY_NONE = {"uneven", "misleading", "sha-misleading", "etag-uneven"}
UNTOLD: dict[str, set[str]] = {
    "moto": _TOLD_BY_NONE,
    "noobaa": _TOLD_BY_NONE,
    "ministack": _TOLD_BY_NONE,
    "seaweedfs-3.97": _TOLD_BY_NONE,
    # The list of parts comes with checksums only.
    "minio-gaps": {"etag-uneven"},
}
QUICK = {"part_size": MIB, "connections": 3}


def serving(name: str, stored: StoredObject, *chosen: Any, rate: int | None = None) -> ObjectServer:
    """The store, at `rate` bytes a second for each connection, so that more than one is of use."""
    quirk = QUIRKS[name]
    behaviour = replace(quirk.behaviour, rate_per_connection=rate)
    return ObjectServer({"/b/k": quirk.dress(stored)}, behaviour=behaviour, faults=chosen)


def fetch(server: ObjectServer, destination: Path, **options: Any) -> fastget.Result:
    destination.unlink(missing_ok=True)  # one that is here already would be looked at first
    return fastget.download("s3://b/k", destination, endpoint_url=server.base_url, **QUICK, **options)


def assert_is(path: Path, digest: str) -> None:
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert list(path.parent.iterdir()) == [path]


def method_of(name: str, kind: str) -> Method:
    """The best that there is to be had."""
    if name == "object-lambda" or kind in UNTOLD.get(name, ()):
        return Method.SIZE
    if name == "gcs":
        return Method.HTTP_DIGEST
    if name == "spaces" or kind.startswith("etag") or (name == "rclone" and kind != "single"):
        return Method.ETAG_MD5
    return Method.FULL_OBJECT if kind in ("single", "full") else Method.COMPOSITE


@pytest.mark.row(32, 33, 34, 36, 42, 62, 90, 110, 112)
@pytest.mark.fault("H45", "H47", "H48", "H49", "H50", "H53")
@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("name", QUIRKS)
def test_every_store_gives_the_right_bytes_and_the_best_verification_that_it_can(
    content: Content, content_digest: str, destination: Path, name: str, kind: str
) -> None:
    with serving(name, StoredObject(content, **OBJECTS[kind])) as server:
        result = fetch(server, destination)
    found = result.verification
    assert_is(destination, content_digest)
    assert (found.method, found.verified) == (method_of(name, kind), method_of(name, kind) is not Method.SIZE)
    assert result.repairs == 0


def test_stores_of_two_profiles_are_two_stores(
    content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = StoredObject(content, **OBJECTS["sha-misleading"])
    with serving("noobaa", stored) as poor, serving("aws", stored) as rich:
        lines = [f"[profile {server.port}]\nendpoint_url = {server.base_url}\n" for server in (poor, rich)]
        (tmp_path / "config").write_text("".join(lines))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        found = [
            fastget.download(
                "s3://b/k",
                tmp_path / str(server.port),
                profile=str(server.port),
                access_key_id="key",
                secret_access_key="secret",
                **QUICK,
            ).verification.method
            for server in (poor, rich)
        ]
    assert found == [Method.SIZE, Method.COMPOSITE]


@pytest.mark.row(62, 85)
@pytest.mark.parametrize("kind", ["even", "misleading", "sha-misleading", "etag-uneven"])
@pytest.mark.parametrize("name", QUIRKS)
def test_no_store_raises_a_false_alarm_over_a_plain_url(
    content: Content, content_digest: str, destination: Path, name: str, kind: str
) -> None:
    with serving(name, StoredObject(content, **OBJECTS[kind])) as server:
        result = fastget.download(server.url("/b/k"), destination, **QUICK)
    assert_is(destination, content_digest)
    assert result.verification.verified or result.verification.reason


@pytest.mark.row(84)
@pytest.mark.fault("H51", "H52")
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("name", QUIRKS)
def test_every_store_gives_what_is_empty_or_a_single_byte(destination: Path, name: str, size: int) -> None:
    with serving(name, StoredObject(Content.of(b"x" * size), checksum=Algorithm.CRC32C)) as server:
        result = fetch(server, destination)
        assert len(server.requests) == 1
    assert destination.read_bytes() == b"x" * size
    assert (result.verification.method is Method.SIZE) == (name == "object-lambda")


@pytest.mark.parametrize("kind", ["single", "even", "misleading"])
@pytest.mark.parametrize("name", QUIRKS)
def test_no_store_makes_a_flipped_bit_pass(content: Content, destination: Path, name: str, kind: str) -> None:
    """One that can be verified; the others have said that they are not."""
    if method_of(name, kind) is Method.SIZE:
        return
    damage = faults.flip_bit(offset=3 * MIB + 5).always()
    with serving(name, StoredObject(content, **OBJECTS[kind]), damage) as server:
        try:
            result = fetch(server, destination)
        except ChecksumMismatch:
            assert not list(destination.parent.iterdir())
        else:
            assert not result.verification.verified


@pytest.mark.fault("C3", "C4")
@pytest.mark.parametrize("kind", ["single", "even"])
@pytest.mark.parametrize("name", QUIRKS)
def test_no_store_gets_two_versions_mixed(content: Content, destination: Path, name: str, kind: str) -> None:
    stored, other = (StoredObject(each, **OBJECTS[kind]) for each in (content, Content.generated(content.size, seed=9)))
    replaced = faults.replaced(QUIRKS[name].dress(other)).on(request=4).always()
    wholes = [hashlib.sha256(bytes(each.content.read(0, content.size))).hexdigest() for each in (stored, other)]
    with serving(name, stored, replaced) as server:
        try:
            fetch(server, destination)
        except (SourceChanged, ChecksumMismatch):
            assert not list(destination.parent.iterdir())
        else:
            assert hashlib.sha256(destination.read_bytes()).hexdigest() in wholes


class TestConditions:
    """Stores that refuse the ETag that they have just sent (wire-spec.md §4)."""

    @pytest.mark.row(3, 31)
    def test_an_etag_that_is_taken_without_its_quotes_only_pins_without_them(
        self, content: Content, destination: Path
    ) -> None:
        stored = StoredObject(content)
        with serving("spaces", stored, rate=8 * MIB) as server:
            fetch(server, destination)
            served = {request.headers.get("If-Match") for request in server.requests if request.status == 206}
        assert served == {stored.etag.strip('"')}

    def test_where_no_etag_is_taken_the_answers_are_compared(self, content: Content, destination: Path) -> None:
        with serving("seaweedfs-3.97", StoredObject(content, checksum=Algorithm.CRC32C), rate=8 * MIB) as server:
            fetch(server, destination)
            served = {request.headers.get("If-Match") for request in server.requests if request.status == 206}
        assert served == {None}

    def test_what_a_store_takes_is_found_out_once(self, content: Content, destination: Path) -> None:
        with serving("spaces", StoredObject(content), rate=8 * MIB) as server:
            fetch(server, destination)
            server.forget_requests()
            fetch(server, destination)
            assert {request.status for request in server.requests} == {200, 206}

    def test_a_weak_etag_which_is_never_sent_teaches_nothing(self, content: Content, tmp_path: Path) -> None:
        spaces = QUIRKS["spaces"]
        weak, strong = StoredObject(content, etag='W/"abc"', version_id="v1"), StoredObject(content)
        objects = {"/b/w": spaces.dress(weak), "/b/k": spaces.dress(strong)}
        with ObjectServer(objects, behaviour=replace(spaces.behaviour, rate_per_connection=8 * MIB)) as server:
            for key in "wk":
                options = {"endpoint_url": server.base_url, "no_sign_request": True, "part_size": MIB, "connections": 3}
                result = fastget.download(f"s3://b/{key}", tmp_path / key, **QUICK | options)
                assert result.size == content.size

    @pytest.mark.row(82)
    def test_on_amazon_a_412_is_final(self, content: Content, destination: Path) -> None:
        refused = faults.precondition_failed().on(ranged=True).always()
        with serving("aws", StoredObject(content, checksum=Algorithm.CRC32C), refused, rate=8 * MIB) as server:
            with pytest.raises(SourceChanged):
                fetch(server, destination)
            assert all(request.headers.get("If-Match") for request in server.requests if request.range)


class TestInflatedObjects:
    """Google Cloud Storage inflates gzip on the way, unless the client says that it takes gzip."""

    @pytest.fixture
    def stored(self, content: Content) -> StoredObject:
        packed = gzip.compress(bytes(content.read(0, content.size)), mtime=0)
        return StoredObject(Content.of(packed), headers={"Content-Encoding": "gzip"})

    @pytest.mark.row(47)
    def test_they_come_as_they_are_stored_in_ranges_and_verified(self, stored: StoredObject, destination: Path) -> None:
        with serving("gcs", stored, rate=8 * MIB) as server:
            result = fastget.download(server.url("/b/k"), destination, **QUICK)
            encodings = {request.headers.get("Accept-Encoding") for request in server.requests[1:]}
        assert destination.read_bytes() == bytes(stored.content.read(0, stored.content.size))
        assert (result.split, result.verification.method) == ("range", Method.HTTP_DIGEST)
        assert encodings == {"gzip"}

    def test_who_asks_for_another_coding_gets_it(
        self, stored: StoredObject, content: Content, destination: Path
    ) -> None:
        with serving("gcs", stored) as server:
            result = fastget.download(server.url("/b/k"), destination, headers={"Accept-Encoding": "identity"}, **QUICK)
        assert destination.read_bytes() == bytes(content.read(0, content.size))
        assert not result.verification.verified


def test_a_store_that_cannot_be_verified_is_refused_where_that_is_required(content: Content, destination: Path) -> None:
    stored = StoredObject(content, **OBJECTS["misleading"])
    with serving("noobaa", stored) as server, pytest.raises(Unverifiable, match="usual part sizes"):
        fetch(server, destination, require_verified=True)
    assert not list(destination.parent.iterdir())
