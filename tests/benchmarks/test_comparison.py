from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.comparison import Entry, Outcome, compare, in_turn, open_workplace
from benchmarks.contenders import BARE_LOOP, CONTENDERS, Contender
from benchmarks.scenarios import SCENARIOS

_SIZE = 4 * 1024 * 1024
_SCENARIO = replace(SCENARIOS[0], bare_loop_threads=(1, 2))


def _contender(name: str) -> Contender:
    return next(contender for contender in CONTENDERS if contender.name == name)


def _python_contender(name: str, code: str) -> Contender:
    """A client that runs `code` with the file to make as its first argument."""
    return Contender(
        name, "no", "", lambda: "1", lambda download: [sys.executable, "-c", code, str(download.destination)]
    )


def _compare(tmp_path: Path, nginx: str, contenders: list[Contender], size: int = 1000) -> list[Entry]:
    told: list[str] = []
    with open_workplace(tmp_path / "work", size) as workplace:
        outcome = compare(_SCENARIO, contenders, workplace, nginx, runs=2, report=told.append)
    assert told
    assert list((tmp_path / "work").iterdir()) == []
    return outcome.entries


def test_every_round_begins_one_client_later(outcome: Outcome) -> None:
    names = [[entry.contender.name for entry in in_turn(outcome.entries, number)] for number in (0, 1, 4)]
    assert names[0] == ["aria2", "curl", "axel", "s5cmd"]
    assert names[1] == ["curl", "axel", "s5cmd", "aria2"]
    assert names[2] == names[0]


def test_curl_and_the_bare_loop_download_the_object(
    tmp_path: Path, nginx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("curl") is None:
        _end_without_curl()
    monkeypatch.chdir(Path(__file__).parents[2])
    contenders = [_contender("curl"), _contender(BARE_LOOP)]
    curl, bare_loop = _compare(tmp_path, nginx, contenders, _SIZE)
    assert (curl.problem, bare_loop.problem) == (None, None)
    assert (len(curl.runs), len(bare_loop.runs)) == (2, 2)
    assert bare_loop.command[-1] in {"1", "2"}


def test_a_missing_client_is_kept_with_the_way_to_install_it(tmp_path: Path, nginx: str) -> None:
    missing = replace(_contender("axel"), version=lambda: None)
    (entry,) = _compare(tmp_path, nginx, [missing])
    assert (entry.runs, entry.problem) == ([], "missing (apt install axel)")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import sys; sys.exit('disk full')", "failed: exit 1: disk full"),
        ("pass", "failed: it made no file"),
        ("import sys; open(sys.argv[1], 'wb').write(b'x')", "failed: its file has 1 bytes of 1000"),
        ("import sys; open(sys.argv[1], 'wb').write(b'x' * 1000)", "failed: its file holds wrong bytes"),
    ],
)
def test_a_client_that_makes_no_right_file_has_failed(tmp_path: Path, nginx: str, code: str, problem: str) -> None:
    (entry,) = _compare(tmp_path, nginx, [_python_contender("broken", code)])
    assert (entry.runs, entry.problem) == ([], problem)


def _end_without_curl() -> None:
    if os.environ.get("CI") == "true":
        pytest.fail("curl is not installed", pytrace=False)
    pytest.skip("curl is not installed")
