"""Standard output and standard error that are closed, full or broken."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fastget.testing import Content, ObjectServer, StoredObject

Start = Callable[..., "subprocess.Popen[bytes]"]
Serve = Callable[..., ObjectServer]
# A way to spoil a stream: what it is opened as, or None where the process is started without it.
Spoilt = Callable[[str], "int | None"]

WAYS = ("closed", "full", "broken")


@pytest.fixture
def spoilt() -> Iterator[Spoilt]:
    """A descriptor that nothing can be written to; None for one that is to be closed."""
    with ExitStack() as opened:

        def make(way: str) -> int | None:
            if way == "closed":
                return None
            if way == "full":
                if not Path("/dev/full").exists():
                    pytest.skip("this system has no /dev/full")
                descriptor = os.open("/dev/full", os.O_WRONLY)
            else:
                reading, descriptor = os.pipe()
                os.close(reading)
            opened.callback(os.close, descriptor)
            return descriptor

        yield make


def closing(number: int, descriptor: int | None) -> Callable[[], None] | None:
    return (lambda: os.close(number)) if descriptor is None else None


def without_messages(start: Start, descriptor: int | None, *arguments: str) -> tuple[int, bytes]:
    """Run it with that standard error: its exit status and its standard output."""
    process = start(*arguments, stderr=descriptor, preexec_fn=closing(2, descriptor))
    stdout, _ = process.communicate(timeout=60)
    return process.returncode, stdout


def without_output(start: Start, descriptor: int | None, *arguments: str) -> tuple[int, str]:
    """Run it with that standard output: its exit status and its standard error."""
    process = start(*arguments, stdout=descriptor, preexec_fn=closing(1, descriptor))
    _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr.decode()


@pytest.mark.fault("X30")
@pytest.mark.parametrize("flags", [(), ("-v",), ("--json",)])
@pytest.mark.parametrize("way", WAYS)
def test_a_download_is_done_though_nobody_can_be_told(
    start: Start, serve: Serve, stored: StoredObject, content: Content, tmp_path: Path, spoilt: Spoilt, way: str,
    flags: tuple[str, ...],
) -> None:  # fmt: skip
    status, stdout = without_messages(start, spoilt(way), serve({"/k": stored}).url("/k"), "-o", "k", *flags)
    assert status == 0
    assert (tmp_path / "k").read_bytes() == content.read(0, content.size)
    assert ("--json" in flags) == bool(stdout)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("{}/missing", "-o", "k"), 3),
        (("{}/missing", "-o", "k", "--json"), 3),
        (("pull", "-i", "missing", "-d", "there"), 2),
        (("stat", "{}/missing"), 3),
        (("get", "--no-such-flag"), 2),
        ((), 2),
    ],
)
def test_a_failure_keeps_its_exit_status_though_nobody_can_be_told(
    start: Start, serve: Serve, spoilt: Spoilt, way: str, arguments: tuple[str, ...], expected: int
) -> None:
    server = serve({})
    status, _ = without_messages(start, spoilt(way), *(text.format(server.url("/")[:-1]) for text in arguments))
    assert status == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "arguments",
    [
        ("{}", "-o", "k", "--json"),
        ("{}", "-o", "-"),
        ("stat", "{}"),
        ("bench", "{}", "-x", "1", "-k", "1M", "--seconds", "0.1"),
        ("--help",),
        ("--version",),
        ("completion", "zsh"),
    ],
)
def test_output_that_cannot_be_written_is_a_failure_of_its_own(
    start: Start, serve: Serve, stored: StoredObject, spoilt: Spoilt, way: str, arguments: tuple[str, ...]
) -> None:
    url = serve({"/k": stored}).url("/k")
    status, stderr = without_output(start, spoilt(way), *(text.format(url) for text in arguments))
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    assert "defect" not in stderr
    if way == "broken":
        assert (status, stderr) == (141, "")
    else:
        assert status == 8
        assert {"closed": "Bad file descriptor", "full": "No space left on device"}[way] in stderr
        assert [line for line in stderr.splitlines() if line.startswith("fastget: ")]


@pytest.mark.parametrize("way", WAYS)
def test_a_pull_whose_lines_cannot_be_written_ends_as_a_download_does(
    start: Start, serve: Serve, stored: StoredObject, tmp_path: Path, spoilt: Spoilt, way: str
) -> None:
    server = serve({f"/{number}": stored for number in range(3)})
    (tmp_path / "list").write_text("".join(f"{server.url(f'/{number}')}\n" for number in range(3)))
    status, stderr = without_output(start, spoilt(way), "pull", "-i", "list", "-d", "there", "--json")
    assert "Traceback" not in stderr
    assert status == (141 if way == "broken" else 8)
    assert bool(stderr) == (way != "broken")


@pytest.mark.parametrize("way", WAYS)
def test_a_download_to_a_file_has_no_use_for_standard_output(
    start: Start, serve: Serve, stored: StoredObject, content: Content, tmp_path: Path, spoilt: Spoilt, way: str
) -> None:
    status, stderr = without_output(start, spoilt(way), serve({"/k": stored}).url("/k"), "-o", "k")
    assert status == 0, stderr
    assert (tmp_path / "k").read_bytes() == content.read(0, content.size)


@pytest.mark.parametrize("missing", [(0,), (0, 1), (1, 2), (0, 1, 2)])
def test_no_file_takes_the_place_of_a_standard_stream_that_is_missing(
    start: Start, serve: Serve, stored: StoredObject, content: Content, tmp_path: Path, missing: tuple[int, ...]
) -> None:
    def close() -> None:
        for number in missing:
            os.close(number)

    process = start(serve({"/k": stored}).url("/k"), "-o", "k", "-v", preexec_fn=close)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "k").read_bytes() == content.read(0, content.size)
