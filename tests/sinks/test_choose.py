"""Which sink a path means."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastget.config import Config
from fastget.errors import ConfigError, DestinationError
from fastget.sinks.choose import open_sink
from fastget.sinks.file import FileSink
from fastget.sinks.stream import StreamSink

pytestmark = pytest.mark.usefixtures("no_leaks")

SEND = """
import sys
from fastget.config import Config
from fastget.sinks.choose import open_sink

print("before", end=" ")
sys.stdout.flush() if sys.argv[1] != "-" else None
sink = open_sink(sys.argv[1], Config())
sink.check()
sink.open(5)
sink.write_at(0, memoryview(b"bytes"))
sink.publish(5)
print(" after", end="")
"""


@pytest.mark.parametrize("path", ["object.bin", "folder", "missing/object.bin"])
def test_a_name_means_a_file(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    sink = open_sink(tmp_path / path, Config())
    assert isinstance(sink, FileSink)
    assert sink.path == str(tmp_path / path)


def test_a_name_that_the_locale_has_no_bytes_for_is_refused_in_words() -> None:
    with pytest.raises(DestinationError, match="becomes no file: its name cannot be written in ") as caught:
        open_sink("half-\ud83d.bin", Config())
    assert "UTF-8" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "name", [".small.fastget-journal", "folder/.small.0123456789ab.fastget-part", "a.fastget-part"]
)
def test_a_name_of_an_unfinished_download_becomes_no_finished_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(DestinationError, match="a name of fastget's own unfinished files") as caught:
        open_sink(tmp_path / name, Config())
    assert caught.value.hint == "choose another name"


def test_the_options_reach_the_file(tmp_path: Path) -> None:
    (tmp_path / "object.bin").touch()
    with pytest.raises(DestinationError, match="exists"):
        open_sink(tmp_path / "object.bin", Config(overwrite=False)).check()
    open_sink(tmp_path / "object.bin", Config()).check()


@pytest.mark.fault("X9", "X10")
def test_a_link_to_a_file_means_a_file_and_one_to_a_pipe_a_stream(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for name in ("file", "pipe"):
        (tmp_path / f"link-to-{name}").symlink_to(name)
    assert isinstance(open_sink(tmp_path / "link-to-file", Config()), FileSink)
    assert isinstance(open_sink(tmp_path / "link-to-pipe", Config()), StreamSink)
    assert isinstance(open_sink(tmp_path / "pipe", Config()), StreamSink)


@pytest.mark.fault("X10")
def test_a_device_is_written_to_and_stays_a_device() -> None:
    sink = open_sink("/dev/null", Config())
    assert isinstance(sink, StreamSink)
    sink.check()
    sink.open(5)
    sink.write_at(0, memoryview(b"bytes"))
    sink.publish(5)
    assert Path("/dev/null").is_char_device()


@pytest.mark.fault("X10")
@pytest.mark.parametrize("path", ["-", "/dev/stdout", "/dev/fd/1", "/dev/../dev/stdout"])
@pytest.mark.parametrize("target", ["pipe", "file", "appended"])
def test_standard_output_is_written_from_its_place_on_wherever_it_leads(
    tmp_path: Path, project: Path, path: str, target: str
) -> None:
    command = (sys.executable, "-c", SEND, path)
    if target == "pipe":
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=project).stdout
    else:
        with (tmp_path / "output").open("ab" if target == "appended" else "wb") as file:
            subprocess.run(command, stdout=file, check=True, cwd=project)
        output = (tmp_path / "output").read_bytes()
    assert output == b"before bytes after"
    assert Path("/dev/stdout").is_symlink()


def test_an_open_descriptor_is_told_by_the_name_that_it_was_given_by() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        sink = open_sink(f"/dev/fd/{writer}", Config())
        assert sink.path == f"/dev/fd/{writer}"
        sink.check()
        sink.open(5)
        with pytest.raises(DestinationError, match=f"/dev/fd/{writer}: "):
            sink.write_at(0, memoryview(b"bytes"))
        sink.discard()
    finally:
        os.close(writer)
    assert open_sink("/dev/stderr", Config()).path == "/dev/stderr"
    assert open_sink("/dev/stdout", Config()).path is None


def test_a_closed_standard_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(DestinationError, match="no standard output"):
        open_sink("-", Config())


def test_a_number_is_a_file_name_outside_of_the_directory_of_descriptors(tmp_path: Path) -> None:
    assert isinstance(open_sink(tmp_path / "1", Config()), FileSink)
    assert isinstance(open_sink(tmp_path / "stdout", Config()), FileSink)


def test_a_descriptor_that_is_not_open_is_refused() -> None:
    unused = os.open("/dev/null", os.O_WRONLY)
    os.close(unused)
    with pytest.raises(DestinationError):
        open_sink(f"/dev/fd/{unused}", Config()).check()


def test_an_empty_path_is_an_error_in_the_argument() -> None:
    with pytest.raises(ConfigError):
        open_sink("", Config())
