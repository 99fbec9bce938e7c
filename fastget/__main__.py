"""The `fastget` command, and `python -m fastget`.

A command lives for a moment, and what it costs beside the transfer is paid at its two ends: see
docs/design/0004-start-up.md.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

# So many new objects between two looks for unreachable ones, instead of 700: modules are made of objects that stay.
_COLLECT_AFTER = 50_000
_VERSION = (["--version"], ["-V"])


def main() -> int:
    """Run the command line of this process and return its exit status."""
    arguments = sys.argv[1:]
    if arguments in _VERSION:
        # Before anything else is loaded: the answer is in the package itself.
        from fastget import __version__

        if _is_written(f"fastget {__version__}\n"):
            return 0
    from fastget.cli.app import run

    return run(arguments)


def _is_written(text: str) -> bool:
    """Whether it went to standard output; where it did not, the command line that says why is worth loading."""
    try:
        return os.write(1, text.encode()) == len(text)
    except OSError:
        return False


def command() -> int:
    """Run `main` as the one task of this process, which ends with it: not for callers that go on afterwards."""
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    ending = _Ending()
    atexit.register(ending)
    if sys.argv[1:] not in _VERSION:
        _leave_interrupts_to_the_system()
        from fastget import cli

        cli.owns_process = True
    ending.status = main()
    return ending.status


def _leave_interrupts_to_the_system() -> None:
    """Until something has begun that is to be stopped cleanly, Ctrl-C ends the process: Python would show where."""
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


class _Ending:
    """Ends the process once all is done, without taking the interpreter to pieces first.

    Registered before any other, it is the last handler to be called: the threads have ended by then, and what others
    want done at the exit is done. It leaves the end to the interpreter where that has more to say: of an exception, of
    a stream that cannot be flushed, or, with `-W` and `-X dev`, of files that were left open.
    """

    status: int | None = None

    def __call__(self) -> None:
        if self.status is None or sys.warnoptions or sys.flags.dev_mode:
            return
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            return
        os._exit(self.status)


if __name__ == "__main__":
    sys.exit(command())
