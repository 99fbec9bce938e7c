"""Run one command and write to standard output: exit code, seconds, user s, system s, peak memory.

Usage: python -I -S launch.py COMMAND [ARGUMENT …]

A program of its own, and one that imports next to nothing, because Linux carries the peak memory of the
process that starts a command over into the command's own figure: started from here that floor is about 9 MB.
The command's standard output goes to standard error, so that only the figures are on ours.
"""

import os
import sys
import time


def main(command: list[str]) -> int:
    """Run `command`; memory is the platform's ru_maxrss (KiB on Linux, bytes on macOS)."""
    redirect = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 2, 1)]
    started = time.monotonic()
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=redirect)
    _, status, usage = os.wait4(process, 0)
    seconds = time.monotonic() - started
    exit_code = os.waitstatus_to_exitcode(status)
    sys.stdout.write(f"{exit_code} {seconds!r} {usage.ru_utime!r} {usage.ru_stime!r} {usage.ru_maxrss}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
