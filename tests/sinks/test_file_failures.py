"""Files: every step fails once, and the destination is as it was before."""

from __future__ import annotations

import errno
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastget.errors import Cancelled, DestinationError, NoSpace
from fastget.sinks.file import FileSink

pytestmark = pytest.mark.usefixtures("no_leaks")

Fail = Callable[..., None]
CODES = {
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EFBIG: NoSpace,
    errno.EIO: DestinationError,
    errno.EROFS: DestinationError,
}


@pytest.fixture(params=["new", "replaced"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A destination whose state, whatever fails, is the same afterwards."""
    path = tmp_path / "object.bin"
    if request.param == "replaced":
        path.write_bytes(b"old")
        path.chmod(0o640)
    before = path.stat() if path.exists() else None
    yield path
    if before is None:
        assert not list(tmp_path.iterdir())
    else:
        assert list(tmp_path.iterdir()) == [path]
        assert path.read_bytes() == b"old"
        assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (before.st_ino, 0o640)


def _check_error(error: DestinationError, code: int, target: Path) -> None:
    assert type(error) is CODES[code]
    assert error.path == str(target)
    assert str(target) in str(error)
    assert os.strerror(code) in str(error)
    assert error.hint or code == errno.EIO
    assert isinstance(error.__cause__, OSError)
    assert error.__cause__.errno == code
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.fault("X1", "X2")
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    ("step", "after", "size"),
    [
        ("open", 0, 5),  # the directory
        ("open", 1, 5),  # the part file
        ("posix_fallocate", 0, 5),
        ("posix_fallocate", 1, 3 << 20),  # after the trial of one byte
    ],
)
def test_what_fails_on_opening_is_told_before_the_first_byte(
    target: Path, fail: Fail, step: str, after: int, size: int, code: int
) -> None:
    if not hasattr(os, step):
        pytest.skip(f"this system has no {step}")
    fail(step, code, after=after)
    with pytest.raises(DestinationError) as failure:
        FileSink(target).open(size)
    _check_error(failure.value, code, target)


@pytest.mark.parametrize(
    ("name", "is_told"), [("12:30.log", True), ("what?", True), ("end.", True), ("plain.log", False)]
)
def test_a_name_that_the_file_system_does_not_allow_is_told_with_the_way_out(
    tmp_path: Path, fail: Fail, name: str, is_told: bool
) -> None:
    fail("open", errno.EINVAL, after=1)  # after the directory, as vfat, exFAT and NTFS answer
    with pytest.raises(DestinationError, match="Invalid argument") as failure:
        FileSink(tmp_path / name).open(5)
    assert ("choose another name" in (failure.value.hint or "")) is is_told


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("step", ["fstat", "fchmod"])
def test_a_new_file_that_cannot_be_made_private_is_not_begun(
    tmp_path: Path, fail: Fail, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    fail(step, code)
    with pytest.raises(DestinationError) as failure:
        FileSink(tmp_path / "object.bin").open(5)
    monkeypatch.undo()
    _check_error(failure.value, code, tmp_path / "object.bin")
    assert not list(tmp_path.iterdir())


@pytest.mark.fault("X1", "X2", "X3")
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("after", [0, 3])
def test_a_write_that_fails_is_told_and_leaves_only_the_part_file(
    target: Path, fail: Fail, after: int, code: int
) -> None:
    sink = FileSink(target)
    sink.open(None)
    fail("pwrite", code, after=after)
    for number in range(after):
        sink.write_at(number, memoryview(b"x"))
    with pytest.raises(DestinationError) as failure:
        sink.write_at(after, memoryview(b"x"))
    _check_error(failure.value, code, target)
    sink.discard()


@pytest.mark.fault("X1", "X4")
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("step", ["ftruncate", "fchmod", "fsync", "close", "replace"])
def test_publishing_that_fails_leaves_the_destination_as_it_was(
    target: Path, fail: Fail, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    sink = FileSink(target)
    sink.open(5)
    sink.write_at(0, memoryview(b"byte"))
    if step == "close":
        _fail_closing(monkeypatch, code)
    else:
        fail(step, code)
    with pytest.raises(DestinationError) as failure:
        sink.publish(4)
    _check_error(failure.value, code, target)
    monkeypatch.undo()
    sink.discard()


@pytest.mark.parametrize("code", CODES)
def test_a_new_name_that_cannot_be_taken_leaves_nothing(tmp_path: Path, fail: Fail, code: int) -> None:
    sink = FileSink(tmp_path / "object.bin", overwrite=False)
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    fail("link", code)
    with pytest.raises(DestinationError) as failure:
        sink.publish(5)
    _check_error(failure.value, code, tmp_path / "object.bin")
    assert not list(tmp_path.iterdir())


def _fail_closing(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """The first close fails, as NFS reports late writes; the descriptor is gone all the same."""
    original, calls = os.close, iter([True])

    def close(descriptor: int) -> None:
        original(descriptor)
        if next(calls, False):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "close", close)


def test_where_the_name_is_reserved_first_a_failed_rename_gives_it_back(tmp_path: Path, fail: Fail) -> None:
    sink = FileSink(tmp_path / "object.bin", overwrite=False)
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    fail("link", errno.EPERM)
    fail("replace", errno.EIO)
    with pytest.raises(DestinationError):
        sink.publish(5)
    assert not list(tmp_path.iterdir())


@pytest.mark.fault("X4")
def test_a_flush_that_failed_is_not_tried_again(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(target)
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    calls: list[int] = []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(DestinationError):
        sink.publish(5)
    with pytest.raises(DestinationError):
        sink.publish(5)
    assert len(calls) == 1


def _abort_during(sink: FileSink, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    original = getattr(os, step)

    def aborted(*arguments: object) -> object:
        sink.abort()
        return original(*arguments)

    monkeypatch.setattr(os, step, aborted)


@pytest.mark.parametrize("step", ["fchmod", "fsync"])
def test_what_is_cancelled_while_it_is_finished_does_not_appear(
    target: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    sink = FileSink(target)
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    _abort_during(sink, monkeypatch, step)
    with pytest.raises(Cancelled):
        sink.publish(5)


def test_a_new_name_is_not_taken_after_a_cancellation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(tmp_path / "object.bin", overwrite=False)
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    _abort_during(sink, monkeypatch, "fsync")
    with pytest.raises(Cancelled):
        sink.publish(5)
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_flushed_is_told_and_the_file_is_whole(tmp_path: Path, fail: Fail) -> None:
    target = tmp_path / "object.bin"
    sink = FileSink(target)
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    fail("fsync", errno.EIO, after=0 if sys.platform == "darwin" else 1)
    with pytest.raises(DestinationError, match="is complete"):
        sink.publish(5)
    sink.discard()
    assert target.read_bytes() == b"bytes"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF])
def test_a_directory_that_knows_no_flush_is_no_failure(tmp_path: Path, fail: Fail, code: int) -> None:
    target = tmp_path / "object.bin"
    sink = FileSink(target)
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    fail("fsync", code, after=0 if sys.platform == "darwin" else 1)
    sink.publish(5)
    assert target.read_bytes() == b"bytes"


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_a_file_system_that_cannot_allocate_still_gets_the_file(tmp_path: Path, fail: Fail, code: int) -> None:
    if hasattr(os, "posix_fallocate"):
        fail("posix_fallocate", code)
    sink = FileSink(tmp_path / "object.bin")
    sink.open(3 << 20)
    (part,) = tmp_path.iterdir()
    assert part.stat().st_size == 3 << 20
    sink.write_at((3 << 20) - 1, memoryview(b"x"))
    sink.publish(3 << 20)
    assert (tmp_path / "object.bin").stat().st_size == 3 << 20


def test_an_allocation_that_is_only_imitated_is_given_up_for_large_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def imitate(descriptor: int, offset: int, length: int) -> None:
        written.extend(os.pwrite(descriptor, b"\0", place) for place in range(offset, offset + length, 4096))

    monkeypatch.setattr(os, "posix_fallocate", imitate, raising=False)
    sink = FileSink(tmp_path / "object.bin")
    sink.open(1 << 30)
    assert len(written) <= 1
    (part,) = tmp_path.iterdir()
    assert part.stat().st_size == 1 << 30
    sink.discard()


def test_a_system_without_allocation_still_gets_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    sink = FileSink(tmp_path / "object.bin")
    sink.open(3 << 20)
    (part,) = tmp_path.iterdir()
    assert part.stat().st_size == 3 << 20
    sink.discard()


@pytest.mark.fault("X5")
def test_short_writes_are_written_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: original(descriptor, data[:7], offset))
    content = bytes(range(100))
    sink = FileSink(tmp_path / "object.bin")
    sink.open(100)
    sink.write_at(0, memoryview(content))
    sink.publish(100)
    assert (tmp_path / "object.bin").read_bytes() == content


def test_a_system_that_writes_nothing_is_a_failure_and_no_endless_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *arguments: 0)
    sink = FileSink(tmp_path / "object.bin")
    sink.open(5)
    with pytest.raises(DestinationError):
        sink.write_at(0, memoryview(b"bytes"))
    sink.discard()


def test_an_object_that_no_disk_can_hold_is_refused_with_the_figures(target: Path) -> None:
    with pytest.raises(NoSpace, match=r"it needs 4611686018427387904 bytes, and [0-9]+ are free") as failure:
        FileSink(target).open(1 << 62)
    assert failure.value.hint
    assert failure.value.path == str(target)


def test_a_file_system_that_reports_no_sizes_is_not_believed_to_be_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: silent)
    sink = FileSink(tmp_path / "object.bin")
    sink.open(5)
    assert len(list(tmp_path.iterdir())) == 1
    sink.discard()


@pytest.mark.fault("S13")
def test_names_that_are_taken_are_passed_over_and_never_written_to(
    tmp_path: Path, names: Callable[[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([b"\0" * 6, b"\1" * 6])
    taken = tmp_path / f".object.bin.{'00' * 6}.fastget-part"
    taken.symlink_to(tmp_path / "victim")
    monkeypatch.setattr(os, "urandom", lambda count: next(drawn))
    sink = FileSink(tmp_path / "object.bin")
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
    assert names(tmp_path) == [taken.name, "object.bin"]


LIMITED = """
import resource, sys
from fastget.errors import NoSpace
from fastget.sinks.file import FileSink

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sink = FileSink(sys.argv[1])
try:
    sink.open(int(sys.argv[2]) or None)
    sink.write_at(0, memoryview(bytes(10_000)))
except NoSpace as error:
    print(error, "|", error.hint)
sink.discard()
"""


@pytest.mark.fault("X2")
@pytest.mark.parametrize(("size", "words"), [(10_000, "files may have 4096"), (0, "File too large")])
def test_the_limit_on_file_sizes_is_no_space_and_kills_nobody(
    target: Path, project: Path, size: int, words: str
) -> None:
    done = subprocess.run(
        (sys.executable, "-c", LIMITED, str(target), str(size)),
        capture_output=True,
        text=True,
        check=True,
        cwd=project,
    )
    assert words in done.stdout
    assert "ulimit -f" in done.stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB and few inodes, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ("-t", "tmpfs", "-o", "size=1m,nr_inodes=8", "fastget-test", str(folder))
    try:
        subprocess.run(("mount", *options), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(("umount", str(folder)), check=True)


@pytest.mark.fault("X1")
def test_a_disk_that_is_too_small_refuses_before_the_first_byte(small_disk: Path) -> None:
    with pytest.raises(NoSpace):
        FileSink(small_disk / "object.bin").open(2 << 20)
    assert not list(small_disk.iterdir())


@pytest.mark.fault("X1")
def test_a_disk_that_fills_up_while_the_size_is_unknown_keeps_the_old_file(small_disk: Path) -> None:
    target = small_disk / "object.bin"
    target.write_bytes(b"old")
    sink = FileSink(target)
    sink.open(None)
    sink.write_at(0, memoryview(bytes(1 << 19)))
    with pytest.raises(NoSpace):
        sink.write_at(1 << 19, memoryview(bytes(1 << 20)))
    sink.discard()
    assert target.read_bytes() == b"old"
    assert list(small_disk.iterdir()) == [target]


@pytest.mark.fault("X6")
def test_a_disk_without_inodes_is_no_space(small_disk: Path) -> None:
    for number in range(os.statvfs(small_disk).f_ffree):
        (small_disk / f"{number}").touch()
    with pytest.raises(NoSpace):
        FileSink(small_disk / "object.bin").open(5)


@pytest.mark.fault("X7")
def test_a_file_system_mounted_read_only_is_refused_before_any_request(small_disk: Path) -> None:
    subprocess.run(("mount", "-o", "remount,ro", str(small_disk)), check=True)
    for attempt in (FileSink.check, lambda sink: sink.open(5)):
        with pytest.raises(DestinationError) as failure:
            attempt(FileSink(small_disk / "object.bin"))
        assert failure.value.hint
