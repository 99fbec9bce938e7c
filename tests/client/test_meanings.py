"""Refusals end to end: what a caller is told, after how many requests, and what before any byte is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.errors import (
    AccessDenied,
    NotFound,
    NotModified,
    ObjectArchived,
    ObjectDeleted,
    ProtocolError,
    RestoreInProgress,
    SourceChanged,
    Throttled,
)
from fastget.testing import Algorithm, Behaviour, Content, EmptyRange, Fault, ObjectServer, StoredObject, faults
from fastget.testing.answer import Answer
from fastget.testing.documents import error
from fastget.testing.received import ReceivedRequest

Serve = Callable[..., ObjectServer]
DATA = bytes(range(256)) * 40
RESTORED = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"'


def stored(**headers: str) -> StoredObject:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return StoredObject(Content.of(DATA), checksum=Algorithm.CRC32C, headers=fields)


def refusing(answer: Answer, method: str = "GET") -> Callable[[ReceivedRequest], Answer | None]:
    return lambda request: answer if request.method == method else None


def asked(server: ObjectServer) -> list[tuple[str, str | None]]:
    return [(request.method, request.range) for request in server.requests]


# Archives --------------------------------------------------------------------------------------------------------


@pytest.mark.row(28, 59, 75)
@pytest.mark.parametrize(
    ("restore", "kind"), [({}, ObjectArchived), ({"x_amz_restore": 'ongoing-request="true"'}, RestoreInProgress)]
)
def test_a_refused_download_learns_by_one_head_whether_a_restoration_is_on_its_way(
    serve: Serve, destination: Path, restore: dict[str, str], kind: type[ObjectArchived]
) -> None:
    server = serve({"/b/k": stored(x_amz_storage_class="DEEP_ARCHIVE", **restore)}, faults=[faults.archived("GLACIER")])
    with pytest.raises(ObjectArchived) as caught:
        fastget.download(server.url("/b/k"), destination)
    assert type(caught.value) is kind
    assert caught.value.storage_class == "DEEP_ARCHIVE"
    assert caught.value.reply is not None
    assert (caught.value.reply.status, caught.value.reply.code) == (403, "InvalidObjectState")
    assert caught.value.reply.request_id
    assert [method for method, _ in asked(server)] == ["GET", "HEAD"]
    assert not list(destination.parent.iterdir())


@pytest.mark.row(59, 70)
def test_a_restored_copy_is_read_like_any_object(serve: Serve, destination: Path) -> None:
    server = serve({"/b/k": stored(x_amz_storage_class="GLACIER", x_amz_restore=RESTORED)})
    assert fastget.download(server.url("/b/k"), destination).verification.verified
    assert fastget.read(server.url("/b/k"), 10, 20) == DATA[10:20]


@pytest.mark.row(59, 73, 75)
def test_a_slice_of_an_archived_object_is_refused_with_its_class(serve: Serve) -> None:
    archived = stored(x_amz_storage_class="GLACIER")
    server = serve({"/b/k": archived}, faults=[faults.archived("GLACIER").always()])
    with pytest.raises(ObjectArchived) as caught:
        fastget.read(server.url("/b/k"), 10, 20)
    assert caught.value.storage_class == "GLACIER"
    assert asked(server) == [("GET", "bytes=10-19"), ("HEAD", None)]
    assert fastget.head(server.url("/b/k")).storage_class == "GLACIER"


@pytest.mark.row(59)
@pytest.mark.parametrize(("start", "stop"), [(-10, None), (0, -10), (None, -10), (5, 20)])
def test_what_a_store_serves_of_an_archive_class_is_read_from_either_end(
    serve: Serve, start: int | None, stop: int | None
) -> None:
    server = serve({"/b/k": stored(x_amz_storage_class="GLACIER")})
    assert fastget.read(server.url("/b/k"), start, stop) == DATA[start:stop]


@pytest.mark.row(28, 59)
@pytest.mark.parametrize(
    ("restore", "kind"), [({}, ObjectArchived), ({"x_amz_restore": 'ongoing-request="true"'}, RestoreInProgress)]
)
def test_a_slice_from_the_end_of_an_archived_object_is_refused_as_well(
    serve: Serve, restore: dict[str, str], kind: type[ObjectArchived]
) -> None:
    archived = stored(x_amz_storage_class="GLACIER", **restore)
    server = serve({"/b/k": archived}, faults=[faults.archived("GLACIER").always()])
    with pytest.raises(ObjectArchived) as caught:
        fastget.read(server.url("/b/k"), -10)
    assert type(caught.value) is kind
    assert caught.value.storage_class == "GLACIER"


def test_a_class_that_nobody_knows_is_no_archive(serve: Serve) -> None:
    server = serve({"/b/k": stored(x_amz_storage_class="QUANTUM_FOAM")})
    assert fastget.read(server.url("/b/k"), 0, 10) == DATA[:10]


# What is gone ----------------------------------------------------------------------------------------------------


@pytest.mark.row(25, 79, 80)
@pytest.mark.parametrize("of_version", [False, True])
def test_a_deleted_object_names_the_marker(serve: Serve, destination: Path, of_version: bool) -> None:
    marker = faults.delete_marker(of_version=of_version).on(method=None).always()
    server = serve({"/b/k": stored()}, faults=[marker])
    for call in (fastget.head, lambda url: fastget.download(url, destination)):
        with pytest.raises(ObjectDeleted, match="version marker-1") as caught:
            call(server.url("/b/k"))
        assert caught.value.version_id == "marker-1"


@pytest.mark.row(74, 78)
def test_a_refused_head_is_explained_by_a_get(serve: Serve) -> None:
    gone = error(404, "NoSuchBucket", "The specified bucket does not exist")
    server = serve({}, operations=[lambda _: gone])
    with pytest.raises(NotFound, match="no such bucket"):
        fastget.head(server.url("/b/k"))
    assert asked(server) == [("HEAD", None), ("GET", None)]


# Facts -----------------------------------------------------------------------------------------------------------


@pytest.mark.row(78)
@pytest.mark.fault("H46")
def test_facts_come_from_a_dropped_get_where_a_head_is_refused(serve: Serve) -> None:
    server = serve({"/b/k": stored(x_amz_meta_a="1")}, behaviour=Behaviour(head=False))
    info = fastget.head(server.url("/b/k"))
    assert (info.size, info.etag, info.accepts_ranges) == (len(DATA), stored().etag, True)
    assert info.headers.get("x-amz-meta-a") == "1"
    assert asked(server) == [("HEAD", None), ("GET", None)]
    assert fastget.read(server.url("/b/k"), 100, 200) == DATA[100:200]


@pytest.mark.row(78)
def test_a_signed_url_is_asked_by_get_alone(serve: Serve) -> None:
    server = serve({"/b/k": stored()})
    info = fastget.head(server.url("/b/k", "X-Amz-Signature=marked"))
    assert info.size == len(DATA)
    assert asked(server) == [("GET", None)]


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(head=False, ranges=False),
        Behaviour(head=False, partial_status=200),
        Behaviour(head=False, amazon=False),
    ],
    ids=["no ranges", "ranges as 200", "plain"],
)
def test_the_size_is_that_of_the_object_whatever_the_server_makes_of_ranges(serve: Serve, behaviour: Behaviour) -> None:
    server = serve({"/b/k": stored()}, behaviour=behaviour)
    assert fastget.head(server.url("/b/k")).size == len(DATA)


def test_a_digest_of_the_whole_is_among_the_facts_of_a_get(serve: Serve) -> None:
    digest = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
    server = serve({"/b/k": stored(Repr_Digest=digest)}, behaviour=Behaviour(head=False))
    assert "repr-digest" in [found.origin for found in fastget.head(server.url("/b/k")).declared]


@pytest.mark.row(84)
@pytest.mark.fault("H52")
@pytest.mark.parametrize("empty", list(EmptyRange))
def test_an_empty_object_has_facts_although_it_has_no_first_byte(serve: Serve, empty: EmptyRange) -> None:
    nothing = StoredObject(Content.of(b""))
    server = serve({"/b/k": nothing}, behaviour=Behaviour(head=False, empty_range=empty))
    info = fastget.head(server.url("/b/k"))
    assert (info.size, info.etag) == (0, nothing.etag)


@pytest.mark.row(103)
def test_facts_are_told_to_those_who_may_not_decrypt(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 refuses a HEAD that asks for checksums, and every GET; a HEAD without them it answers."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMARKED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marked")
    denied = error(403, "AccessDenied", "User: u is not authorized to perform: kms:Decrypt on the resource")

    def kms(request: ReceivedRequest) -> Answer | None:
        return denied if request.method == "GET" or "x-amz-checksum-mode" in request.headers else None

    server = serve({"/b/k": stored()}, operations=[kms])
    options: dict[str, Any] = {"endpoint_url": server.base_url}
    assert fastget.head("s3://b/k", **options).size == len(DATA)
    assert asked(server) == [("HEAD", None), ("GET", None), ("HEAD", None)]
    with pytest.raises(AccessDenied, match="KMS key"):
        fastget.read("s3://b/k", **options)


# Conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.row(3, 6, 82)
@pytest.mark.parametrize(
    "condition", [{"if_match": '"other"'}, {"if_unmodified_since": "Mon, 01 Jan 2001 00:00:00 GMT"}], ids=str
)
def test_a_condition_of_the_callers_own_that_does_not_hold_is_named(
    serve: Serve, destination: Path, condition: dict[str, Any]
) -> None:
    server = serve({"/b/k": stored()})
    name = "If-Match" if "if_match" in condition else "If-Unmodified-Since"
    for call in (fastget.head, fastget.read, lambda url, **options: fastget.download(url, destination, **options)):
        with pytest.raises(SourceChanged, match=f"the condition {name} that was given does not hold"):
            call(server.url("/b/k"), **condition)


@pytest.mark.row(4, 5, 83)
def test_nothing_new_is_told_after_one_request(serve: Serve) -> None:
    server = serve({"/b/k": stored()})
    for call in (fastget.head, fastget.read):
        server.forget_requests()
        with pytest.raises(NotModified):
            call(server.url("/b/k"), if_none_match=stored().etag)
        assert len(server.requests) == 1


@pytest.mark.fault("H16")
def test_304_unasked_is_an_answer_that_breaks_http(serve: Serve) -> None:
    server = serve({"/b/k": stored()}, faults=[faults.not_modified().on(method=None).always()])
    with pytest.raises(ProtocolError, match="without a condition"):
        fastget.read(server.url("/b/k"))


def test_what_a_proxy_has_changed_on_the_way_is_refused_and_told_as_that(serve: Serve) -> None:
    changed = Fault(name="203", edit=lambda _, answer: replace(answer, status=203))
    server = serve({"/b/k": stored()}, faults=[changed.always()])
    with pytest.raises(ProtocolError, match="203") as caught:
        fastget.read(server.url("/b/k"))
    assert "changed the content" in (caught.value.hint or "")
    assert len(server.requests) == 1


@pytest.mark.row(91)
def test_a_throttled_head_is_not_followed_by_a_get(serve: Serve) -> None:
    server = serve({"/b/k": stored()}, faults=[faults.slow_down(retry_after=0).on(method=None).always()])
    with pytest.raises(Throttled):
        fastget.head(server.url("/b/k"), retries=1)
    assert [method for method, _ in asked(server)] == ["HEAD", "HEAD"]


# Parts -----------------------------------------------------------------------------------------------------------


def test_a_url_that_asks_for_a_part_says_what_is_wrong_with_it(serve: Serve, destination: Path) -> None:
    parts = StoredObject(Content.of(DATA), part_sizes=(5000, len(DATA) - 5000))
    server = serve({"/b/k": parts})
    with pytest.raises(ProtocolError, match="status 206 answers a request for the whole object") as caught:
        fastget.download(f"{server.url('/b/k')}?partNumber=2", destination, retries=0)
    assert "partNumber" in (caught.value.hint or "")
    assert not list(destination.parent.iterdir())


@pytest.mark.parametrize("verb", [fastget.read, fastget.head])
@pytest.mark.parametrize("query", ["partNumber=2", "X-Amz-Signature=0&partNumber=2"])
def test_a_url_that_asks_for_a_part_is_not_asked_again(serve: Serve, verb: Callable[[str], object], query: str) -> None:
    parts = StoredObject(Content.of(DATA), part_sizes=(5000, len(DATA) - 5000))
    server = serve({"/b/k": parts})
    with pytest.raises(ProtocolError, match="status 206 answers a request for the whole object"):
        verb(f"{server.url('/b/k')}?{query}")
    assert len(server.requests) == 1


def test_a_part_that_answers_a_plain_url_is_asked_for_again(serve: Serve) -> None:
    server = serve({"/b/k": stored()}, faults=[Fault(name="206", edit=lambda _, answer: replace(answer, status=206))])
    assert fastget.read(server.url("/b/k")) == DATA
    assert len(server.requests) == 2
