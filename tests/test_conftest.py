"""The tests' own surroundings: what they keep out, what they notice, and what they say at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RunTest = Callable[..., tuple[int, str]]


@pytest.fixture
def run_test(tmp_path: Path) -> RunTest:
    """Runs the source of a test beside a copy of conftest.py; gives pytest's exit status and what it printed."""

    def run(source: str, *arguments: str, **environment: str) -> tuple[int, str]:
        shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
        (tmp_path / "test_it.py").write_text(f"import os, threading\n\n{source}\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, str(tmp_path)]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    return run


MISSING = "def test_it(server_not_found): server_not_found('gopherd', 'apt-get install gopherd')"


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_missing_server_skips_its_tests_and_is_named_at_the_end(run_test: RunTest, workers: str) -> None:
    status, output = run_test(MISSING, workers)
    assert status == 0
    assert "1 skipped" in output
    assert "servers not found: gopherd (apt-get install gopherd)" in output.splitlines()


def test_a_missing_server_fails_its_tests_where_servers_are_required(run_test: RunTest) -> None:
    status, output = run_test(MISSING, FASTGET_REQUIRE_SERVERS="1")
    assert status == 1
    assert "1 failed" in output
    assert "servers not found: gopherd (apt-get install gopherd)" in output.splitlines()


def test_the_last_lines_name_no_server_when_none_is_missing(run_test: RunTest) -> None:
    status, output = run_test("def test_it(): pass")
    assert status == 0
    assert "servers not found" not in output


@pytest.mark.parametrize(
    ("leak", "complaint"),
    [
        ("os.open('/dev/null', os.O_RDONLY)", "descriptors that are still open"),
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "threads that still run"),
    ],
)
def test_what_a_test_leaves_behind_is_noticed(run_test: RunTest, leak: str, complaint: str) -> None:
    status, output = run_test(f"def test_it(no_leaks): {leak}")
    assert status == 1
    assert complaint in output


def test_a_test_that_leaves_nothing_behind_passes_the_leak_check(run_test: RunTest) -> None:
    source = """def test_it(no_leaks):
        with open(os.devnull): pass
        threading.Thread(target=int).start()"""
    assert run_test(source)[0] == 0


def test_nothing_of_the_environment_of_the_person_who_runs_them_reaches_the_tests(run_test: RunTest) -> None:
    source = """def test_it():
        assert not [name for name in os.environ if name.startswith(("FASTGET_", "http"))]
        assert [name for name in os.environ if name.startswith("AWS_")] == ["AWS_EC2_METADATA_DISABLED"]
        assert not os.listdir(os.path.expanduser("~"))"""
    foreign = {"AWS_PROFILE": "mine", "http_proxy": "http://127.0.0.1:9", "FASTGET_CONNECTIONS": "1"}
    status, output = run_test(source, **foreign)
    assert status == 0, output
