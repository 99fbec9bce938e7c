"""Files: names, modes, links, and what may stand at the destination."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from fastget.errors import ConfigError, DestinationError
from fastget.sinks.file import FileSink

Names = Callable[[Path], list[str]]
pytestmark = pytest.mark.usefixtures("no_leaks")


def _write(sink: FileSink, content: bytes, size: int | None = None) -> None:
    sink.check()
    sink.open(len(content) if size is None else size)
    sink.write_at(0, memoryview(content))
    sink.publish(len(content))


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.fault("X34")
def test_the_part_file_lies_hidden_beside_the_destination_with_its_space_taken(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "object.bin")
    sink.open(3 << 20)
    (part,) = tmp_path.iterdir()
    assert part.name.startswith(".object.bin.")
    assert part.name.endswith(".fastget-part")
    assert part.stat().st_size == 3 << 20
    if hasattr(os, "posix_fallocate"):
        assert part.stat().st_blocks * 512 >= 3 << 20
    sink.discard()
    assert not list(tmp_path.iterdir())


@pytest.mark.fault("X14")
def test_two_transfers_to_one_name_have_part_files_of_their_own_and_one_whole_file_stays(
    tmp_path: Path,
) -> None:
    target = tmp_path / "object.bin"
    first, second = FileSink(target), FileSink(target)
    for sink in (first, second):
        sink.open(6)
    assert len(list(tmp_path.iterdir())) == 2
    first.write_at(0, memoryview(b"first!"))
    second.write_at(0, memoryview(b"second"))
    second.publish(6)
    first.publish(6)
    assert target.read_bytes() == b"first!"
    assert list(tmp_path.iterdir()) == [target]


def test_a_larger_reservation_is_cut_to_the_published_size(tmp_path: Path) -> None:
    _write(FileSink(tmp_path / "object.bin"), b"four", size=1 << 20)
    assert (tmp_path / "object.bin").read_bytes() == b"four"


@pytest.mark.fault("S13")
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077])
def test_a_new_file_has_the_mode_of_the_umask_and_its_part_file_is_private(
    tmp_path: Path, umask: Callable[[int], int], mask: int
) -> None:
    umask(mask)
    target = tmp_path / "object.bin"
    sink = FileSink(target)
    sink.open(5)
    (part,) = tmp_path.iterdir()
    assert _mode(part) == 0o600
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
    assert _mode(target) == 0o666 & ~mask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o4755])
def test_a_replaced_file_hands_on_its_permissions_but_no_set_id_bits(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "object.bin"
    target.write_bytes(b"old")
    target.chmod(mode)
    _write(FileSink(target), b"new")
    assert target.read_bytes() == b"new"
    assert _mode(target) == mode & 0o777


@pytest.mark.fault("X11")
def test_other_names_and_readers_of_a_replaced_file_keep_the_old_bytes(tmp_path: Path) -> None:
    target, other = tmp_path / "object.bin", tmp_path / "other"
    target.write_bytes(b"old")
    other.hardlink_to(target)
    with target.open("rb") as reader:
        _write(FileSink(target), b"new")
        assert reader.read() == b"old"
    assert other.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


@pytest.mark.fault("X9")
def test_a_symbolic_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "link"
    elsewhere.write_bytes(b"precious")
    elsewhere.chmod(0o600)
    link.symlink_to(elsewhere)
    _write(FileSink(link), b"new")
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert elsewhere.read_bytes() == b"precious"
    assert _mode(elsewhere) == 0o600


@pytest.mark.fault("X9")
@pytest.mark.parametrize("leads_to", ["nowhere", "link"])
def test_a_link_that_leads_nowhere_or_to_itself_is_replaced(tmp_path: Path, leads_to: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / leads_to)
    _write(FileSink(link), b"new")
    assert link.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [link]


@pytest.mark.fault("X8")
@pytest.mark.parametrize("name", ["folder", "folder/", "folder/.", "folder/..", "link", "link/"])
def test_a_directory_is_refused_with_the_way_to_write_into_it(tmp_path: Path, names: Names, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    for attempt in (FileSink.check, lambda sink: sink.open(5)):
        with pytest.raises(DestinationError, match="is a directory") as failure:
            attempt(FileSink(f"{tmp_path}/{name}"))
        assert "-d" in (failure.value.hint or "")
        assert failure.value.path == f"{tmp_path}/{name}"
    assert names(tmp_path) == ["folder", "link"]


@pytest.mark.fault("X10")
def test_a_pipe_or_socket_is_not_replaced_by_a_file(
    tmp_path: Path, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for name in ("pipe", "socket"):
            for attempt in (FileSink.check, lambda sink: sink.open(5)):
                with pytest.raises(DestinationError, match="must not replace"):
                    attempt(FileSink(name))
    assert names(tmp_path) == ["pipe", "socket"]


@pytest.mark.fault("X7")
@pytest.mark.parametrize("path", ["missing/object.bin", "file/object.bin", "loop/object.bin"])
def test_a_directory_that_is_not_there_is_refused_before_anything_is_made(
    tmp_path: Path, names: Names, path: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for attempt in (FileSink.check, lambda sink: sink.open(5)):
        with pytest.raises(DestinationError) as failure:
            attempt(FileSink(tmp_path / path))
        assert failure.value.hint
        assert str(tmp_path / path) in str(failure.value)
        assert isinstance(failure.value.__cause__, OSError)
    assert names(tmp_path) == ["file", "loop"]


READ_ONLY = """
import os, sys
from fastget.errors import DestinationError
from fastget.sinks.file import FileSink

