"""A file that can be left unfinished and gone on with: what is kept, what is taken over, and who may write."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xxhash

from fastget.core.journal import Claim, Header, Identity, Owner, encode_claim, encode_farewell, encode_header
from fastget.core.ranges import Span
from fastget.errors import DestinationError, NoSpace
from fastget.sinks import anonymous, journal, ownership
from fastget.sinks.kept import KeptFile
from fastget.sinks.ownership import this_process

pytestmark = pytest.mark.usefixtures("no_leaks")

Names = Callable[[Path], list[str]]
Fail = Callable[..., None]
CONTENT = b"0123456789" * 100
IDENTITY = Identity("https://host/key", "", len(CONTENT), '"etag"')
OTHER = replace(IDENTITY, etag='"other"')
TOKEN, PART = "aaaaaaaaaaaa", "bbbbbbbbbbbb"
JOURNAL = ".f.fastget-journal"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "f"


def _write(sink: KeptFile, start: int, stop: int, data: bytes = CONTENT) -> None:
    sink.write_at(start, memoryview(data)[start:stop])
    sink.claim(Span(start, stop), xxhash.xxh3_64_digest(data[start:stop]))


def _begin(target: Path, identity: Identity = IDENTITY, **options: bool) -> KeptFile:
    sink = KeptFile(target, **options)
    sink.begin(identity.size, identity, is_journalled=True)
    return sink


def _interrupted(target: Path, start: int = 0, stop: int = 500) -> None:
    """What a download leaves that was stopped in an orderly way."""
    sink = _begin(target)
    _write(sink, start, stop)
    assert sink.keep()


def _finish(sink: KeptFile) -> None:
    _write(sink, 0, len(CONTENT))
    sink.publish(len(CONTENT))


def _leave(folder: Path, owner: Owner, *, is_released: bool = False, part: bytes = CONTENT) -> None:
    """A journal and a part file, as a process with this record would have left them."""
    claim = Claim(Span(0, 500), xxhash.xxh3_64_digest(CONTENT[:500]))
    data = encode_header(Header(owner, IDENTITY, PART)) + encode_claim(owner.token, claim)
    (folder / JOURNAL).write_bytes(data + (encode_farewell(owner.token) if is_released else b""))
    (folder / f".f.{PART}.fastget-part").write_bytes(part)


def _gone() -> Owner:
    """A process of this system that is over."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(this_process(TOKEN), pid=process.pid)


# Keeping and going on --------------------------------------------------------------------------------------------


