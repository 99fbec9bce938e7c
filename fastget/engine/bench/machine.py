"""What this machine can do beside the network: its cores, its disk, its speed at digests."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fastget.core.checksums.algorithms import new_hasher
from fastget.engine.threads import usable_cores
from fastget.records import record
from fastget.sinks.failures import destination_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from fastget.core.checksums.algorithms import Algorithm

MIB = 1024 * 1024
# The first step shows whether the disk is a slow one, which is then not asked for the rest of it.
FIRST_WRITE, WHOLE_WRITE = 64 * MIB, 256 * MIB
QUICK_WRITE = 1.0
# Never more of what is free on the disk than this share.
SHARE_OF_FREE = 4
_DIGEST_SECONDS = 0.05
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_STATISTICS = Path("/proc/stat")


def allotted_cores() -> float:
    """What this process may take of the processors: all it can use, or what its control group's quota leaves it."""
    cores = float(usable_cores())
    return min(cores, _quota() or cores)


def _quota() -> float | None:
    """Cores by the quota of the control group (Linux, version 2); None where there is none."""
    try:
        limit, period = _QUOTA.read_text(encoding="ascii").split()
        return int(limit) / int(period) if limit != "max" else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


@record
class Load:
    """The state of the processor at one moment: seconds of this process, of the system for it too and without it.

    `busy` and `total` are those of all cores of the machine together, in any one unit; both 0 where that is not known.
    """

    processor: float
    user: float
    busy: int = 0
    total: int = 0

    @classmethod
    def now(cls) -> Load:
        times = os.times()
        return cls(times.user + times.system, times.user, *_machine())

    def machine_since(self, earlier: Load) -> float | None:
        """The busy share of all cores since an earlier moment."""
        total = self.total - earlier.total
        return min(1.0, max(0.0, (self.busy - earlier.busy) / total)) if total > 0 else None


def _machine() -> tuple[int, int]:
    """Busy and all ticks of the machine so far (Linux, proc(5)); idle are those that wait for disks as well."""
    try:
        line = _STATISTICS.read_text(encoding="ascii").partition("\n")[0]
        ticks = [int(number) for number in line.split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
    except (OSError, ValueError, IndexError):
        return 0, 0


def digest_rate(algorithm: Algorithm) -> float:
    """Bytes a second that one core digests, from a buffer that is in its cache."""
    hasher, buffer, done = new_hasher(algorithm), memoryview(bytes(MIB)), 0
    began = time.perf_counter()
    while (seconds := time.perf_counter() - began) < _DIGEST_SECONDS or not done:
        hasher.update(buffer)
        done += MIB
    return done / max(seconds, 1e-9)


def disk_rate(directory: str, check: Callable[[], None]) -> float:
    """Bytes a second that reach the disk of a directory, flushed, through a file without a name that is gone at once.

    At most 256 MiB are written, and at most a quarter of what is free. `check` is called between two MiB; what it
    raises ends the writing.
    Raises DestinationError where nothing can be written there.
    """
    import tempfile

    try:
        system = os.statvfs(directory)
        free = system.f_bavail * system.f_frsize // SHARE_OF_FREE if system.f_blocks else WHOLE_WRITE
        with tempfile.TemporaryFile(prefix=".fastget-bench-", dir=directory, buffering=0) as file:
            began, done = time.perf_counter(), 0
            for size in (FIRST_WRITE, WHOLE_WRITE):
                done += _write(file, min(size, max(free, MIB)) - done, check)
                seconds = time.perf_counter() - began
                if seconds > QUICK_WRITE:
                    break
            return done / max(seconds, 1e-9)
    except OSError as error:
        raise destination_error(error, "write to", directory) from error


def _write(file: IO[bytes], size: int, check: Callable[[], None]) -> int:
    """Write bytes that no file system can compress, and flush them."""
    noise = memoryview(os.urandom(2 * MIB))
    done = 0
    while done < size:
        check()
        start = done // 4096 % MIB
        done += file.write(noise[start : start + min(MIB, size - done)])
    os.fsync(file.fileno())
    return done