if os.geteuid() == 0:
    os.setuid(65534)
for attempt in (FileSink.check, lambda sink: sink.open(5)):
    try:
        attempt(FileSink(sys.argv[1]))
    except DestinationError as error:
        print(error, "|", error.hint)
"""


@pytest.mark.fault("X7")
@pytest.mark.parametrize("mode", [0o555, 0o666], ids=["not-writable", "not-searchable"])
def test_a_directory_without_permission_is_refused(mode: int, project: Path) -> None:
    folder = Path(os.path.realpath("/tmp")) / f"fastget-{os.getpid()}-{mode:o}"  # where every user may search
    folder.mkdir()
    try:
        folder.chmod(mode)
        code = (sys.executable, "-c", READ_ONLY, str(folder / "object.bin"))
        done = subprocess.run(code, capture_output=True, text=True, check=True, cwd=project)
        assert done.stdout.count("Permission denied | check the permissions") == 2, done
    finally:
        folder.chmod(0o700)
        folder.rmdir()


def test_a_directory_on_a_file_system_that_is_mounted_read_only_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = list(os.statvfs(tmp_path))
    facts[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(facts))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(DestinationError, match=os.strerror(errno.EROFS)) as caught:
        FileSink(tmp_path / "object.bin").check()
    assert caught.value.hint is not None
    assert "mounted read-only" in caught.value.hint


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="this system opens no directory that it may not list")
def test_a_directory_that_can_be_written_but_not_listed_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.open

    def refuse_reading(path: str, flags: int, *arguments: int, **options: int) -> int:
        if flags & os.O_DIRECTORY and not flags & os.O_PATH:
            raise PermissionError(13, "Permission denied")
        return original(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse_reading)
    _write(FileSink(tmp_path / "object.bin"), b"bytes")
    assert (tmp_path / "object.bin").read_bytes() == b"bytes"


@pytest.mark.fault("X12")
@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "n" * 220, "n" * 223])
def test_the_longest_names_get_a_short_part_name(tmp_path: Path, name: str) -> None:
    sink = FileSink(tmp_path / name)
    sink.open(5)
    (part,) = tmp_path.iterdir()
    assert len(os.fsencode(part.name)) <= 255
    assert part.name.endswith(".fastget-part")
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.fault("X12")
def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    for attempt in (FileSink.check, lambda sink: sink.open(5)):
        with pytest.raises(DestinationError) as failure:
            attempt(FileSink(tmp_path / ("n" * 256)))
        assert failure.value.hint == "choose a shorter file name"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "darwin", reason="APFS takes no such names")
def test_names_that_are_no_text_are_kept_as_bytes(tmp_path: Path) -> None:
    sink = FileSink(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe name"))
    _write(sink, b"bytes")
    assert [os.fsencode(found.name) for found in tmp_path.iterdir()] == [b"\xff\xfe name"]


def test_a_relative_name_stays_in_the_directory_it_was_opened_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    sink = FileSink("object.bin")
    sink.open(5)
    monkeypatch.chdir(tmp_path / "elsewhere")
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
    assert sink.path == "object.bin"
    assert (tmp_path / "object.bin").read_bytes() == b"bytes"


@pytest.mark.parametrize("name", ["object.bin", "a//object.bin", "/object.bin", "./object.bin", "../b/object.bin"])
def test_a_file_lies_where_the_system_finds_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "b" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "b")
    path = f"{tmp_path}/{name}" if name.startswith("/") else name
    _write(FileSink(path), b"content")
    assert Path(path).read_bytes() == b"content"


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_an_impossible_name_is_an_error_in_the_argument(path: str) -> None:
    with pytest.raises(ConfigError):
        FileSink(path)


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_without_overwriting_what_is_there_is_refused_before_any_byte(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "object.bin"
    if kind == "file":
        target.write_bytes(b"old")
    else:
        target.symlink_to("/dev/null" if kind == "link" else "nowhere")
    for attempt in (FileSink.check, lambda sink: sink.open(5)):
        with pytest.raises(DestinationError, match="exists") as failure:
            attempt(FileSink(target, overwrite=False))
        assert failure.value.hint
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.fault("S24")
@pytest.mark.parametrize("has_links", [True, False], ids=["hard-links", "no-hard-links"])
def test_without_overwriting_a_file_that_appears_meanwhile_stays(
    tmp_path: Path, has_links: bool, fail: Callable[..., None]
) -> None:
    target = tmp_path / "object.bin"
    sink = FileSink(target, overwrite=False)
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    target.write_bytes(b"theirs")
    if not has_links:
        fail("link", errno.EPERM)
    with pytest.raises(DestinationError, match="exists"):
        sink.publish(5)
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.fault("S24")
@pytest.mark.parametrize("has_links", [True, False], ids=["hard-links", "no-hard-links"])
def test_of_many_that_must_not_overwrite_exactly_one_wins(
    tmp_path: Path, has_links: bool, fail: Callable[..., None]
) -> None:
    target = tmp_path / "object.bin"
    if not has_links:
        fail("link", errno.EOPNOTSUPP)
    start, won = Barrier(6), []

    def race(number: int) -> None:
        sink = FileSink(target, overwrite=False, fsync=False)
        sink.open(1)
        sink.write_at(0, memoryview(b"%d" % number))
        start.wait()
        try:
            sink.publish(1)
        except DestinationError:
            return
        won.append(number)

    threads = [Thread(target=race, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = won
    assert target.read_bytes() == b"%d" % winner
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.fault("X16")
def test_no_descriptor_of_the_file_is_open_once_its_name_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = FileSink(tmp_path / "object.bin")
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    (part,) = tmp_path.iterdir()
    identity = (part.stat().st_dev, part.stat().st_ino)
    original, seen = os.replace, []

    def replace(*arguments: Any, **options: Any) -> None:
        for number in Path("/dev/fd").iterdir():
            try:
                there = os.fstat(int(number.name))
            except OSError:
                continue
            assert (there.st_dev, there.st_ino) != identity
        seen.append(arguments)
        original(*arguments, **options)

    monkeypatch.setattr(os, "replace", replace)
    sink.publish(5)
    assert len(seen) == 1


@pytest.mark.fault("X19")
@pytest.mark.parametrize("fsync", [True, False])
def test_flushing_comes_before_the_name_and_the_directory_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool
) -> None:
    steps: list[str] = []
    flush, replace = os.fsync, os.replace

    def flushing(descriptor: int) -> None:
        steps.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        flush(descriptor)

    def replacing(*arguments: Any, **options: Any) -> None:
        steps.append("rename")
        replace(*arguments, **options)

    monkeypatch.setattr(os, "fsync", flushing)
    monkeypatch.setattr(os, "replace", replacing)
    _write(FileSink(tmp_path / "object.bin", fsync=fsync), b"bytes")
    if fsync and sys.platform == "darwin":
        steps.insert(0, "file")  # by fcntl there, not by fsync
    assert steps == (["file", "rename", "directory"] if fsync else ["rename"])
