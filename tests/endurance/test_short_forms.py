"""The short forms of the long runs: each ends well, in a few seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

_HOME = Path(__file__).resolve().parents[2]
NEEDS_STRACE = ("syscalls", "disk", "power_loss")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("matrix", marks=pytest.mark.fault("N1", "N2", "N3", "N4", "N5", "N7", "H4", "C1", "C2")),
        pytest.param("chaos", marks=pytest.mark.fault("N18", "H41", "H44")),
        pytest.param("kill", marks=pytest.mark.fault("X17", "X18")),
        pytest.param("syscalls", marks=pytest.mark.fault("X17", "X19", "X20")),
        pytest.param("power_loss", marks=pytest.mark.fault("X19", "X20")),
        pytest.param("disk", marks=pytest.mark.fault("X1", "X2", "X3", "X4")),
        pytest.param("processes", marks=pytest.mark.fault("X14", "X15", "X16")),
        pytest.param("memory", marks=pytest.mark.fault("X31")),
        pytest.param("soak", marks=pytest.mark.fault("N27")),
        pytest.param("pulls", marks=pytest.mark.fault("X17", "X18", "H41")),
        pytest.param("signals", marks=pytest.mark.fault("X29")),
        "peers",
    ],
)
def test_the_short_form_passes(name: str, server_not_found: Callable[[str, str], NoReturn]) -> None:
    if name in NEEDS_STRACE and not _can_trace():
        server_not_found("strace", "apt-get install strace, and permission to trace")
    words = ("-m", "tests.endurance", name, "--short")
    done = subprocess.run(
        (sys.executable, *words),
        cwd=_HOME,
        env={**os.environ, "PYTHONPATH": str(_HOME)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{name}: passed")


def test_a_run_that_there_is_not_is_a_usage_error() -> None:
    words = (sys.executable, "-m", "tests.endurance", "nothing")
    done = subprocess.run(words, cwd=_HOME, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "invalid choice" in done.stderr


def _can_trace() -> bool:
    words = ("strace", "-qq", "-o", os.devnull, "true")
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
