"""`python -m tests.endurance NAME`: run one of the long runs, and say how it went."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.endurance.verdict import Verdict

_RUNS = {
    "matrix": "every fault, with every kind of checksum, over 1, 4 and 16 connections, at random places",
    "chaos": "10,000 faults at random over 200 objects",
    "kill": "kill -9 at 200 random moments, one to five times for each download",
    "pulls": "kill -9 of pulls of many objects at 60 random moments, some objects with faults",
    "signals": "Ctrl-C and SIGTERM at 200 random moments",
    "syscalls": "kill -9 at each of the first 400 system calls that change the disk",
    "power_loss": "2,000 disks that a power loss may leave at any moment of a download",
    "disk": "errors at each of the first 200 calls that write; too small a disk; a limit on file size",
    "processes": "2 to 8 processes with one destination, one of them killed, with flock and without",
    "soak": "100,000 small objects, of which one in a hundred meets a fault",
    "memory": "peak memory for objects of up to 64 GiB, 100,000 objects, a slow disk, a slow reader",
    "peers": "the same faults for fastget and for five other clients",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. The exit status: 0 passed, 1 not."""
    options = _parser().parse_args(arguments)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has started it in the background: every command that it starts would ignore Ctrl-C as well.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run: Any = import_module(f"tests.endurance.{options.name}").run
    began = time.monotonic()
    verdict: Verdict = run(options.seed, short=options.short, without=tuple(options.without))
    form = "short" if options.short else "long"
    seconds = time.monotonic() - began
    sys.stdout.write(f"{options.name}: {verdict} ({form}, seed {options.seed}, {seconds:.0f} s)\n")
    for failure in verdict.failures[:20]:
        sys.stdout.write(f"  {failure}\n")
    if options.save:
        options.save.write_text(json.dumps(verdict.table, indent=1) + "\n", encoding="utf-8")
    return 0 if verdict.passed else 1


def _parser() -> argparse.ArgumentParser:
    epilog = "\n".join(f"  {name:<10} {meaning}" for name, meaning in _RUNS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.endurance",
        description="Long runs; each prints one line with its figures.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=_RUNS, metavar="NAME")
    parser.add_argument("--seed", type=int, default=1, help="what all that is random follows from (default: 1)")
    parser.add_argument("--short", action="store_true", help="the same in a few seconds")
    parser.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="leave a fault (matrix) or a client (peers) out"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the table as JSON (peers)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
