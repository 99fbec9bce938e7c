"""What people are told on standard error: a bar on a terminal, one line for each object elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

from fastget.cli.failures import failure_lines
from fastget.cli.terminal import can_animate
from fastget.cli.warnings import hear_warnings
from fastget.cli.wording import (
    Summary,
    is_worth_telling,
    notice,
    remark,
    summary_text,
    transfer_text,
    verification_text,
)

if TYPE_CHECKING:
    from fastget.cli.exit_codes import ExitCode
    from fastget.errors import FastgetError
    from fastget.events import Event, Result


class Reporter(Protocol):
    """A reader of a command's events. `handle` is called from any thread, the rest from the main one."""

    lost: OSError | None
    """Why standard output cannot be written any more, once that is so: the main thread was interrupted for it."""

    def begin(self, path: str) -> None:
        """An object is asked for, to be written to `path`."""
        ...

    def handle(self, event: Event) -> None:
        """An event of the running transfer."""
        ...

    def finished(self, result: Result) -> None:
        """An object is complete."""
        ...

    def failed(self, error: FastgetError, url: str | None, code: ExitCode) -> None:
        """An object failed, or the command before any of them; `code` is the exit status of that."""
        ...

    def failed_among(self, error: FastgetError, url: str, code: ExitCode, *, is_named: bool) -> None:
        """One of many objects failed, from a handler of events; people read of it where it `is_named`."""
        ...

    def note(self, text: str) -> None:
        """A line for people, safe to print."""
        ...

    def summarize(self, summary: Summary) -> None:
        """The command is at its end."""
        ...

    def close(self) -> None:
        """Give the terminal back. Safe to call twice."""
        ...


class LineReporter:
    """One line for each object, and nothing that moves."""

    lost: OSError | None = None

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose

    def begin(self, path: str) -> None:
        """An object that is under way has no line of its own."""

    def handle(self, event: Event) -> None:
        if self._quiet:
            return
        line = (remark(event) if self._verbose else None) or notice(event)
        if line is not None:
            self._write(line)

    def finished(self, result: Result) -> None:
        if not self._quiet:
            self._write(f"{transfer_text(result)}, {verification_text(result.verification)}")

    def failed(self, error: FastgetError, url: str | None, code: ExitCode) -> None:  # noqa: ARG002  for JSON
        self._write(*failure_lines(error, url, verbose=self._verbose))

    def failed_among(self, error: FastgetError, url: str, code: ExitCode, *, is_named: bool) -> None:
        if is_named:
            self.failed(error, url, code)

    def note(self, text: str) -> None:
        if not self._quiet:
            self._write(text)

    def summarize(self, summary: Summary) -> None:
        if not self._quiet and is_worth_telling(summary):
            self._write(summary_text(summary))

    def close(self) -> None:
        """Nothing is held."""

    def _write(self, *lines: str) -> None:
        sys.stderr.write("\n".join([*lines, ""]))


def choose_reporter(*, as_json: bool, quiet: bool, verbose: bool, fills_stdout: bool) -> Reporter:
    """The reporter that fits: JSON where it was asked for, a bar on a terminal, else lines.

    `fills_stdout` says that the object goes to standard output: on a terminal a bar would be drawn into it.
    """
    hear_warnings(quiet=quiet)
    if as_json:
        from fastget.cli.json_events import JsonReporter

        return JsonReporter(verbose=verbose)
    shares_terminal = fills_stdout and sys.stdout.isatty()
    if quiet or shares_terminal or not can_animate(sys.stderr, os.environ):
        return LineReporter(quiet=quiet, verbose=verbose)
    from fastget.cli.bar import BarReporter

    bar = BarReporter(verbose=verbose)
    hear_warnings(bar.warn)
    return bar
