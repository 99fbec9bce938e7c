"""`fastget pull`: many objects into a directory, from a list or from a prefix."""

from __future__ import annotations

import time
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

import click

from fastget import cli
from fastget.cli import exit_codes
from fastget.cli.exit_codes import ExitCode
from fastget.cli.names import display_url
from fastget.cli.options import Flag, Verb, output_flags, pull_flags, read_config
from fastget.cli.progress import Reporter, choose_reporter
from fastget.cli.signals import Interrupted
from fastget.cli.wording import Summary
from fastget.errors import Cancelled, FastgetError, InvalidURL
from fastget.events import Done, Failed, Unchanged

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from fastget.bulk.outcome import PullResult
    from fastget.client import Client
    from fastget.config import Config
    from fastget.events import Event

_HELP = """Fetch many objects into a directory, side by side, each checked against the store's own checksums.

What is fetched is all keys that begin with s3://BUCKET/PREFIX, or a list of URLs. A key becomes the path that
follows the last slash of the prefix, a URL of a list the file of its last part. What is here already, and the
same, is skipped; so the same command goes on after an interruption.

\b
Examples:
  1. Everything below a prefix
     fastget pull s3://bucket/images/ -d images
  2. A list of URLs, one a line; below each, indented: out=NAME
     fastget pull -i urls.txt -d files
  3. A list from a pipe
     grep -h 2026 lists/*.txt | fastget pull -i - -d logs
"""
# So many failures are told one by one.
MOST_TOLD = 100


def pull(
    prefix: str | None,
    list_file: str | None,
    directory: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run the verb; the exit status."""
    if (prefix is None) == (list_file is None):
        not_both = ", and not both" if prefix is not None else ""
        raise click.UsageError(f"give a prefix, s3://BUCKET/PREFIX, or a list with -i FILE{not_both}")
    with ExitStack() as held:
        stop: Interrupted | None = None
        try:
            held.enter_context(_second_process(options))  # before the reporter, which may have a thread
        except Interrupted as early:
            stop = early
        reporter = choose_reporter(as_json=as_json, quiet=quiet, verbose=verbose, fills_stdout=False)
        held.callback(reporter.close)
        command = _Command(reporter, shows_each=verbose or as_json)
        return command.run(prefix, list_file, directory, options) if stop is None else command.end(stop)


def _second_process(options: dict[str, Any]) -> AbstractContextManager[None]:
    """A process that stands by to share the pull, where it might; it has what is loaded here."""
    if not cli.owns_process:
        return nullcontext()
    import fastget.bulk.means
    import fastget.bulk.pull
    import fastget.client  # noqa: F401
    from fastget.bulk.processes.alone import CHILD, processes_for
    from fastget.engine.children.launch import can_launch
    from fastget.engine.children.standby import standing_by
    from fastget.engine.threads import usable_cores

    try:
        config = read_config(options)
    except FastgetError:
        return nullcontext()  # whoever reads them next says why
    is_wanted = processes_for(config, usable_cores()) > 1 and can_launch()
    return standing_by(CHILD) if is_wanted else nullcontext()


class _Command:
    """One pull, told to a reporter."""

    def __init__(self, reporter: Reporter, *, shows_each: bool) -> None:
        self._reporter = reporter
        self._shows_each = shows_each
        self._began = time.monotonic()
        self._done = self._size = self._skipped = self._unverified = self._failed = 0

    def run(self, prefix: str | None, list_file: str | None, directory: str, options: dict[str, Any]) -> ExitCode:
        """Fetch everything and say what came of it."""
        try:
            config = read_config(options, self._handle)
            result = self._fetch(config, prefix, list_file, directory)
        except Interrupted as stop:
            return self.end(stop)
        except BrokenPipeError:
            return ExitCode.BROKEN_PIPE
        except FastgetError as error:
            code = exit_codes.of_error(error)
            self._reporter.failed(error, display_url(prefix) if prefix else None, code)
            return self._break_off(code)
        self._tell_further_failures()
        code = ExitCode.FAILED if result.failed else ExitCode.DONE
        if prefix is not None and not result.done + result.failed:
            self._reporter.note(f"fastget: no key begins with {display_url(prefix)}")
        unverified = result.done - result.verified
        self._reporter.summarize(
            Summary(result.done, result.failed, result.size, result.seconds, code, result.skipped, unverified)
        )
        return code

    def end(self, stop: Interrupted) -> ExitCode:
        """Say that a signal has ended it."""
        if self._reporter.lost is not None:
            raise self._reporter.lost from None
        code = exit_codes.of_signal(stop.signal_number)
        hint = "the same command skips what is here and goes on"
        self._reporter.failed(Cancelled("interrupted", hint=hint), None, code)
        return self._break_off(code)

    def _fetch(self, config: Config, prefix: str | None, list_file: str | None, directory: str) -> PullResult:
        from fastget.client import Client

        with Client(config) as client:
            if prefix is not None:
                return _pull_prefix(client, prefix, directory)
            from fastget.bulk.items import from_lines
            from fastget.cli.list_file import lines_of

            return client.pull(from_lines(lines_of(list_file or "")), directory)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Done):
            self._done += 1
            self._size += event.result.size
            self._skipped += event.result.was_here
            self._unverified += not event.result.verification.verified
            if self._shows_each:
                self._reporter.finished(event.result)
        elif isinstance(event, Failed):
            self._failed += 1
            if isinstance(error := event.cause, FastgetError):
                is_named = self._failed <= MOST_TOLD
                self._reporter.failed_among(error, event.url, exit_codes.of_error(error), is_named=is_named)
        elif not isinstance(event, Unchanged):
            self._reporter.handle(event)

    def _tell_further_failures(self) -> None:
        if self._failed > MOST_TOLD:
            self._reporter.note(f"fastget: {self._failed - MOST_TOLD} more objects failed")

    def _break_off(self, code: ExitCode) -> ExitCode:
        self._tell_further_failures()
        seconds = time.monotonic() - self._began
        counts = (self._done, self._failed + 1, self._size, seconds, code, self._skipped, self._unverified)
        self._reporter.summarize(Summary(*counts, is_cut_short=True))
        return code


def _pull_prefix(client: Client, prefix: str, directory: str) -> PullResult:
    try:
        return client.pull(prefix, directory)
    except InvalidURL as error:
        if prefix and ":" not in prefix:  # plainly none, but the name of a list perhaps
            error.hint = "write it as s3://BUCKET/PREFIX; a list of URLs is given by -i FILE"
        raise


command = Verb(
    "pull",
    callback=pull,
    help=_HELP,
    short_help="Fetch many objects into a directory.",
    params=[
        click.Argument(["prefix"], metavar="[s3://BUCKET/PREFIX]", required=False),
        Flag(
            ["-i", "--input-file", "list_file"],
            section="Files",
            metavar="FILE",
            help="list of URLs, one a line; - is standard input",
        ),
        Flag(
            ["-d", "--dir", "directory"],
            section="Files",
            metavar="DIR",
            required=True,
            help="directory for the files; it is made where it is missing",
        ),
        *pull_flags(),
        *output_flags(),
    ],
)
