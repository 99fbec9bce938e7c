"""What is here already is found by a pull as by a download of that object, with less ado where it is small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.core.object_moulds import ObjectMould
from fastget.engine.exchange.moulding import FIRST_DUE
from fastget.errors import Unverifiable
from fastget.events import Done, Unchanged
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject

NO_DIGESTS = Behaviour(checksums=False, amazon=False)
KINDS: dict[str, tuple[StoredObject, Behaviour]] = {
    "digest": (StoredObject(Content.generated(5000), checksum=Algorithm.CRC64NVME), Behaviour()),
    "etag": (StoredObject(Content.generated(5000)), Behaviour()),
    "note": (StoredObject(Content.generated(5000)), NO_DIGESTS),
    "empty": (StoredObject(Content.of(b""), checksum=Algorithm.SHA256), Behaviour()),
    "parts": (
        StoredObject(
            Content.generated(5000), checksum=Algorithm.SHA256, part_sizes=(3000, 2000), checksum_type="COMPOSITE"
        ),
        Behaviour(),
    ),
    "large": (StoredObject(Content.generated(300_000), checksum=Algorithm.CRC32C), Behaviour()),
    "no head": (StoredObject(Content.generated(5000), checksum=Algorithm.CRC64NVME), Behaviour(head=False)),
}


def told(results: list[Any]) -> tuple[list[Any], list[Any]]:
    """The events that tell of a file that is here, and the results without what is never the same."""
    done = [replace(event.result, seconds=0.0) for event in results if isinstance(event, Done)]
    return [event for event in results if isinstance(event, Unchanged)], done


def asked(server: ObjectServer) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in server.requests]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pull_finds_what_a_download_finds(tmp_path: Path, kind: str) -> None:
    stored, behaviour = KINDS[kind]
    path = tmp_path / "k"
    downloaded: list[Any] = []
    pulled: list[Any] = []
    with ObjectServer({"/k": stored}, behaviour=behaviour) as server, fastget.Client() as client:
        client.download(server.url("/k"), path)
        server.forget_requests()
        again = client.download(server.url("/k"), path, on_event=downloaded.append)
        of_download = asked(server)
        server.forget_requests()
        result = client.pull([server.url("/k")], tmp_path, on_event=pulled.append)
        # What is not plain is found out by a HEAD, and then looked at in the ordinary way.
        assert asked(server)[kind in ("parts", "no head") :] == of_download
    assert told(pulled) == told(downloaded)
    assert (result.done, result.skipped, result.verified) == (1, int(again.was_here), int(again.verification.verified))
    assert again.was_here
    assert [entry.name for entry in tmp_path.iterdir()] == ["k"]


@pytest.mark.parametrize("kind", ["digest", "etag", "note", "large"])
@pytest.mark.parametrize("change", ["file", "object", "shorter"])
def test_what_is_not_the_same_any_more_is_fetched(tmp_path: Path, kind: str, change: str) -> None:
    stored, behaviour = KINDS[kind]
    other = StoredObject(Content.generated(stored.content.size, seed=9), checksum=stored.checksum)
    path = tmp_path / "k"
    with ObjectServer({"/k": stored}, behaviour=behaviour) as server:
        fastget.pull([server.url("/k")], tmp_path)
        if change == "object":
            server.put("/k", other)
        else:
            path.write_bytes(b"x" * (stored.content.size - (change == "shorter")))
        result = fastget.pull([server.url("/k")], tmp_path)
    assert (result.done, result.skipped) == (1, 0)
    assert path.read_bytes() == (other if change == "object" else stored).content.read()


@pytest.fixture
def recognised(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each answer to a request with a mould was recognised."""
    found: list[bool] = []
    recognise = ObjectMould.recognise

    def noted(self: ObjectMould, data: bytes) -> Any:
        answer = recognise(self, data)
        found.append(answer is not None)
        return answer

    monkeypatch.setattr(ObjectMould, "recognise", noted)
    return found


