"""A second plan, after a first one that broke: it gets the object, and nothing of the first one is left."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.errors import FastgetError
from fastget.testing import Behaviour, Content, ETags, Fault, ObjectServer, StoredObject, faults

MIB = 1024 * 1024


@pytest.mark.parametrize(
    "fault", [faults.chunked_without_end(after=100), faults.body_until_close(cut=100)], ids=["chunked", "close"]
)
def test_an_answer_that_was_unusual_and_broke_leaves_no_file_open(fault: Fault, destination: Path) -> None:
    stored = StoredObject(Content.generated(40_000, seed=51), checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/o": stored}, faults=[fault]) as server, fastget.Client(fsync=False) as client:
        client.download(server.url("/o"), destination)
        left = [file.path for file in psutil.Process().open_files() if file.path.startswith(str(destination.parent))]

    assert destination.read_bytes() == stored.content.read()
    assert left == []


@pytest.mark.fault("N4")
@pytest.mark.parametrize("etags", [ETags.STRONG, ETags.NONE])
@pytest.mark.parametrize("after", [0, 5 * MIB])
def test_memory_of_the_caller_is_filled_by_a_second_plan_that_learns_the_size(after: int, etags: ETags) -> None:
    stored = StoredObject(Content.generated(9 * MIB + 5, seed=54))
    into = bytearray(stored.content.size)
    fault = faults.chunked_without_end(after=after)
    with ObjectServer({"/o": stored}, behaviour=Behaviour(etags=etags), faults=[fault]) as server:
        result = fastget.read_into(server.url("/o"), into)
    into.append(0)  # which nobody can, while there is a view of it
    assert into == stored.content.read() + b"\0"
    assert result.size == stored.content.size


@pytest.mark.fault("N4")
def test_a_stream_that_broke_before_its_first_byte_is_begun_anew_where_only_then_its_size_is_told() -> None:
    stored = StoredObject(Content.generated(9 * MIB + 5, seed=55))
    fault = faults.chunked_without_end(after=0)
    with ObjectServer({"/o": stored}, behaviour=Behaviour(etags=ETags.NONE), faults=[fault]) as server:
        found = b"".join(bytes(view) for view in fastget.stream(server.url("/o")))
    assert found == stored.content.read()


@pytest.mark.fault("H1", "X25")
@pytest.mark.parametrize("is_cut_again", [False, True], ids=["the second plan ends well", "the second plan breaks off"])
def test_a_second_plan_that_finds_another_version_leaves_nothing_that_goes_for_the_first(
    destination: Path, *, is_cut_again: bool
) -> None:
    """Machines behind one name may serve two versions by turns: without a digest, only the ETag tells them apart."""
    size = 9 * MIB + 5
    first, second = (StoredObject(Content.generated(size, seed=seed), etag=f'"{seed}"') for seed in (52, 53))
    turns = [
        faults.range_ignored().always(),
        faults.close_mid_body(after=5 * MIB).on(request=1, ranged=False),
        faults.replaced(second).on(request=2, ranged=False),
    ]
    if is_cut_again:
        turns += [faults.close_mid_body(after=2 * MIB).on(request=2, ranged=False)]
        turns += [faults.access_denied().on(request=3, ranged=False).always()]
    options = {"connections": 3, "part_size": MIB, "retries": 1, "fsync": False}
    unhurried = Behaviour(rate_per_connection=16 * MIB)
    with ObjectServer({"/o": first}, behaviour=unhurried, faults=turns) as server:
        url, port = server.url("/o"), server.port
        if is_cut_again:
            with pytest.raises(FastgetError):
                fastget.download(url, destination, **options)
        else:
            assert fastget.download(url, destination, **options).etag == second.etag
            assert destination.read_bytes() == second.content.read()
    with ObjectServer({"/o": first}, port=port):
        result = fastget.download(url, destination, **options)
    assert destination.read_bytes() == first.content.read()
    assert (result.etag, result.bytes_resumed) == (first.etag, 0)
