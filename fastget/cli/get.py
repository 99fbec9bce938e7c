"""`fastget get`: objects to files, or one object to standard output."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from fastget.cli import exit_codes
from fastget.cli.exit_codes import ExitCode
from fastget.cli.names import destinations, display_url, is_standard_output
from fastget.cli.options import (
    Flag,
    Verb,
    object_flags,
    output_flags,
    read_config,
)
from fastget.cli.progress import Reporter, choose_reporter
from fastget.cli.signals import Interrupted
from fastget.cli.wording import Summary
from fastget.errors import Cancelled, FastgetError
from fastget.events import KEPT_HINT, Kept, Started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.client import Client
    from fastget.events import Event

_HELP = """Download URLs to files, checked against the store's own checksums.

A URL is http://, https://, s3://BUCKET/KEY or cos://BUCKET/KEY. The file is named after the last part of
the URL, and appears under its name only when it is complete and checked.

\b
Examples:
  1. Download into the current directory
     fastget https://example.com/data/model.bin
  2. Choose the file, or the directory of several
     fastget get s3://bucket/model.bin -o /data/model.bin
     fastget get https://example.com/a.bin https://example.com/b.bin -d /data
  3. Insist on a digest
     fastget get https://example.com/disk.iso --checksum sha-256=HEX
  4. Into a pipe, from a public bucket
     fastget get s3://bucket/data.tar -o - --no-sign-request | tar x
  5. For a program: one JSON object a line, on standard output
     fastget get https://example.com/data.bin --json
"""


def get(
    urls: Sequence[str],
    output: str | None,
    directory: str | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run the verb; the exit status."""
    fills_stdout = is_standard_output(output)
    if as_json and fills_stdout:
        raise click.UsageError(f"--json and -o {output} both write to standard output")
    reporter = choose_reporter(as_json=as_json, quiet=quiet, verbose=verbose, fills_stdout=fills_stdout)
    try:
        return Downloads(urls, reporter).run(output, directory, options)
    finally:
        reporter.close()


class Downloads:
    """The objects of one command, fetched one after the other: each of them takes the whole machine."""

    def __init__(self, urls: Sequence[str], reporter: Reporter) -> None:
        self._urls = urls
        self._reporter = reporter
        self._codes: list[ExitCode] = []
        self._size = 0
        self._url: str | None = None
        self._is_kept = False

    def run(self, output: str | None, directory: str | None, options: dict[str, Any]) -> ExitCode:
        """Fetch them all and say what came of it."""
        began = time.monotonic()
        code = self._guarded(output, directory, options)
        failed = sum(each is not ExitCode.DONE for each in self._codes)
        self._reporter.summarize(Summary(len(self._codes) - failed, failed, self._size, time.monotonic() - began, code))
        return code

    def _guarded(self, output: str | None, directory: str | None, options: dict[str, Any]) -> ExitCode:
        """Turn everything that ends the command early into an exit status."""
        try:
            self._fetch_all(output, directory, options)
        except Interrupted as stop:
            if self._reporter.lost is not None:
                raise self._reporter.lost from None
            code = exit_codes.of_signal(stop.signal_number)
            self._fail(Cancelled("interrupted", hint=KEPT_HINT if self._is_kept else None), code)
            return code
        except BrokenPipeError:
            return ExitCode.BROKEN_PIPE
        except FastgetError as error:
            # Before the first object: flags, variables, or the directory.
            self._fail(error, exit_codes.of_error(error))
            return exit_codes.of_error(error)
        return exit_codes.of_outcomes(self._codes)

    def _fetch_all(self, output: str | None, directory: str | None, options: dict[str, Any]) -> None:
        config = read_config(options, self._handle)
        paths = destinations(self._urls, output, directory)
        from fastget.client import Client

        with Client(config) as client:
            for url, path in zip(self._urls, paths, strict=True):
                self._url = display_url(url)
                self._reporter.begin(path)
                self._fetch(client, url, path)

    def _handle(self, event: Event) -> None:
        self._is_kept = isinstance(event, Kept) or (self._is_kept and not isinstance(event, Started))
        self._reporter.handle(event)

    def _fetch(self, client: Client, url: str, path: str) -> None:
        try:
            result = client.download(url, path)
        except FastgetError as error:
            code = exit_codes.of_error(error)
            if code is ExitCode.BROKEN_PIPE:
                raise BrokenPipeError from error
            self._fail(error, code)
        else:
            self._size += result.size
            self._codes.append(ExitCode.DONE)
            self._reporter.finished(result)

    def _fail(self, error: FastgetError, code: ExitCode) -> None:
        self._codes.append(code)
        self._reporter.failed(error, self._url or error.url, code)


command = Verb(
    "get",
    callback=get,
    help=_HELP,
    short_help="Download URLs to files, verified.",
    params=[
        click.Argument(["urls"], metavar="URL...", nargs=-1, required=True),
        Flag(
            ["-o", "--output"],
            section="Files",
            metavar="FILE",
            help="file to write; - is standard output",
        ),
        Flag(
            ["-d", "--dir", "directory"],
            section="Files",
            metavar="DIR",
            help="directory for the files; it is made where it is missing (default: the current one)",
        ),
        *object_flags(),
        *output_flags(),
    ],
)
