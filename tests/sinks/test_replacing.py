"""A file that no rename can replace is told of before the first byte of its successor."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fastget
from fastget.errors import DestinationError
from fastget.sinks.file import FileSink
from fastget.sinks.kept import KeptFile
from fastget.testing import Content, ObjectServer, StoredObject

pytestmark = pytest.mark.usefixtures("no_leaks")

Change = Callable[[str, Path], None]


@pytest.fixture
def change() -> Iterator[Change]:
    """chattr, undone in the end; skips the test where that is not possible."""
    changed: list[Path] = []

    def chattr(flag: str, path: Path) -> None:
        program = shutil.which("chattr")
        if program is None or subprocess.run((program, flag, path), capture_output=True, check=False).returncode:
            pytest.skip("only root may change attributes of files, and not of every file system's")
        changed.append(path)

    yield chattr
    for path in reversed(changed):
        subprocess.run(("chattr", "-i", "-a", path), check=True)


@pytest.mark.fault("X7")
@pytest.mark.parametrize("kind", [FileSink, KeptFile])
@pytest.mark.parametrize("flag", ["+i", "+a"])
@pytest.mark.parametrize("place", ["file", "directory"])
def test_what_is_immutable_or_append_only_is_refused_with_the_way_out(
    tmp_path: Path, change: Change, kind: type[FileSink], flag: str, place: str
) -> None:
    target = tmp_path / "folder" / "k"
    target.parent.mkdir()
    target.write_bytes(b"old")
    change(flag, target if place == "file" else target.parent)
    with pytest.raises(DestinationError, match=r"cannot replace .*immutable or append-only") as caught:
        kind(target).open(5)
    assert "chattr" in (caught.value.hint or "")
    assert [path.name for path in target.parent.iterdir()] == ["k"]


@pytest.mark.fault("X7")
def test_an_immutable_file_is_told_before_the_object_is_fetched_and_is_no_matter_where_it_is_the_object(
    tmp_path: Path, change: Change
) -> None:
    content = Content.generated(32 * 1024 * 1024, seed=3)
    target = tmp_path / "k"
    with ObjectServer({"/k": StoredObject(content)}) as server:
        fastget.download(server.url("/k"), target)
        change("+i", target)
        assert fastget.download(server.url("/k"), target).was_here
        server.put("/k", StoredObject(Content.generated(32 * 1024 * 1024, seed=4)))
        with pytest.raises(DestinationError, match="immutable"):
            fastget.download(server.url("/k"), target)
    assert target.read_bytes() == content.read()
    assert list(tmp_path.iterdir()) == [target]


STICKY = """
import os, sys
from fastget.errors import DestinationError
from fastget.sinks.kept import KeptFile

if os.geteuid() == 0:
    os.setuid(int(sys.argv[2]))
sink = KeptFile(sys.argv[1])
sink.check()
try:
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
except DestinationError as error:
    print(error, "|", error.hint)
"""


@pytest.mark.fault("X7")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of two users")
@pytest.mark.parametrize("is_link", [False, True], ids=["file", "link"])
@pytest.mark.parametrize(
    ("user", "owner", "is_refused"), [(65534, 0, True), (65534, 65534, False), (0, 65534, False)], ids=str
)
def test_anothers_file_in_a_sticky_directory_is_refused_and_ones_own_is_replaced(
    project: Path, user: int, owner: int, is_refused: bool, is_link: bool
) -> None:
    folder = Path(os.path.realpath("/tmp")) / f"fastget-sticky-{os.getpid()}"  # where every user may search
    folder.mkdir()
    try:
        folder.chmod(0o1777)
        target = folder / "k"
        if is_link:
            target.symlink_to("nowhere")
        else:
            target.write_bytes(b"old")
        os.chown(target, owner, owner, follow_symlinks=False)
        code = (sys.executable, "-c", STICKY, str(target), str(user))
        done = subprocess.run(code, capture_output=True, text=True, check=True, cwd=project)
        assert ("cannot replace" in done.stdout and "sticky" in done.stdout) is is_refused, done
        assert is_refused or target.read_bytes() == b"bytes"
        assert [path.name for path in folder.iterdir()] == ["k"]
    finally:
        shutil.rmtree(folder)


def test_what_cannot_be_found_out_is_left_to_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "k").write_bytes(b"old")

    def refuse(*_: object) -> bytes:
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    sink = FileSink(tmp_path / "k")
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
    assert (tmp_path / "k").read_bytes() == b"bytes"
