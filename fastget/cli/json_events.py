"""`--json`: the events of a transfer as NDJSON on standard output, one object a line.

Each line is `{"v": 1, "event": NAME, ...}`: started, progress, retried, repaired, resumed, restarted,
unchanged, kept and pullprogress as in `fastget.events`,
then done (the fields of `Result`) or failed (url, error, message, hint, exit_code, reply) for each URL, and a
summary at the end.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastget.cli.failures import failure_fields, failure_lines
from fastget.cli.signals import interrupt_main_thread
from fastget.cli.streams import OutputLost, write_output
from fastget.events import Done, Event, Failed, Result

if TYPE_CHECKING:
    from fastget.cli.exit_codes import ExitCode
    from fastget.cli.wording import Summary
    from fastget.errors import FastgetError

VERSION = 1


class JsonReporter:
    """Writes every event as a line; what became of an object, as its call said, exactly once."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self.lost: OSError | None = None
        self._lock = threading.Lock()

    def begin(self, path: str) -> None:
        """Of an object that is asked for nothing is known yet."""

    def handle(self, event: Event) -> None:
        """From any thread."""
        if not isinstance(event, Done | Failed):
            self._tell(type(event).__name__.lower(), asdict(event))

    def _tell(self, name: str, fields: dict[str, Any]) -> None:
        """Within a handler of events: what goes wrong there is not raised, and stops the transfer from outside."""
        if self.lost is not None:
            return
        try:
            write_line(name, fields)
        except (BrokenPipeError, OutputLost) as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        """Several threads may find out at once, and a second interrupt would end the process where it stands."""
        with self._lock:
            is_first = self.lost is None
            self.lost = self.lost or error
        if is_first:
            interrupt_main_thread()

    def finished(self, result: Result) -> None:
        """A pull calls it from its handler."""
        self._tell("done", result.as_dict())

    def failed(self, error: FastgetError, url: str | None, code: ExitCode) -> None:
        """People read standard error as well, so the error is there too."""
        self._name(error, url)
        if self.lost is None:
            write_line("failed", {"url": url, **failure_fields(error, code)})

    def failed_among(self, error: FastgetError, url: str, code: ExitCode, *, is_named: bool) -> None:
        """A program hears of all of them."""
        if is_named:
            self._name(error, url)
        self._tell("failed", {"url": url, **failure_fields(error, code)})

    def _name(self, error: FastgetError, url: str | None) -> None:
        sys.stderr.write("\n".join([*failure_lines(error, url, verbose=self._verbose), ""]))

    def note(self, text: str) -> None:
        """Everything that a program reads is an event."""

    def summarize(self, summary: Summary) -> None:
        if self.lost is None:
            told = {name: value for name, value in asdict(summary).items() if value is not None}
            told.pop("is_cut_short")
            write_line("summary", told)

    def close(self) -> None:
        """Nothing is held."""


def write_line(event: str, fields: dict[str, Any]) -> None:
    """One whole line, from any thread. Raises BrokenPipeError and OutputLost."""
    line = json.dumps({"v": VERSION, "event": event, **fields}, separators=(",", ":"))
    write_output(line.encode("ascii") + b"\n")