@pytest.mark.parametrize("kind", ["digest", "etag", "note"])
def test_of_many_that_are_alike_those_that_have_changed_are_fetched(
    tmp_path: Path, kind: str, recognised: list[bool]
) -> None:
    stored, behaviour = KINDS[kind]

    def made(size: int, seed: int) -> StoredObject:
        return StoredObject(Content.generated(size, seed=seed), checksum=stored.checksum)

    objects = {f"/b/{number:02}": made(5000, number) for number in range(12)}
    with ObjectServer(objects, behaviour=behaviour) as server:
        urls = [server.url(path) for path in objects]
        assert fastget.pull(urls, tmp_path, jobs=1, processes=1).done == 12
        # One is another object of the same size, one has grown, and the file of one was written to.
        objects["/b/09"] = made(5000, 77)
        objects["/b/10"] = made(5001, 78)
        for path in ("/b/09", "/b/10"):
            server.put(path, objects[path])
        (tmp_path / "11").write_bytes(b"x" * 5000)
        server.forget_requests()
        connections = server.connections
        del recognised[:]
        again = fastget.pull(urls, tmp_path, jobs=1, processes=1)
        heads = [request.path for request in server.requests if request.method == "HEAD"]
        assert server.connections == connections + 1
    assert heads[:10] == list(objects)[:10]
    assert (again.done, again.skipped, again.failed) == (12, 9, 0)
    assert recognised[: 10 - FIRST_DUE] == [True] * (10 - FIRST_DUE)
    assert {path: (tmp_path / path[3:]).read_bytes() for path in objects} == {
        path: stored.content.read() for path, stored in objects.items()
    }


def test_the_facts_of_many_that_are_alike_are_those_of_each(recognised: list[bool]) -> None:
    objects = {f"/b/{number}": StoredObject(Content.generated(number, seed=number)) for number in range(8)}
    objects["/b/8"] = replace(objects["/b/7"], headers={"x-amz-storage-class": "GLACIER"})
    with ObjectServer(objects) as server, fastget.Client() as client:
        found = {path: client.head(server.url(path)) for path in objects}
    assert {path: (info.size, info.etag) for path, info in found.items()} == {
        path: (stored.content.size, stored.etag) for path, stored in objects.items()
    }
    assert [info.storage_class for info in found.values()] == [None] * 8 + ["GLACIER"]
    assert recognised == [True] * (8 - FIRST_DUE) + [False]


def test_a_file_that_nothing_vouches_for_fails_where_that_is_wanted(tmp_path: Path) -> None:
    stored, behaviour = KINDS["note"]
    with ObjectServer({"/k": stored}, behaviour=behaviour) as server:
        fastget.pull([server.url("/k")], tmp_path)
        result = fastget.pull([server.url("/k")], tmp_path, require_verified=True)
    assert [type(failure.error) for failure in result.failures] == [Unverifiable]


def test_a_listed_digest_is_what_a_file_that_is_here_is_held_to(tmp_path: Path) -> None:
    stored, _ = KINDS["digest"]
    right, wrong = (f"crc32c={digest:08x}" for digest in (_crc32c(stored.content.read()), 0))
    lists = {digest: tmp_path / digest[-8:] for digest in (right, wrong)}
    with ObjectServer({"/k": stored}) as server, fastget.Client() as client:
        client.pull([server.url("/k")], tmp_path / "out")
        for digest, path in lists.items():
            path.write_text(f"{server.url('/k')}\n  checksum={digest}\n")
        from fastget.bulk.items import from_lines

        same = client.pull(from_lines(lists[right].read_text().splitlines()), tmp_path / "out")
        other = client.pull(from_lines(lists[wrong].read_text().splitlines()), tmp_path / "out")
    assert (same.skipped, same.failed) == (1, 0)
    assert (other.skipped, other.failed) == (0, 1)
    assert (tmp_path / "out" / "k").read_bytes() == stored.content.read()


def _crc32c(data: bytes) -> int:
    import crc32c

    return int(crc32c.crc32c(data))
