"""Versions: every later request names the version that the first answer had, where the caller may read by version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.errors import AccessDenied, SourceChanged
from fastget.events import Method
from fastget.testing import Behaviour, Content, Fault, ObjectServer, StoredObject, faults

if TYPE_CHECKING:
    from pathlib import Path

    from fastget.testing.answer import Answer
    from fastget.testing.received import ReceivedRequest

MIB = 1024 * 1024
PARTS = (1 * MIB, 2 * MIB, 3 * MIB)


@pytest.fixture
def stored() -> StoredObject:
    content = Content.generated(sum(PARTS), seed=3)
    return StoredObject(
        content, part_sizes=PARTS, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE", version_id="v-1"
    )


def deny_by_version(request: ReceivedRequest, answer: Answer) -> Answer:
    """What S3 says to a caller with s3:GetObject but without s3:GetObjectVersion."""
    if request.parameter("versionId") is None:
        return answer
    return replace(answer, status=403, segments=(), fields=())


def options(server: ObjectServer) -> dict[str, Any]:
    return {"endpoint_url": server.base_url, "no_sign_request": True, "connections": 3, "part_size": MIB}


def test_later_requests_name_the_version_of_the_first_answer(stored: StoredObject, destination: Path) -> None:
    with ObjectServer({"/bucket/key": stored}) as server:
        result = fastget.download("s3://bucket/key", destination, **options(server))
        first, *later = server.requests
    assert "versionId" not in first.target
    assert all("versionId=v-1" in request.target for request in later)
    assert (result.version_id, result.verification.method) == ("v-1", Method.COMPOSITE)


def test_who_may_not_read_by_version_is_pinned_by_the_etag_alone(stored: StoredObject, destination: Path) -> None:
    denied = [
        Fault(name="denied by version", edit=deny_by_version).on(method=method).always() for method in ("GET", "HEAD")
    ]
    with ObjectServer({"/bucket/key": stored}, faults=denied) as server:
        result = fastget.download("s3://bucket/key", destination, **options(server))
        served = [request for request in server.requests if request.status == 206]
    assert destination.read_bytes() == bytes(stored.content.read(0, stored.content.size))
    assert result.verification.method is Method.COMPOSITE
    assert result.retries == 0
    assert served
    assert {request.headers.get("If-Match") for request in served} == {stored.etag}


def test_a_version_that_the_caller_asked_for_is_never_dropped(stored: StoredObject, destination: Path) -> None:
    denied = Fault(name="denied by version", edit=deny_by_version).always()
    with ObjectServer({"/bucket/key": stored}, faults=[denied]) as server, pytest.raises(AccessDenied):
        fastget.download("s3://bucket/key", destination, version_id="v-1", **options(server))


def test_an_answer_of_another_version_with_the_same_etag_ends_the_download(
    stored: StoredObject, destination: Path
) -> None:
    other = faults.field("x-amz-version-id", "v-2").on(ranged=True)
    behaviour = Behaviour(rate_per_connection=4 * MIB)  # so that a range is asked for
    with (
        ObjectServer({"/bucket/key": stored}, behaviour=behaviour, faults=[other]) as server,
        pytest.raises(SourceChanged, match="version"),
    ):
        fastget.download("s3://bucket/key", destination, **options(server))
    assert not list(destination.parent.iterdir())


def test_ranges_are_read_by_version_and_without_where_that_is_denied(stored: StoredObject) -> None:
    asked = [(at, at + 5000) for at in range(0, 5 * MIB, MIB)]
    denied = Fault(name="no GetObjectVersion", edit=deny_by_version).always()
    for injected in ([], [denied]):
        with ObjectServer({"/bucket/key": stored}, faults=injected) as server:
            found = fastget.read_ranges("s3://bucket/key", asked, **options(server))
            assert any("versionId=v-1" in request.target for request in server.requests)
        assert [bytes(one) for one in found] == [stored.content.read(*one) for one in asked]
