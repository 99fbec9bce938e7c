"""Part files that no journal names any more: the next download to the same name takes them away, and nothing else."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.journal import Identity
from fastget.core.ranges import Span
from fastget.sinks import orphans
from fastget.sinks.kept import KeptFile
from fastget.sinks.names import TOKEN_LENGTH, is_sealed, new_token

pytestmark = pytest.mark.usefixtures("no_leaks")

Names = Callable[[Path], list[str]]
CONTENT = b"0123456789" * 100
IDENTITY = Identity("https://host/key", "", len(CONTENT), '"etag"')
JOURNAL = ".f.fastget-journal"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "f"


def _land(sink: KeptFile, stop: int) -> None:
    sink.write_at(0, memoryview(CONTENT)[:stop])
    sink.claim(Span(0, stop), xxhash.xxh3_64_digest(CONTENT[:stop]))


@pytest.fixture
def orphan(target: Path) -> Path:
    """What a power cut leaves that has lost the journal's name: a part file alone."""
    sink = KeptFile(target)
    sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
    _land(sink, 500)
    assert sink.keep()
    (target.parent / JOURNAL).unlink()
    (left,) = target.parent.iterdir()
    os.utime(left, (1, 1))
    return left


def _download(target: Path, **options: bool) -> None:
    sink = KeptFile(target, **options)
    sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
    _land(sink, len(CONTENT))
    sink.publish(len(CONTENT))
    assert target.read_bytes() == CONTENT


@pytest.mark.fault("X19")
@pytest.mark.usefixtures("orphan")
def test_the_next_download_takes_it_away(target: Path, names: Names) -> None:
    _download(target)
    assert names(target.parent) == ["f"]


@pytest.mark.fault("X19", "X21")
@pytest.mark.parametrize("is_journalled", [True, False])
@pytest.mark.usefixtures("orphan")
def test_one_beside_a_damaged_journal_goes_with_it(target: Path, names: Names, is_journalled: bool) -> None:
    journal = target.parent / JOURNAL
    journal.write_bytes(b"garbage")
    os.utime(journal, (1, 1))
    sink = KeptFile(target)
    sink.begin(len(CONTENT), IDENTITY, is_journalled=is_journalled)
    _land(sink, len(CONTENT))
    sink.publish(len(CONTENT))
    assert names(target.parent) == ["f"]


@pytest.mark.fault("X21", "X23")
@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.usefixtures("orphan")
def test_one_beside_a_journal_that_is_a_link_now_goes_and_the_link_stays(
    target: Path, names: Names, resume: bool
) -> None:
    victim = target.parent / "victim"
    victim.write_bytes(b"must stay")
    (target.parent / JOURNAL).symlink_to(victim)
    sink = KeptFile(target, resume=resume)
    if resume:
        sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
    else:
        sink.open(len(CONTENT))
    sink.write_at(0, memoryview(CONTENT))
    sink.publish(len(CONTENT))
    assert names(target.parent) == [JOURNAL, "f", "victim"]
    assert victim.read_bytes() == b"must stay"


@pytest.mark.fault("X23")
@pytest.mark.parametrize("kind", ["unsealed", "of another file", "linked twice", "open to others", "new", "a link"])
def test_what_may_be_anyone_elses_stays(target: Path, orphan: Path, kind: str) -> None:
    stays = orphan
    if kind == "unsealed":
        token = orphan.name.split(".")[2]
        stays = orphan.rename(orphan.with_name(orphan.name.replace(token, "a" * TOKEN_LENGTH)))
    elif kind == "of another file":
        stays = orphan.rename(orphan.with_name(orphan.name.replace(".f.", ".g.")))
    elif kind == "linked twice":
        os.link(orphan, target.parent / "mine")
    elif kind == "open to others":
        orphan.chmod(0o644)
    elif kind == "new":
        os.utime(orphan)
    else:
        other = orphan.rename(target.parent / "mine")
        orphan.symlink_to(other)
    _download(target)
    assert os.path.lexists(stays)


@pytest.mark.fault("X14")
def test_one_that_is_being_written_to_stays(target: Path, orphan: Path) -> None:
    writer = os.open(orphan, os.O_RDWR)
    try:
        fcntl.flock(writer, fcntl.LOCK_EX)
        _download(target)
    finally:
        os.close(writer)
    assert orphan.exists()


@pytest.mark.fault("X15")
@pytest.mark.parametrize("missing", ["locks that hold", "a file system of this machine alone"])
def test_where_a_writer_could_not_be_seen_it_stays(
    target: Path, orphan: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "locks that hold":
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    else:
        monkeypatch.setattr(orphans, "is_local", lambda _: False)
    _download(target)
    assert orphan.exists()


def test_the_part_file_of_a_running_download_is_locked(target: Path) -> None:
    for _ in range(2):  # a new one, and one that is gone on with
        sink = KeptFile(target)
        sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
        (part,) = target.parent.glob("*.fastget-part")
        with part.open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        _land(sink, 500)
        assert sink.keep()


@given(st.text(min_size=1))
def test_a_seal_holds_for_one_name(name: str) -> None:
    token = new_token(name)
    assert is_sealed(name, token)
    assert not is_sealed(name, "0" + token)
    assert not is_sealed(name, "")
