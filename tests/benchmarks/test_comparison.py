from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.comparison import Entry, Outcome, compare, in_turn, open_workplace
from benchmarks.contenders import BARE_LOOP, CONTENDERS, FASTGET, Contender, Download
from benchmarks.many import Lists, Many
from benchmarks.scenarios import SCENARIOS, Scenario

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


def test_many_objects_are_fetched_into_a_new_directory_each_time(
    tmp_path: Path, nginx: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    scenario = replace(_scenario("small-objects"), many=Many(7, 3000), bare_loop_threads=(1, 2))
    contenders = [_contender(FASTGET), _contender(BARE_LOOP), _contender("curl")]
    told: list[str] = []
    with open_workplace(tmp_path / "work", 1000) as workplace:
        outcome = compare(scenario, contenders, workplace, nginx, runs=2, report=told.append)
    assert [(entry.contender.name, entry.problem) for entry in outcome.entries] == [(FASTGET, None), (BARE_LOOP, None)]
    assert [len(entry.runs) for entry in outcome.entries] == [2, 2]
    assert outcome.size == 7 * 3000


@pytest.mark.parametrize("name", ["read-loop", "read-threads"])
def test_many_objects_are_read_into_memory_and_compared_by_their_digest(
    tmp_path: Path, nginx: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    scenario = replace(_scenario(name), many=Many(20, 3000, is_read=True))
    wrong = Contender("wrong", "no", "", lambda: "1", lambda _: [], reads=_says_nothing)
    contenders = [_contender(FASTGET), _contender(BARE_LOOP), _contender("aria2"), wrong]
    with open_workplace(tmp_path / "work", 1000) as workplace:
        outcome = compare(scenario, contenders, workplace, nginx, runs=1, report=lambda _: None)
    assert [(entry.contender.name, entry.problem) for entry in outcome.entries] == [
        (FASTGET, None),
        (BARE_LOOP, None),
        ("wrong", "failed: what it has read holds wrong bytes"),
    ]


def _says_nothing(download: Download, lists: Lists) -> list[str]:
    assert lists.names.exists()
    return [sys.executable, "-c", "import sys; open(sys.argv[1], 'w')", str(download.destination)]


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("pass", "failed: it made 0 files of 2"),
        ("(p / '000000.bin').write_bytes(b''); (p / 'x').write_bytes(b'')", "failed: it made 2 files of 2"),
        (
            "[(p / f'00000{n}.bin').write_bytes(b'') for n in (0, 1)]",
            "failed: its file 000000.bin has 0 bytes of 1000",
        ),
        ("[(p / f'00000{n}.bin').write_bytes(bytes(1000)) for n in (0, 1)]", "holds wrong bytes"),
    ],
)
def test_a_client_that_makes_other_files_than_asked_has_failed(
    tmp_path: Path, nginx: str, code: str, problem: str
) -> None:
    script = f"import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.mkdir(); {code}"
    broken = Contender(
        "broken",
        "no",
        "",
        lambda: "1",
        lambda _: [],
        many=lambda download, _: [sys.executable, "-c", script, str(download.destination)],
    )
    scenario = replace(_scenario("small-objects"), many=Many(2, 1000))
    with open_workplace(tmp_path / "work", 1000) as workplace:
        (entry,) = compare(scenario, [broken], workplace, nginx, runs=1, report=lambda _: None).entries
    assert problem in str(entry.problem)


def _scenario(name: str) -> Scenario:
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def _end_without_curl() -> None:
    if os.environ.get("CI") == "true":
        pytest.fail("curl is not installed", pytrace=False)
    pytest.skip("curl is not installed")


def test_a_comparison_that_is_told_to_end_leaves_nothing_behind(nginx: str, tmp_path: Path) -> None:
    assert nginx
    options = (
        "--work",
        str(tmp_path / "work"),
        "--output",
        str(tmp_path / "out"),
        "--size",
        "4MiB",
        "--runs",
        "1000000",
    )
    command = [sys.executable, "-m", "benchmarks", *options, "--peers", "fastget", "--scenario", SCENARIOS[0].name]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and not list((tmp_path / "work").glob("compare-*/downloads/*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert not list((tmp_path / "work").iterdir())