def test_what_was_kept_is_claimed_in_the_next_run_and_the_same_file_goes_on(target: Path, names: Names) -> None:
    _interrupted(target)
    left = names(target.parent)
    assert len(left) == 2
    sink = KeptFile(target)
    assert sink.leftover() == IDENTITY
    leftover = sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
    assert leftover.claims == (Claim(Span(0, 500), xxhash.xxh3_64_digest(CONTENT[:500])),)
    assert not leftover.is_elsewhere
    buffer = bytearray(500)
    assert sink.read_claimed(0, memoryview(buffer)) == 500
    assert buffer == CONTENT[:500]
    assert names(target.parent) == left
    _write(sink, 500, 1000)
    sink.publish(len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["f"]


def test_claims_last_over_several_runs(target: Path) -> None:
    _interrupted(target, 0, 100)
    for start in range(100, 500, 100):
        sink = _begin(target)
        _write(sink, start, start + 100)
        assert sink.keep()
    sink = KeptFile(target)
    leftover = sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
    assert [(claim.span.start, claim.span.stop) for claim in leftover.claims] == [
        (at, at + 100) for at in range(0, 500, 100)
    ]
    sink.discard()


def test_withdrawn_claims_are_not_kept(target: Path) -> None:
    sink = _begin(target)
    _write(sink, 0, 100)
    _write(sink, 100, 200)
    sink.withdraw(Span(50, 150))
    assert sink.keep()
    again = KeptFile(target)
    assert again.begin(len(CONTENT), IDENTITY, is_journalled=True).claims == ()
    again.discard()


def test_where_nothing_has_landed_nothing_is_kept(target: Path, names: Names) -> None:
    sink = _begin(target)
    assert not sink.keep()
    assert names(target.parent) == []


@pytest.mark.fault("X22", "X25")
def test_another_version_is_begun_anew_and_nothing_of_the_first_stays(target: Path, names: Names) -> None:
    _interrupted(target)
    sink = KeptFile(target)
    leftover = sink.begin(len(CONTENT), OTHER, is_journalled=True)
    assert leftover.claims == ()
    assert "ETag" in (leftover.refused or "")
    assert len(names(target.parent)) == 2
    _finish(sink)
    assert names(target.parent) == ["f"]


@pytest.mark.fault("X24")
@pytest.mark.parametrize("damage", ["gone", "a link", "another's name", "a directory"])
def test_a_part_file_that_may_be_another_is_not_used(target: Path, names: Names, damage: str) -> None:
    _interrupted(target)
    part = next(target.parent.glob("*.fastget-part"))
    victim = target.parent / "victim"
    victim.write_bytes(b"must stay")
    if damage == "a link":
        part.unlink()
        part.symlink_to(victim)
    elif damage == "another's name":
        part.unlink()
        os.link(victim, part)
    else:
        part.unlink()
        if damage == "a directory":
            part.mkdir()
    sink = KeptFile(target)
    assert sink.begin(len(CONTENT), IDENTITY, is_journalled=True).claims == ()
    _finish(sink)
    assert target.read_bytes() == CONTENT
    assert victim.read_bytes() == b"must stay"


@pytest.mark.fault("X21")
def test_journals_that_cannot_be_read_are_begun_anew(target: Path, names: Names) -> None:
    for data in (b"", bytes(5000), b"garbage", os.urandom(1 << 16)):
        journal = target.parent / JOURNAL
        journal.write_bytes(data)
        os.utime(journal, (1, 1))
        sink = KeptFile(target)
        leftover = sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
        assert leftover.claims == ()
        assert leftover.refused
        _finish(sink)
        assert names(target.parent) == ["f"]


@pytest.mark.fault("X21")
def test_what_cannot_be_read_and_is_new_is_not_told_as_a_download_of_another(target: Path) -> None:
    (target.parent / JOURNAL).write_bytes(b"somebody's notes")
    for begin in (lambda: _begin(target), lambda: KeptFile(target).leftover()):
        with pytest.raises(DestinationError, match=r"^\.f\.fastget-journal beside .* is no journal") as caught:
            begin()
        assert "delete that file" in (caught.value.hint or "")


@pytest.mark.fault("X21", "S16")
def test_a_journal_of_a_gigabyte_is_read_in_bounded_memory(target: Path) -> None:
    _leave(target.parent, _gone())
    os.truncate(target.parent / JOURNAL, 1 << 30)
    sink = KeptFile(target)
    assert len(sink.begin(len(CONTENT), IDENTITY, is_journalled=True).claims) == 1
    sink.discard()


@pytest.mark.fault("X23", "S13")
def test_journal_and_part_file_are_private_and_the_result_has_the_mode_of_a_new_file(target: Path) -> None:
    before = os.umask(0o027)
    try:
        sink = _begin(target)
        for path in target.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        _write(sink, 0, 500)
        assert sink.keep()
        _finish(_begin(target))
        assert stat.S_IMODE(target.stat().st_mode) == 0o640
    finally:
        os.umask(before)


def test_a_part_file_can_be_gone_on_with_under_a_umask_that_takes_the_rights_of_its_owner(target: Path) -> None:
    before = os.umask(0o277)
    try:
        sink = _begin(target)
        assert {stat.S_IMODE(path.stat().st_mode) for path in target.parent.iterdir()} == {0o600}
        sink.discard()
    finally:
        os.umask(before)


@pytest.mark.fault("X23")
@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
def test_what_is_no_journal_of_this_user_is_left_alone_and_done_without(target: Path, kind: str) -> None:
    journal, victim = target.parent / JOURNAL, target.parent / "victim"
    victim.write_bytes(b"must stay")
    if kind == "link":
        journal.symlink_to(victim)
    elif kind == "directory":
        journal.mkdir()
    else:
        os.mkfifo(journal)
    sink = KeptFile(target)
    assert sink.leftover() is None
    assert sink.begin(len(CONTENT), IDENTITY, is_journalled=True).claims == ()
    _write(sink, 0, 500)
    assert not sink.keep()
    _finish(_begin(target))
    assert target.read_bytes() == CONTENT
    assert victim.read_bytes() == b"must stay"
    assert os.path.lexists(journal)


@pytest.mark.fault("X23")
def test_a_journal_that_others_may_write_is_not_believed(target: Path) -> None:
    _leave(target.parent, _gone())
    (target.parent / JOURNAL).chmod(0o666)
    sink = KeptFile(target)
    leftover = sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
    assert leftover.claims == ()
    assert f"{JOURNAL} beside it is no file that this user alone can write to" in (leftover.refused or "")
    sink.discard()


@pytest.fixture
def open_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system where every file may be written by everybody, whatever mode it is given."""
    real = os.fchmod
    monkeypatch.setattr(os, "fchmod", lambda descriptor, _: real(descriptor, 0o777))


@pytest.mark.usefixtures("open_to_all")
def test_where_no_file_can_be_kept_from_others_downloads_go_on_all_the_same(target: Path, names: Names) -> None:
    _interrupted(target)
    left = names(target.parent)
    assert (target.parent / JOURNAL).stat().st_mode & 0o777 == 0o777
    sink = KeptFile(target)
    assert sink.leftover() == IDENTITY
    assert len(sink.begin(len(CONTENT), IDENTITY, is_journalled=True).claims) == 1
    assert names(target.parent) == left
    _finish(sink)
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["f"]


REFUSALS = [errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP]


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("old", [None, 0o600, 0o644])
def test_where_modes_cannot_be_changed_downloads_appear_and_go_on_all_the_same(
    target: Path, names: Names, fail: Fail, code: int, old: int | None
) -> None:
    if old is not None:
        target.write_bytes(b"old")
        target.chmod(old)
    usual = target.parent / "usual"
    usual.touch()
    fail("fchmod", code)
    _interrupted(target)
    sink = _begin(target)
    assert len(names(target.parent)) == 3 + (old is not None)
    _finish(sink)
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode & 0o777 == (old or usual.stat().st_mode & 0o777)
    assert names(target.parent) == ["f", "usual"]


@pytest.mark.parametrize("old", [None, 0o600, 0o644])
def test_and_so_do_those_without_a_journal(
    target: Path, names: Names, fail: Fail, monkeypatch: pytest.MonkeyPatch, old: int | None
) -> None:
    if old is not None:
        target.write_bytes(b"old")
        target.chmod(old)
    usual = target.parent / "usual"
    usual.touch()
    monkeypatch.setattr("fastget.sinks.kept.create_anonymous", lambda *_: None)
    fail("fchmod", errno.ENOSYS)
    sink = KeptFile(target)
    sink.begin(len(CONTENT), IDENTITY, is_journalled=False)
    _finish(sink)
    assert target.stat().st_mode & 0o777 == (old or usual.stat().st_mode & 0o777)
    assert names(target.parent) == ["f", "usual"]


@pytest.mark.parametrize("code", REFUSALS)
def test_a_journal_that_cannot_be_closed_to_others_is_not_made(
    target: Path, names: Names, fail: Fail, code: int
) -> None:
    """Where a file that is made with another mode would be: the rule is that of a journal that is found."""
    fail("fchmod", code)
    before = os.umask(0o002)
    try:
        sink = _begin(target)
    finally:
        os.umask(before)
    assert JOURNAL not in names(target.parent)
    assert not sink.keep()
    _finish(_begin(target))
    assert names(target.parent) == ["f"]


def test_nor_is_one_where_all_files_belong_to_another_user(
    target: Path, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: target.parent.stat().st_uid + 1)
    sink = _begin(target)
    assert JOURNAL not in names(target.parent)
    _finish(sink)
    assert names(target.parent) == ["f"]


@pytest.mark.usefixtures("open_to_all")
def test_nor_does_a_download_that_was_killed_there_leave_anything_for_good(target: Path, names: Names) -> None:
    _leave(target.parent, _gone())
    for path in target.parent.iterdir():
        path.chmod(0o777)
    sink = KeptFile(target)
    assert len(sink.begin(len(CONTENT), IDENTITY, is_journalled=True).claims) == 1
    _finish(sink)
    assert names(target.parent) == ["f"]


def test_a_small_download_takes_away_what_a_large_one_has_left(target: Path, names: Names) -> None:
    _interrupted(target)
    sink = KeptFile(target)
    sink.begin(len(CONTENT), OTHER, is_journalled=False)
    _finish(sink)
    assert names(target.parent) == ["f"]


def test_without_resuming_what_was_left_is_taken_away(target: Path, names: Names) -> None:
    _interrupted(target)
    sink = KeptFile(target, resume=False)
    assert sink.resumable is None
    sink.open(len(CONTENT))
    _finish(sink)
    assert names(target.parent) == ["f"]


@pytest.mark.parametrize("is_large", [True, False])
def test_a_file_that_goes_on_needs_room_for_what_is_missing_alone(
    target: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    size = 1 << 20
    identity = replace(IDENTITY, size=size)
    sink = KeptFile(target)
    sink.begin(size, identity, is_journalled=True)
    _write(sink, 0, size, bytes(size))
    assert sink.keep()
    real = os.fstatvfs

    def full(descriptor: int) -> os.statvfs_result:
        found = list(real(descriptor))
        found[3] = found[4] = 10  # blocks that are free
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "fstatvfs", full)
    if is_large:
        with pytest.raises(NoSpace):
            KeptFile(target).begin(size * 2, replace(identity, size=size * 2), is_journalled=True)
        return
    again = KeptFile(target)
    assert again.begin(size, identity, is_journalled=True).claims
    again.discard()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="what is open can be seen on Linux alone")
def test_a_part_file_of_which_nothing_is_claimed_takes_no_room_any_more(target: Path) -> None:
    owner = _gone()
    (target.parent / JOURNAL).write_bytes(encode_header(Header(owner, IDENTITY, PART)))
    old = target.parent / f".f.{PART}.fastget-part"
    old.write_bytes(CONTENT)
    there = old.stat()
    sink = KeptFile(target)
    leftover = sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
    opened = list(Path("/proc/self/fd").iterdir())
    is_held = any(os.path.samestat(file.stat(), there) for file in opened if file.exists())
    sink.discard()

    assert leftover.refused == "nothing that it could go on with had landed"
    assert not is_held


def test_no_room_for_the_rest_keeps_what_has_landed(target: Path, names: Names, fail: Fail) -> None:
    _interrupted(target)
    left = names(target.parent)
    fail("posix_fallocate", errno.ENOSPC)
    with pytest.raises(NoSpace):
        KeptFile(target).begin(len(CONTENT), IDENTITY, is_journalled=True)
    assert names(target.parent) == left


# Failures --------------------------------------------------------------------------------------------------------


@pytest.mark.fault("X1")
def test_a_disk_without_room_for_the_journal_costs_only_the_journal(target: Path, fail: Fail, names: Names) -> None:
    sink = _begin(target)
    fail("write", errno.ENOSPC)
    _finish(sink)
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["f"]


def test_a_disk_without_room_for_a_new_journal_costs_only_the_journal(target: Path, fail: Fail, names: Names) -> None:
    fail("write", errno.ENOSPC)
    _finish(_begin(target))
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["f"]


@pytest.mark.fault("X20", "X21")
def test_a_record_that_was_torn_is_the_last_one(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = _begin(target)
    _write(sink, 0, 100)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:5]))
    _write(sink, 100, 200)
    monkeypatch.undo()
    _write(sink, 200, 300)
    assert sink.keep()
    again = KeptFile(target)
    leftover = again.begin(len(CONTENT), IDENTITY, is_journalled=True)
    assert [claim.span.stop for claim in leftover.claims] == [100]
    again.discard()


@pytest.mark.fault("X4")
@pytest.mark.parametrize(("call", "is_kept"), [("fsync", False), ("replace", True), ("fchmod", True)])
def test_bytes_are_kept_when_publishing_fails_unless_the_disk_may_have_lost_them(
    target: Path, names: Names, fail: Fail, call: str, is_kept: bool
) -> None:
    sink = _begin(target)
    _write(sink, 0, len(CONTENT))
    fail(call, errno.EIO)
    with pytest.raises(DestinationError):
        sink.publish(len(CONTENT))
    assert bool(names(target.parent)) is is_kept
    assert not target.exists()


# Who may write ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["locks", "locks that do nothing", "no locks"])
def locking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "locks that do nothing":
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    elif request.param == "no locks":

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", refuse)
    return str(request.param)


@pytest.fixture(params=["anonymous", "named"])
def births(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the file system has files without a name."""
    if request.param == "named":
        monkeypatch.setattr(anonymous, "_can_be_named", lambda: False)
    return str(request.param)


@pytest.mark.usefixtures("locking", "births")
def test_while_one_writes_no_other_begins(target: Path) -> None:
    sink = _begin(target)
    for identity in (IDENTITY, OTHER):
        with pytest.raises(DestinationError, match="another fastget is downloading") as caught:
            _begin(target, identity)
        assert caught.value.hint
    with pytest.raises(DestinationError, match="another fastget"):
        KeptFile(target).leftover()
    with pytest.raises(DestinationError, match="another fastget"):
        KeptFile(target).begin(len(CONTENT), IDENTITY, is_journalled=False)
    _finish(sink)
    assert target.read_bytes() == CONTENT


@pytest.mark.fault("X14", "X15")
@pytest.mark.usefixtures("locking", "births")
@pytest.mark.parametrize("left", ["nothing", "a gone owner", "one that let go"])
def test_of_many_that_begin_at_once_exactly_one_succeeds(target: Path, names: Names, left: str) -> None:
    for _ in range(5):
        if left != "nothing":
            _leave(target.parent, _gone(), is_released=left != "a gone owner")
        start = threading.Barrier(8)

        def begin(_: int, start: threading.Barrier = start) -> KeptFile | None:
            start.wait()
            try:
                return _begin(target)
            except DestinationError:
                return None

        with ThreadPoolExecutor(8) as pool:
            sinks = [sink for sink in pool.map(begin, range(8)) if sink is not None]
        assert len(sinks) == 1
        _finish(sinks[0])
        assert names(target.parent) == ["f"]
        target.unlink()


@pytest.mark.usefixtures("locking", "births")
def test_a_process_that_is_gone_is_succeeded(target: Path, names: Names) -> None:
    _leave(target.parent, _gone())
    sink = KeptFile(target)
    leftover = sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
    assert len(leftover.claims) == 1
    assert not leftover.is_elsewhere
    _finish(sink)
    assert names(target.parent) == ["f"]


def test_a_number_that_another_process_has_got_since_is_not_the_owner(target: Path) -> None:
    _leave(target.parent, replace(this_process(TOKEN), started=1, pid=os.getppid()))
    sink = _begin(target)
    sink.discard()


def test_a_process_that_lives_is_not_succeeded(target: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        started = ownership._started(process.pid)
        assert started is not None
        _leave(target.parent, replace(this_process(TOKEN), pid=process.pid, started=started))
        with pytest.raises(DestinationError, match=f"process {process.pid}"):
            _begin(target)
    finally:
        process.communicate(b"\n")
    _begin(target).discard()


@pytest.mark.usefixtures("locking")
def test_an_owner_elsewhere_that_shows_itself_is_not_succeeded(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "_LOCAL", frozenset())
    _leave(target.parent, replace(_gone(), boot="another", host="elsewhere"))
    with pytest.raises(DestinationError, match="elsewhere"):
        _begin(target)


@pytest.mark.usefixtures("locking")
def test_the_file_of_an_owner_elsewhere_that_has_gone_silent_is_only_read(
    target: Path, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may wake up, and still write to its file: nobody else's."""
    monkeypatch.setattr(ownership, "_LOCAL", frozenset())
    _leave(target.parent, replace(_gone(), boot="another", host="elsewhere"))
    os.utime(target.parent / JOURNAL, (1, 1))
    part = (target.parent / f".f.{PART}.fastget-part").open("r+b")
    with part:
        sink = KeptFile(target)
        leftover = sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
        assert leftover.is_elsewhere
        buffer = bytearray(500)
        assert sink.read_claimed(0, memoryview(buffer)) == 500
        assert buffer == CONTENT[:500]
        _write(sink, 0, len(CONTENT))
        part.write(b"X" * len(CONTENT))
        part.flush()
        sink.publish(len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["f"]


def test_an_owner_of_before_a_restart_of_this_machine_is_gone(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "is_local", lambda _: True)
    _leave(target.parent, replace(_gone(), boot="another"))
    _begin(target).discard()


@pytest.mark.fault("X14")
@pytest.mark.usefixtures("births")
def test_who_has_lost_the_journal_does_not_publish(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = _begin(target)
    _write(sleeper, 0, len(CONTENT))
    _leave(target.parent, _gone(), is_released=True)
    with pytest.raises(DestinationError, match="taken over"):
        sleeper.publish(len(CONTENT))
    assert not target.exists()
    monkeypatch.undo()
    successor = _begin(target)
    _finish(successor)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("damage", ["removed", "cut", "writable for others"])
def test_who_has_lost_the_journal_to_nobody_publishes(target: Path, names: Names, damage: str) -> None:
    sink = _begin(target)
    _write(sink, 0, len(CONTENT))
    _spoil(target.parent / JOURNAL, damage)
    sink.publish(len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["f"]


@pytest.mark.parametrize("damage", ["removed", "cut", "writable for others"])
def test_what_no_journal_tells_of_any_more_is_not_kept(target: Path, names: Names, damage: str) -> None:
    sink = _begin(target)
    _write(sink, 0, 500)
    _spoil(target.parent / JOURNAL, damage)
    assert not sink.keep()
    assert names(target.parent) == []


def _spoil(journal: Path, damage: str) -> None:
    if damage == "removed":
        journal.unlink()
    elif damage == "cut":
        os.truncate(journal, 20)
    else:
        journal.chmod(0o660)


def test_a_part_file_that_is_taken_away_is_told_and_its_journal_goes_too(target: Path, names: Names) -> None:
    sink = _begin(target)
    _write(sink, 0, len(CONTENT))
    next(target.parent.glob(".f.*part")).unlink()
    with pytest.raises(DestinationError, match="the hidden file beside it, which had all of it, has been taken away"):
        sink.publish(len(CONTENT))
    assert names(target.parent) == []


@pytest.mark.usefixtures("locking")
def test_a_successor_that_was_killed_before_it_succeeded_is_succeeded(target: Path, names: Names) -> None:
    """Its journal stands under the name that only the successor can have; the next one has to get past it."""
    _leave(target.parent, _gone())
    second, third = replace(_gone(), token="cccccccccccc"), replace(_gone(), token="dddddddddddd")
    (target.parent / f".f.{TOKEN}.fastget-journal").write_bytes(encode_header(Header(second, IDENTITY, PART)))
    (target.parent / ".f.cccccccccccc.fastget-journal").write_bytes(encode_header(Header(third, IDENTITY, PART)))
    sink = KeptFile(target)
    assert len(sink.begin(len(CONTENT), IDENTITY, is_journalled=True).claims) == 1
    _finish(sink)
    assert names(target.parent) == ["f"]


def test_a_successor_that_lives_is_waited_for(target: Path) -> None:
    _leave(target.parent, _gone())
    other = _begin(target.parent / "g")  # any living owner
    journal = (target.parent / ".g.fastget-journal").read_bytes()
    (target.parent / f".f.{TOKEN}.fastget-journal").write_bytes(journal)
    with pytest.raises(DestinationError, match="another fastget"):
        _begin(target)
    other.discard()


def test_an_owner_that_cannot_be_seen_shows_itself_now_and_then(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = _begin(target)
    os.utime(target.parent / JOURNAL, (1, 1))
    sink.beat()
    assert (target.parent / JOURNAL).stat().st_mtime == 1
    monkeypatch.setattr("fastget.sinks.journal.BEAT", 0.0)
    sink.beat()
    assert (target.parent / JOURNAL).stat().st_mtime > 1
    sink.discard()


# Files without a journal -----------------------------------------------------------------------------------------


def test_a_part_file_has_no_name_where_that_is_possible(target: Path, names: Names) -> None:
    sink = KeptFile(target)
    sink.begin(len(CONTENT), IDENTITY, is_journalled=False)
    _write(sink, 0, len(CONTENT))
    assert names(target.parent) == []
    sink.publish(len(CONTENT))
    assert target.read_bytes() == CONTENT


UNREADABLE = """
import os, sys
import xxhash
from fastget.core.journal import Identity
from fastget.sinks.kept import KeptFile

identity = Identity("https://host/key", "", 5, '"etag"')
if os.geteuid() == 0:
    os.setuid(65534)  # from here on nothing can be imported that lies in a folder of root's alone
with open(sys.argv[1], "xb") as old:
    os.fchmod(old.fileno(), int(sys.argv[2], 8))
for overwrite in (True, False):
    sink = KeptFile(sys.argv[1] if overwrite else sys.argv[1] + ".new", overwrite=overwrite)
    os.umask(0o777)
    sink.begin(5, identity, is_journalled=False)
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
"""


@pytest.mark.parametrize("mode", [0o000, 0o200])
def test_a_file_that_its_owner_may_not_read_appears_as_well(mode: int, project: Path) -> None:
    with tempfile.TemporaryDirectory(dir=os.path.realpath("/tmp")) as name:  # where every user may search
        folder = Path(name)
        folder.chmod(0o777)
        target = folder / "f"
        code = (sys.executable, "-c", UNREADABLE, str(target), f"{mode:o}")
        done = subprocess.run(code, capture_output=True, text=True, check=False, cwd=project)
        assert (done.returncode, done.stderr) == (0, "")
        assert (target.stat().st_size, stat.S_IMODE(target.stat().st_mode)) == (5, mode)
        new = folder / "f.new"
        assert (new.stat().st_size, stat.S_IMODE(new.stat().st_mode)) == (5, 0)


def test_files_without_a_name_replace_one_another_whole(target: Path, names: Names) -> None:
    """Also where a killed process has left the name that they pass through."""
    (target.parent / ".f.fastget-part").write_bytes(b"left")
    target.write_bytes(b"old")
    start = threading.Barrier(6)

    def download(number: int) -> None:
        sink = KeptFile(target)
        sink.begin(len(CONTENT), IDENTITY, is_journalled=False)
        sink.write_at(0, memoryview(bytes([number]) * len(CONTENT)))
        start.wait()
        sink.publish(len(CONTENT))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(download, range(6)))
    assert target.read_bytes() in [bytes([number]) * len(CONTENT) for number in range(6)]
    assert names(target.parent) == ["f"]


@pytest.mark.parametrize("kind", ["somebody else's", "directory"])
def test_what_stands_in_the_place_of_a_name_in_between_and_cannot_be_moved_is_left_alone(
    target: Path, names: Names, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    in_between = target.parent / ".f.fastget-part"
    if kind == "directory":
        in_between.mkdir()
    else:
        in_between.write_bytes(b"theirs")
        monkeypatch.setattr(anonymous, "_MOMENT", 0.0)
        monkeypatch.setattr(os, "rename", _refuse)  # as in a sticky directory
    target.write_bytes(b"old")
    _begin_anonymous(target).publish(len(CONTENT))

    assert target.read_bytes() == CONTENT
    assert names(target.parent) == [".f.fastget-part", "f"]


def _refuse(*_: Any, **__: Any) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def test_what_many_threads_claim_at_once_stays_within_the_size_of_a_journal(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAXIMUM_JOURNAL", 20_000)
    sink = KeptFile(target)
    sink.begin(len(CONTENT), IDENTITY, is_journalled=True)
    start = threading.Barrier(8)

    def claim(number: int) -> None:
        start.wait()
        for _ in range(200):
            sink.claim(Span(number, number + 1), bytes(8))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(claim, range(8)))
    size = (target.parent / JOURNAL).stat().st_size
    sink.discard()

    assert 20_000 - 200 < size <= 20_000


def _interrupt(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens between the moment when a file has the name in between, and that when it gets its own."""
    replace_file = os.replace

    def interrupted(*arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(os, "replace", replace_file)
        happens()
        replace_file(*arguments, **options)

    monkeypatch.setattr(os, "replace", interrupted)


def test_a_file_that_was_named_by_another_and_then_replaced_has_been_published(
    target: Path, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever clears the way gives the file its name, and then its own takes that: both have been there."""
    target.write_bytes(b"old")
    sink = _begin_anonymous(target)

    def overtake() -> None:
        (target.parent / ".f.fastget-part").rename(target)
        (target.parent / "third").write_bytes(b"third")
        (target.parent / "third").rename(target)

    _interrupt(monkeypatch, overtake)
    sink.publish(len(CONTENT))

    assert target.read_bytes() == b"third"
    assert names(target.parent) == ["f"]


def test_a_file_that_is_taken_away_before_it_has_its_name_has_not_been_published(
    target: Path, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.write_bytes(b"old")
    sink = _begin_anonymous(target)
    _interrupt(monkeypatch, (target.parent / ".f.fastget-part").unlink)
    with pytest.raises(DestinationError):
        sink.publish(len(CONTENT))

    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["f"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EBUSY, errno.EISDIR])
def test_a_file_that_may_not_replace_another_leaves_nothing(
    target: Path, names: Names, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Somebody else's in a sticky directory, an immutable one, a mount point, a directory that has just been made."""
    target.write_bytes(b"old")
    sink = _begin_anonymous(target)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DestinationError, match=os.strerror(code)):
        sink.publish(len(CONTENT))

    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["f"]


@pytest.mark.parametrize("is_replaced", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize("code", [errno.ENOENT, errno.EPERM])
def test_a_file_without_a_name_that_cannot_get_one_says_why(
    target: Path, names: Names, monkeypatch: pytest.MonkeyPatch, code: int, is_replaced: bool
) -> None:
    """Its directory was removed meanwhile, or made immutable."""
    if is_replaced:
        target.write_bytes(b"old")
    sink = _begin_anonymous(target)
    link_file = os.link

    def refuse(source: str, name: str, **options: Any) -> None:
        if name == "f" and is_replaced:
            link_file(source, name, **options)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(DestinationError, match=os.strerror(code)) as caught:
        sink.publish(len(CONTENT))

    assert caught.value.hint
    assert names(target.parent) == (["f"] if is_replaced else [])


def _begin_anonymous(target: Path) -> KeptFile:
    sink = KeptFile(target)
    sink.begin(len(CONTENT), IDENTITY, is_journalled=False)
    sink.write_at(0, memoryview(CONTENT))
    return sink


# Files that are here already -------------------------------------------------------------------------------------


def test_a_published_file_tells_what_it_is_a_copy_of_until_it_is_touched(target: Path) -> None:
    _finish(_begin(target))
    for identity, is_copy in ((IDENTITY, True), (OTHER, False), (replace(IDENTITY, size=5), False)):
        found = KeptFile(target).existing()
        assert found is not None
        assert found.is_copy_of(identity) is is_copy
        assert found.is_unchanged()
        found.close()
    with target.open("r+b") as file:
        file.write(b"X")
    found = KeptFile(target).existing()
    assert found is not None
    assert not found.is_copy_of(IDENTITY)
    found.close()


def test_what_names_no_content_is_not_noted(target: Path) -> None:
    weak = replace(IDENTITY, etag='W/"etag"')
    _finish(_begin(target, weak))
    found = KeptFile(target).existing()
    assert found is not None
    assert not found.is_copy_of(weak)
    found.close()


def test_a_file_that_changes_while_it_is_looked_at_is_noticed(target: Path) -> None:
    target.write_bytes(b"old")
    found = KeptFile(target).existing()
    assert found is not None
    (target.parent / "other").write_bytes(b"new")
    (target.parent / "other").replace(target)
    assert not found.is_unchanged()
    found.close()


def test_only_a_regular_file_that_may_be_replaced_is_looked_at(target: Path) -> None:
    assert KeptFile(target).existing() is None
    target.symlink_to("elsewhere")
    assert KeptFile(target).existing() is None
    target.unlink()
    target.write_bytes(b"old")
    assert KeptFile(target, overwrite=False).existing() is None
