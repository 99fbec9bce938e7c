from __future__ import annotations

import sys

import pytest

from benchmarks.measurement import RunError, measure

_MIB = 1024 * 1024


def _python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_a_run_is_measured_in_time_and_memory() -> None:
    idle = measure(_python(""))
    busy = measure(_python("kept = b'x' * (64 << 20); [None for _ in range(10**6)]"))
    assert busy.user_seconds + busy.system_seconds > idle.user_seconds + idle.system_seconds
    assert busy.seconds > 0
    assert busy.peak_memory - idle.peak_memory > 60 * _MIB


def test_the_memory_of_the_measuring_process_is_not_counted() -> None:
    kept = bytearray(96 * _MIB)
    assert measure(_python("")).peak_memory < len(kept) // 2


def test_processor_time_of_children_is_counted() -> None:
    work = "sum(range(10**6))"
    child = f"import os\nif os.fork() == 0:\n    {work}; os._exit(0)\nos.wait()"
    assert measure(_python(child)).user_seconds > measure(_python("import os")).user_seconds


def test_variables_are_given_to_the_command() -> None:
    code = "import os, sys; sys.exit(os.environ['COLOUR'] != 'blue')"
    assert measure(_python(code), {"COLOUR": "blue"}).seconds > 0


def test_a_failed_command_is_reported_in_its_own_last_words() -> None:
    with pytest.raises(RunError, match=r"exit 3: no such bucket$"):
        measure(_python("import sys; print('first\\nno such bucket'); sys.exit(3)"))


def test_a_command_that_does_not_exist_is_reported() -> None:
    with pytest.raises(RunError, match="could not be started"):
        measure(["/no/such/program"])


def test_a_command_that_does_not_end_is_stopped() -> None:
    with pytest.raises(RunError, match=r"not done after 0\.2 s"):
        measure(_python("import signal; signal.pause()"), timeout=0.2)
