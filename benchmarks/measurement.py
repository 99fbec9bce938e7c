"""What one run of a command cost, measured from outside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAUNCHER = Path(__file__).with_name("launch.py")
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


class RunError(Exception):
    """A command that did not do its work; the message is its own last line where it left one."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of a process: seconds of wall time and of CPU, bytes of peak memory.

    CPU includes children that the process waited for; memory is the largest single process among them.
    """

    seconds: float
    user_seconds: float
    system_seconds: float
    peak_memory: int


def measure(command: Sequence[str], environment: Mapping[str, str] | None = None, timeout: float = 600) -> Measurement:
    """Run a command to its end and return what it cost. `environment` is added to this process's own.

    Raises RunError when the command cannot be started, fails, or is not done after `timeout` seconds.
    """
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), *command]
    with subprocess.Popen(
        launcher,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**client_environment(), **(environment or {})},
        start_new_session=True,
    ) as process:
        try:
            figures, messages = process.communicate(timeout=timeout)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise RunError(f"not done after {timeout:g} s") from None
            raise
    return _read(figures, messages)


def client_environment() -> dict[str, str]:
    """This process's environment, without what keeps Python from using bytecode: an installed program has it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _read(figures: str, messages: str) -> Measurement:
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    last_words = lines[-1][:300] if lines else "no message"
    fields = figures.split()
    if len(fields) != 5:
        raise RunError(f"could not be started: {last_words}")
    if fields[0] != "0":
        raise RunError(f"exit {fields[0]}: {last_words}")
    return Measurement(float(fields[1]), float(fields[2]), float(fields[3]), int(fields[4]) * _PEAK_UNIT)
