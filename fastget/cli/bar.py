"""The progress bar of a terminal. It loads rich, as the tables of `bench` and `demo` do, and nothing else does."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import field
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fastget.cli.failures import failure_lines
from fastget.cli.names import STANDARD_OUTPUT
from fastget.cli.quantities import count_text, percent_text, rate_text, seconds_text, share_text, size_text
from fastget.cli.rate import RateWindow
from fastget.cli.terminal import printable
from fastget.cli.wording import (
    Summary,
    is_worth_telling,
    notice,
    pull_text,
    remark,
    summary_text,
    transfer_text,
    verification_text,
)
from fastget.events import Event, Progress, PullProgress, Repaired, Result, Retried, Started
from fastget.records import state

if TYPE_CHECKING:
    from fastget.cli.exit_codes import ExitCode
    from fastget.errors import FastgetError

WIDEST = 100
_NAME_WIDTH = 32
_REFRESH_RATE = 8


class OpenConsole(Console):
    """A console that never hides the cursor: a process that is killed could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        return show and super().show_cursor(show)


@state
class Transfer:
    """What is known of the running transfer: written under a lock, read by the thread that draws."""

    name: str
    started: Started | None = None
    progress: Progress | None = None
    retries: int = 0
    repairs: int = 0
    window: RateWindow = field(default_factory=RateWindow)


class BarReporter:
    """Draws the running transfer in two lines and leaves one line for each finished object."""

    lost: OSError | None = None

    def __init__(self, *, verbose: bool = False, console: Console | None = None) -> None:
        self._console = console or OpenConsole(stderr=True, highlight=False)
        self._verbose = verbose
        self._lock = threading.Lock()
        self._transfer: Transfer | None = None
        self._pull: PullProgress | None = None
        self._pull_window = RateWindow()
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            transient=True,
            refresh_per_second=_REFRESH_RATE,
            redirect_stdout=False,
            # Whatever another library writes there stands above the bar.
            redirect_stderr=True,
        )
        self._live.start()

    def begin(self, path: str) -> None:
        with self._lock:
            self._transfer = Transfer(shown_name(path))

    def handle(self, event: Event) -> None:
        with self._lock:
            self._take(event)
        line = notice(event) or (remark(event) if self._verbose else None)
        if line is not None:
            self._print(Text(line, style="dim"))

    def finished(self, result: Result) -> None:
        self._forget()
        style = "green" if result.verification.verified else "yellow"
        self._print(
            Text.assemble(transfer_text(result), ", ", (verification_text(result.verification), style)),
        )

    def failed(self, error: FastgetError, url: str | None, code: ExitCode) -> None:  # noqa: ARG002  for JSON
        self._forget()
        first, *others = failure_lines(error, url, verbose=self._verbose)
        self._print(Text(first, style="red"))
        for line in others:
            self._print(Text(line))

    def failed_among(self, error: FastgetError, url: str, code: ExitCode, *, is_named: bool) -> None:
        if is_named:
            self.failed(error, url, code)

    def warn(self, line: str) -> None:
        """A warning, safe to print; from any thread."""
        self._print(Text(line, style="yellow"))

    def note(self, text: str) -> None:
        self._forget()
        self._print(Text(text))

    def summarize(self, summary: Summary) -> None:
        if is_worth_telling(summary):
            self._print(Text(summary_text(summary)))

    def close(self) -> None:
        self._pull = None
        self._forget()
        self._live.stop()

    def _take(self, event: Event) -> None:
        match event:
            case Started():
                retries = self._transfer.retries if self._transfer is not None else 0
                self._transfer = Transfer(shown_name(event.path or ""), started=event, retries=retries)
            case Progress() if self._transfer is not None:
                self._transfer.progress = event
                self._transfer.window.add(time.monotonic(), event.received)
            case PullProgress():
                self._pull = event
                self._pull_window.add(time.monotonic(), event.received)
            case Retried() if self._transfer is not None:
                self._transfer.retries += 1
            case Repaired() if self._transfer is not None:
                self._transfer.repairs += 1
            case _:
                pass

    def _forget(self) -> None:
        with self._lock:
            self._transfer = None
        if self._live.is_started:
            self._live.refresh()  # or the next line would bring the old picture back for a moment

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)

    def _draw(self) -> RenderableType:
        transfer, pull = self._transfer, self._pull
        if pull is not None:
            return Text(pull_line(pull, self._pull_window.rate(time.monotonic()), self._console.width))
        if transfer is None:
            return Text()
        return picture(transfer, time.monotonic(), self._console.width)


def shown_name(path: str) -> str:
    """What stands before the bar: the file's own name."""
    if path in ("", STANDARD_OUTPUT):
        return "standard output"
    return printable(os.path.basename(path))  # noqa: PTH119


def pull_line(pull: PullProgress, rate: float | None, width: int) -> str:
    """The one line of a running pull."""
    facts = [pull_text(pull), *([rate_text(rate)] if rate is not None else ()), count_text(pull.jobs, "job")]
    return fitting(", ".join(facts), width)


def fitting(line: str, width: int) -> str:
    """As many of the line's facts as a terminal of this width has room for, and for the ^C that it echoes behind them.

    A line that is full to its end would go on in the next one with that, and the picture could not be taken back.
    """
    room = max(width - len("^C"), 1)
    while len(line) > room and ", " in line:
        line = line.rpartition(", ")[0]
    return line[:room]


def picture(transfer: Transfer, now: float, width: int) -> RenderableType:
    """The two lines of a running transfer: name, bar and share, and below them the numbers."""
    started, progress = transfer.started, transfer.progress
    size = started.size if started is not None else None
    landed = progress.landed if progress is not None else 0
    table = Table.grid(padding=(0, 1, 0, 0))
    table.width = min(width, WIDEST)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=min(_NAME_WIDTH, width * 2 // 5))
    table.add_column(ratio=1)
    table.add_column(justify="right", width=4)
    share = "" if size is None else percent_text(landed / size if size else 1.0)
    bar = ProgressBar(
        total=size or None,
        completed=landed,
        pulse=size is None,
        complete_style="cyan",
        finished_style="green",
    )
    table.add_row(Text(transfer.name, style="bold"), bar, share)
    numbers = Text(fitting(f"  {', '.join(_numbers(transfer, now))}", width), style="dim")
    return Group(table, numbers)


def _numbers(transfer: Transfer, now: float) -> list[str]:
    progress, size = transfer.progress, transfer.started.size if transfer.started is not None else None
    retries = [count_text(transfer.retries, "retry", "retries")] if transfer.retries else []
    if progress is None:
        return ["connecting", *retries]
    shown = [size_text(progress.landed) if size is None else share_text(progress.landed, size)]
    rate = transfer.window.rate(now)
    if rate is not None:
        shown.append(rate_text(rate))
    if rate and size is not None and size > progress.landed:
        shown.append(f"{seconds_text((size - progress.landed) / rate)} left")
    shown.append(count_text(progress.connections, "connection"))
    if progress.verified and size:
        shown.append(f"{percent_text(progress.verified / size)} verified")
    shown.extend(retries)
    if transfer.repairs:
        shown.append(count_text(transfer.repairs, "repair"))
    return shown
