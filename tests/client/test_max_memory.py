"""`max_memory`: everything works within it, however little it is, and nothing is held once all is over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget import buffers
from fastget.buffers import LEAST, Buffers, shared_buffers
from fastget.errors import ConfigError, NetworkError
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults

KIB, MIB = 1024, 1024 * 1024
SIZE = 12 * MIB + 7
Serve = Callable[..., ObjectServer]
Script = Callable[..., str]


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, int]]:
    """The most that was lent at any time, by the bound of the pool; nothing is lent when the test ends."""
    buffers.forget()
    found: dict[int, int] = {}
    take = Buffers._take

    def noting(self: Buffers, size: int) -> Any:
        lent = take(self, size)
        found[self.bound] = max(found.get(self.bound, 0), self.held)
        return lent

    monkeypatch.setattr(Buffers, "_take", noting)
    yield found
    assert {bound: shared_buffers(bound).held for bound in found} == dict.fromkeys(found, 0)


@pytest.fixture(params=[Algorithm.CRC64NVME, Algorithm.SHA256], ids=str)
def large(request: pytest.FixtureRequest) -> StoredObject:
    return StoredObject(Content.generated(SIZE, seed=3), checksum=request.param)


@pytest.mark.parametrize("max_memory", [MIB, 3 * MIB, 32 * MIB])
@pytest.mark.parametrize("connections", [1, 4, 100])
def test_a_download_has_no_more_than_its_bound(
    serve: Serve, tmp_path: Path, large: StoredObject, most: dict[int, int], max_memory: int, connections: int
) -> None:
    url = serve({"/b/k": large}).url("/b/k")
    result = fastget.download(
        url, tmp_path / "k", max_memory=max_memory, connections=connections, part_size=100 * KIB, fsync=False
    )
    assert result.verification.verified
    assert (tmp_path / "k").read_bytes() == large.content.read()
    assert 0 < most[max_memory] <= max_memory


@pytest.mark.parametrize("max_memory", [MIB, 32 * MIB])
def test_a_stream_has_no_more_than_its_bound(
    serve: Serve, large: StoredObject, most: dict[int, int], max_memory: int
) -> None:
    url = serve({"/b/k": large}).url("/b/k")
    hasher = hashlib.sha256()
    with fastget.stream(url, max_memory=max_memory, connections=8, part_size=100 * KIB) as stream:
        for view in stream:
            hasher.update(view)
    assert hasher.digest() == hashlib.sha256(large.content.read()).digest()
    assert most[max_memory] <= max_memory


def test_streams_that_wait_for_their_reader_keep_no_other_transfer_from_its_end(
    serve: Serve, most: dict[int, int], tmp_path: Path
) -> None:
    stored = StoredObject(Content.generated(4 * MIB, seed=4), checksum=Algorithm.CRC32)
    url = serve({"/b/k": stored}).url("/b/k")
    options: dict[str, Any] = {"max_memory": MIB, "connections": 4, "part_size": 64 * KIB}
    with ExitStack() as stack:
        streams = [stack.enter_context(fastget.stream(url, **options)) for _ in range(8)]
        begun = [b"".join(bytes(next(stream)) for _ in range(3)) for stream in streams]
        fastget.download(url, tmp_path / "k", fsync=False, **options)
        assert fastget.read(url, **options) == stored.content.read()
        assert fastget.read_ranges(url, [(5, 10), (4000, 5000)], **options)[0] == stored.content.read(5, 10)
        # Each of them is read by turns, none of them to its end before the others.
        ends: list[bytes] = []
        for first, stream in zip(begun, streams, strict=True):
            ends.append(first + b"".join(bytes(view) for view in stream))
    assert ends == [stored.content.read()] * 8
    assert most[MIB] <= MIB + 10 * 2 * LEAST


def test_a_pull_has_no_more_than_its_bound(serve: Serve, tmp_path: Path, most: dict[int, int]) -> None:
    sizes = [0, 1, 20 * KIB, 100 * KIB, 250 * KIB, 300 * KIB, 9 * MIB]
    objects = {
        f"/b/{at}": StoredObject(Content.generated(sizes[at % len(sizes)], seed=at), checksum=Algorithm.CRC32C)
        for at in range(70)
    }
    server = serve(objects)
    result = fastget.pull([server.url(path) for path in objects], tmp_path, max_memory=MIB, jobs=1000, fsync=False)
    assert (result.done, result.failures) == (70, ())
    for path, stored in objects.items():
        assert (tmp_path / path.removeprefix("/b/")).read_bytes() == stored.content.read()
    assert most[MIB] <= MIB + 16 * 2 * LEAST


def test_what_was_left_is_read_again_within_the_bound(
    serve: Serve, tmp_path: Path, large: StoredObject, most: dict[int, int]
) -> None:
    options: dict[str, Any] = {"max_memory": MIB, "fsync": False, "connections": 1}
    broken = [faults.close_mid_body(after=10 * MIB).always()]
    with ObjectServer({"/b/k": large}, faults=broken) as server, pytest.raises(NetworkError):
        fastget.download(server.url("/b/k"), tmp_path / "k", retries=0, **options)
    url = serve({"/b/k": large}, port=server.port).url("/b/k")
    result = fastget.download(url, tmp_path / "k", **options)
    assert result.verification.verified
    assert result.bytes_resumed > 0
    assert (tmp_path / "k").read_bytes() == large.content.read()
    again = fastget.download(url, tmp_path / "k", **options)
    assert (again.was_here, again.bytes_received) == (True, 0)
    assert most[MIB] <= MIB


PROCESSES = """
import json, sys
import fastget
result = fastget.download(sys.argv[1], "object.bin", processes=2, connections=4, max_memory=int(sys.argv[2]))
print(json.dumps([result.size, result.processes]))
"""


@pytest.mark.parametrize(("max_memory", "processes"), [(MIB, 1), (8 * MIB, 2)])
def test_processes_share_the_memory_and_are_no_more_than_it_has_room_for(
    serve: Serve, script: Script, tmp_path: Path, max_memory: int, processes: int
) -> None:
    stored = StoredObject(Content.generated(160 * MIB, seed=9), checksum=Algorithm.CRC64NVME)
    url = serve({"/b/k": stored}).url("/b/k")
    size, worked = json.loads(script(PROCESSES, url, max_memory))
    assert size == stored.content.size
    assert worked <= processes


def test_a_bound_that_is_too_small_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ConfigError, match="max_memory must be at least 1 MiB"):
        fastget.stream("http://127.0.0.1:9/k", max_memory=1000)
