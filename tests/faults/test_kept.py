"""What lies beside a destination after kill -9, and is not what it was when the next run finds it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults

MIB = 1024 * 1024
SIZE = 12 * MIB + 77
Serve = Callable[..., ObjectServer]
Start = Callable[..., "subprocess.Popen[bytes]"]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def large() -> Content:
    """Large enough for a journal."""
    return Content.generated(SIZE, seed=4)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def port() -> Iterator[int]:
    """A port of the server's, the same one for both runs: it is part of what an object is known by.

    It stays taken, and nobody listens: one server after the other may (Linux).
    """
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.fixture
def kept(large: Content, start: Start, port: int, out: Path) -> Path:
    """A part file and a journal of a run that was killed after 9 MiB had come; gives the journal's path."""
    release, reached = threading.Event(), threading.Event()
    objects = {"/k": StoredObject(large, checksum=Algorithm.CRC64NVME)}
    with ObjectServer(objects, port=port, faults=[faults.hold(release, after=9 * MIB, reached=reached)]) as first:
        process = start(first.url("/k"), "-o", "out/k", "--connections", "1", "--part-size", "1M")
        assert reached.wait(60)
        journal = out / ".k.fastget-journal"
        while not (journal.exists() and journal.stat().st_size > 600):
            assert process.poll() is None
        process.kill()
        process.communicate()
        release.set()
    return journal


def part_of(out: Path) -> Path:
    return next(out.glob(".k.*.fastget-part"))


@pytest.fixture
def finish(serve: Serve, large: Content, port: int, run: Run, out: Path) -> Callable[..., tuple[int, str]]:
    """Run the same command to its end at the same port; gives the bytes that were asked for, and what was said."""

    def go(content: Content | None = None, etag: str = "", *, is_orphaned: bool = False) -> tuple[int, str]:
        stored = StoredObject(content or large, etag=etag, checksum=Algorithm.CRC64NVME)
        again = serve({"/k": stored}, port=port)
        done = run(again.url("/k"), "-o", "out/k", "--connections", "1", "--part-size", "1M", "-v")
        assert done.returncode == 0, done.stderr
        assert (out / "k").read_bytes() == (content or large).read(0, SIZE)
        assert is_orphaned or [path.name for path in out.iterdir()] == ["k"]
        return sum(request.bytes_sent for request in again.requests), done.stderr.decode()

    return go


@pytest.mark.fault("X17", "X20")
def test_what_had_landed_is_not_fetched_again(kept: Path, finish: Callable[..., tuple[int, str]]) -> None:
    _, said = finish()
    assert "are here already" in said


@pytest.mark.fault("X23", "S13")
def test_what_is_kept_belongs_to_its_owner_alone(kept: Path, out: Path) -> None:
    for path in (kept, part_of(out)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.fault("X21")
@pytest.mark.parametrize("damage", ["cut", "flipped", "zeros", "noise", "empty", "huge"])
def test_a_damaged_journal_costs_bytes_and_nothing_else(
    kept: Path, finish: Callable[..., tuple[int, str]], damage: str
) -> None:
    data = kept.read_bytes()
    damaged = {
        "cut": data[: len(data) // 2],
        "flipped": bytes([*data[:100], data[100] ^ 1, *data[101:]]),
        "zeros": bytes(len(data)),
        "noise": os.urandom(len(data)),
        "empty": b"",
        "huge": data,
    }
    kept.write_bytes(damaged[damage])
    if damage == "huge":
        os.truncate(kept, 2**33)
    # One that was written a moment ago may be the beginning of somebody's.
    os.utime(kept, (0, 0))
    # A part file that no journal tells of any more is left alone.
    finish(is_orphaned=True)


@pytest.mark.fault("X23")
@pytest.mark.parametrize("which", ["journal", "part"])
def test_a_link_in_the_place_of_what_was_kept_is_not_followed(
    kept: Path,
    out: Path,
    tmp_path: Path,
    finish: Callable[..., tuple[int, str]],
    which: str,
) -> None:
    target = kept if which == "journal" else part_of(out)
    foreign = tmp_path / "foreign"
    foreign.write_bytes(target.read_bytes())
    before = foreign.read_bytes()
    target.unlink()
    target.symlink_to(foreign)
    # A link is nobody's to remove, and what nothing tells of is left alone.
    finish(is_orphaned=True)
    assert foreign.read_bytes() == before


@pytest.mark.fault("X24", "X20")
@pytest.mark.parametrize("damage", ["shorter", "zeros", "other bytes", "gone"])
def test_a_part_file_that_changed_is_fetched_again_where_it_did(
    kept: Path, out: Path, finish: Callable[..., tuple[int, str]], damage: str
) -> None:
    part = part_of(out)
    if damage == "shorter":
        os.truncate(part, MIB)
    elif damage == "gone":
        part.unlink()
    else:
        with part.open("r+b") as file:
            file.seek(2 * MIB)
            file.write(bytes(MIB) if damage == "zeros" else b"x" * MIB)
    finish()


@pytest.mark.fault("X25", "X22")
@pytest.mark.parametrize("same_etag", [False, True], ids=["another ETag", "the same ETag"])
def test_an_object_that_changed_between_two_runs_is_fetched_anew(
    kept: Path, large: Content, finish: Callable[..., tuple[int, str]], same_etag: bool
) -> None:
    etag = StoredObject(large, checksum=Algorithm.CRC64NVME).etag if same_etag else ""
    sent, _ = finish(Content.generated(SIZE, seed=5), etag)
    assert sent >= SIZE
