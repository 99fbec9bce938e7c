"""What the long runs printed when they were last run, for docs/reliability.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One long run: its command's words after `python -m tests.endurance`, what it does, what it printed."""

    words: str
    does: str
    printed: str = ""


# 2 cores, Linux, loopback, November 2026.
RUNS = (
    Run(
        "matrix",
        "one fault a download: every kind, without a checksum and with two kinds of it, over 1, 4, 16 connections",
        "passed: 4,320 runs, 24 faults, 0 wrong, 0 hung, 0 left at the final name after an error, 0 untyped errors, "
        "100.0% recovered, 530 ended in a typed error, 180 unseen without a checksum, and said so (297 s)",
    ),
    Run(
        "chaos",
        "15 % of all requests meet a fault, 10,000 in all, over 200 objects of 0 to 64 MiB, 6 at once",
        "passed: 10,000 faults, 2,600 downloads, 0 wrong or failed, 1.03 times the bytes without faults, "
        "2.53 times the p99 without faults (158 s)",
    ),
    Run(
        "kill",
        "kill -9 at 200 random moments, 1 to 5 for each download, then to its end",
        "passed: 200 kills, 81 downloads, 0 wrong or failed, 3.1% of the object sent again for a kill, "
        "5.9% in the worst download, 0 stray files (295 s)",
    ),
    Run(
        "syscalls",
        "kill -9 at each of the first 400 calls that change the disk, and at the last ones",
        "passed: 452 runs, 320 killed, 132 past the last call, 0 wrong (139 s)",
    ),
    Run(
        "power_loss",
        "2,000 disks that a power loss may leave at any moment of a download, or of a pull of 14 small files, each "
        "gone on with",
        "passed: 2,607 states, 676 of pulls, 1,417 gone on with, 0 with files left over, 0 wrong (91 s)",
    ),
    Run(
        "disk",
        "ENOSPC, EIO, EDQUOT at each of the first 200 calls that write; small disk; limit on file size",
        "passed: 666 runs, 608 told with path and cause, 40 survived, 18 past the last call, "
        "0 wrong, left or untold, told disk of 4 MiB (195 s)",
    ),
    Run(
        "processes",
        "2 to 8 processes with one destination, one of them killed, with flock and without; 50 rounds",
        "passed: 50 rounds, 250 processes, 34 killed, 216 succeeded, 0 wrong, 0 stray files (66 s)",
    ),
    Run(
        "pulls",
        "kill -9 of pulls of 465 objects, one of them of 64 MiB, at random moments, 1 to 4 for each pull; 2 % of all "
        "requests meet a fault",
        "passed: 61 kills, 23 pulls, 10,695 objects, 260 faults, 0 wrong or failed, 2.3% of the bytes sent again for a "
        "kill, 31.2% under way then, 0 stray files (436 s)",
    ),
    Run(
        "signals",
        "Ctrl-C and SIGTERM at random moments, of servers that are fine, mute, slow, or refuse with Retry-After",
        "passed: 201 signals, 47 past the end, 0.0602 s to the end at the median, 0.446 s at the most, "
        "0 wrong, hung or failed, 0 stray files (408 s)",
    ),
    Run(
        "soak",
        "100,000 objects of 1 to 64 KiB, of which one in a hundred meets a fault",
        "passed: 100,000 objects, 969 faults, 0 wrong or failed, 0.0286 MiB of growth for 10,000 objects, "
        "12 descriptors, 5 threads (141 s)",
    ),
)
