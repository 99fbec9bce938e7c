"""The machine that figures come from: without these facts they mean nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measurement import measure


@dataclass(frozen=True, slots=True)
class Machine:
    """Sizes in bytes; `peak_memory_floor` is what the measurement shows for a program that does nothing.

    `call_nanoseconds` tells interpreters of one version apart: one compiled without a profile takes half as long again.
    """

    measured_at: str
    system: str
    processor: str
    cores: int
    memory: int
    load_average: float
    file_system: str
    python: str
    call_nanoseconds: float
    nginx: str
    peak_memory_floor: int


def describe_machine(directory: Path, nginx: str) -> Machine:
    """The facts of this machine now; `directory` is where clients write, `nginx` the server's program."""
    return Machine(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        load_average=os.getloadavg()[0],
        file_system=_file_system(directory),
        python=platform.python_version(),
        call_nanoseconds=_call_nanoseconds(),
        nginx=subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False)
        .stderr.strip()
        .rpartition("/")[2],
        peak_memory_floor=measure([sys.executable, "-I", "-S", "-c", ""]).peak_memory,
    )


class _Counter:
    def __init__(self, count: int) -> None:
        self.count = count

    def next(self) -> int:
        return self.count + 1


def _call_nanoseconds() -> float:
    """How long this interpreter takes for one object and one call of its method, at its best of five."""

    def loop(calls: int) -> float:
        start = time.process_time_ns()
        for number in range(calls):
            _Counter(number).next()
        return (time.process_time_ns() - start) / calls

    return min(loop(200_000) for _ in range(5))


def _processor() -> str:
    description = Path("/proc/cpuinfo")
    if description.exists():
        for line in description.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(directory: Path) -> str:
    """The type of the file system that holds `directory`: that of its longest mount point."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "unknown"
    found = {Path(fields[1]): fields[2] for fields in (line.split() for line in mounts.read_text().splitlines())}
    place = directory.resolve()
    return next((found[parent] for parent in (place, *place.parents) if parent in found), "unknown")
