"""Starting costs little, because nothing is loaded that is not used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastget.core.checksums.algorithms import Algorithm
from fastget.testing import Content, ObjectServer, StoredObject

Serve = Callable[..., ObjectServer]

_HOME = Path(__file__).resolve().parents[2]
# What `fastget ARGUMENTS` has loaded when it ends, on standard error.
_PROGRAM = """
import sys
sys.argv = ["fastget", *sys.argv[1:]]
from fastget.__main__ import main
code = main()
sys.stderr.write(" ".join(sys.modules))
sys.exit(code)
"""


def loaded_by(folder: Path, *arguments: str) -> set[str]:
    command = (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(_HOME)!r})\n{_PROGRAM}", *arguments)
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return set(outcome.stderr.split())


def test_the_version_is_told_without_loading_the_machinery(tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, "--version")
    assert loaded.isdisjoint(
        {"click", "rich", "httpx", "botocore", "ssl", "fastget.client", "fastget.cli", "dataclasses"}
    )


def test_help_does_not_load_the_engine(tmp_path: Path) -> None:
    assert loaded_by(tmp_path, "get", "--help").isdisjoint({"rich", "httpx", "botocore", "ssl", "fastget.client"})


def test_a_download_over_http_loads_neither_s3_nor_a_bar(serve: Serve, stored: StoredObject, tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, "-q", serve({"/b/x": stored}).url("/b/x"))
    assert "fastget.client" in loaded
    assert loaded.isdisjoint({"rich", "botocore", "httpx", "fastget.cli.bar", "fastget.cli.demo", "fastget.testing"})


def test_a_download_over_http_loads_only_what_it_meets(serve: Serve, stored: StoredObject, tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, "-q", serve({"/b/x": stored}).url("/b/x"))
    assert loaded.isdisjoint({"http", "json", "logging", "traceback", "fastget.cli.json_events"})
    assert loaded.isdisjoint({"ssl", "_hashlib", "xml", "urllib.request", "fastget.transport.tls"})
    assert loaded.isdisjoint({"html", "fastget.core.redaction", "fastget.sources.refusals"})


@pytest.mark.parametrize("keys", [("--no-sign-request",), ("--region", "eu-west-1")], ids=["unsigned", "signed"])
def test_a_download_from_a_store_whose_address_and_keys_are_given_loads_no_botocore(
    keys: tuple[str, ...], serve: Serve, stored: StoredObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMARKED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marked")
    endpoint = serve({"/bucket/x": stored}).url("")
    loaded = loaded_by(tmp_path, "-q", "s3://bucket/x", "--endpoint-url", endpoint, *keys)
    assert "fastget.sources.s3" in loaded
    assert loaded.isdisjoint({"botocore", "configparser", "http", "json", "logging", "ssl", "urllib.request", "xml"})


def test_no_library_is_loaded_for_a_checksum_that_nobody_declares(serve: Serve, tmp_path: Path) -> None:
    plain = StoredObject(Content.generated(3_000_000, seed=1), etag='"1"')
    loaded = loaded_by(tmp_path, "-q", serve({"/b/x": plain}).url("/b/x"))
    assert loaded.isdisjoint({"awscrt", "crc32c._crc32c", "_hashlib"})


def test_a_crc32c_is_computed_without_the_library_that_is_slow_to_load(serve: Serve, tmp_path: Path) -> None:
    declared = StoredObject(Content.generated(3_000_000, seed=1), checksum=Algorithm.CRC32C)
    loaded = loaded_by(tmp_path, "-q", "--require-verified", serve({"/b/x": declared}).url("/b/x"))
    assert "crc32c._crc32c" in loaded
    assert loaded.isdisjoint({"awscrt", "importlib.metadata"})


# The end ----------------------------------------------------------------------------------------------------------

_ENDING = """
import atexit, sys, threading
import fastget.__main__ as program
def outlive():
    threading.main_thread().join()
    print("a thread has ended")
def main():
    threading.Thread(target=outlive).start()
    atexit.register(print, "handlers were called")
    {act}
program.main = main
class Last:
    def __del__(self):
        print("the interpreter was taken to pieces")
last = Last()
sys.exit(program.command())
"""


def ended(act: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, "-c", _ENDING.format(act=act)]
    return subprocess.run(command, cwd=_HOME, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("status", [0, 1, 8, 130])
def test_the_command_waits_for_threads_and_handlers_and_then_just_ends(status: int) -> None:
    outcome = ended(f"sys.stdout.write('done '); return {status}")
    assert outcome.returncode == status
    assert outcome.stdout == "done a thread has ended\nhandlers were called\n"
    assert outcome.stderr == ""


def test_with_warnings_on_the_interpreter_says_what_was_left_open() -> None:
    assert "the interpreter was taken to pieces" in ended("return 0", "-W", "error").stdout


def test_an_exception_reaches_the_interpreter() -> None:
    outcome = ended("raise RuntimeError('unexpected')")
    assert outcome.returncode == 1
    assert "RuntimeError: unexpected" in outcome.stderr
