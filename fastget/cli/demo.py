"""`fastget demo`: fastget at work against a server of its own, or on a URL, beside one plain stream."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from fastget.cli import exit_codes
from fastget.cli.exit_codes import ExitCode
from fastget.cli.names import destinations, display_url
from fastget.cli.options import Verb, read_config, request_flags
from fastget.cli.plain_stream import NAME, PlainStream, measure
from fastget.cli.progress import Reporter, choose_reporter
from fastget.cli.quantities import count_text, rate_text, seconds_text, size_text
from fastget.cli.signals import Interrupted
from fastget.cli.wording import algorithm_text
from fastget.errors import Cancelled, ConfigError, FastgetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.cli.demo_table import Shown
    from fastget.client import Client
    from fastget.testing.process import ServedObject

_HELP = """Show fastget at work, beside what one plain stream reaches.

Without a URL, a server on this machine plays an object store and damages one part on its way; the files
go to a temporary directory and are removed. With a URL, that is downloaded into the current directory.

\b
Examples:
  1. See it without a network, in about 15 seconds
     fastget demo
  2. See it on an object of your own
     fastget demo https://example.com/data/model.bin
"""
_INTRODUCTION = """\
A server on this machine plays an object store: a connection to it carries at
most 25 MB/s. It has two objects that were uploaded in parts, and flips one bit
of the first one on its way.
"""
_NOTE = "The files were temporary, so they were not flushed to disk."
_KINDS = {"COMPOSITE": "{} of each of {}", "FULL_OBJECT": "{} of the whole, {}"}


def demo(url: str | None, **options: Any) -> int:
    """Run the verb; the exit status."""
    reporter = choose_reporter(as_json=False, quiet=False, verbose=False, fills_stdout=False)
    try:
        return _Demonstration(reporter, options).run(url)
    except Interrupted as stop:
        code = exit_codes.of_signal(stop.signal_number)
        reporter.failed(Cancelled("interrupted"), None, code)
        return code
    except FastgetError as error:
        code = exit_codes.of_error(error)
        reporter.failed(error, display_url(url) if url else None, code)
        return code
    finally:
        reporter.close()


class _Demonstration:
    """One run: its reporter, its options, and the downloads that go into the table."""

    def __init__(self, reporter: Reporter, options: dict[str, Any]) -> None:
        self._reporter = reporter
        self._options = options
        self._shown: list[Shown] = []

    def run(self, url: str | None) -> ExitCode:
        from fastget.client import Client

        if url is not None:
            path = _path_for(url)
            with Client(read_config(self._options)) as client:
                self._download(client, url, path, self._measure(client, url))
            self._conclude()
            return ExitCode.DONE
        # Straight to this machine, whatever proxy the network has; the files last for seconds, so no flush.
        sys.stdout.write(f"{_INTRODUCTION}\n")
        sys.stdout.flush()
        with Client(read_config({**self._options, "proxy": "", "fsync": False})) as client:
            self._download_served(client)
        self._conclude(_NOTE)
        return ExitCode.DONE

    def _download_served(self, client: Client) -> None:
        from fastget.testing.process import spawn_demo_server

        with ExitStack() as stack:
            try:
                server = stack.enter_context(spawn_demo_server())
            except (RuntimeError, OSError) as error:
                raise FastgetError(str(error), hint="see what python -m fastget.testing --objects demo says") from error
            folder = stack.enter_context(TemporaryDirectory(prefix="fastget-demo-"))
            # The last one, because the damage in the first must not happen before its time.
            plain = self._measure(client, server.objects[-1].url)
            for served in server.objects:
                path = Path(folder, Path(served.path).name)
                self._download(client, served.url, str(path), plain, _declared(served))
                path.unlink()

    def _measure(self, client: Client, url: str) -> PlainStream | None:
        plain = measure(client, url, self._reporter.handle)
        if plain is not None:
            size, seconds = size_text(plain.size), seconds_text(plain.seconds)
            end = "" if plain.is_whole else ", then stopped"
            self._reporter.note(f"{NAME}: {size} in {seconds}, {rate_text(plain.rate)}{end}")
        return plain

    def _download(
        self, client: Client, url: str, path: str, plain: PlainStream | None, checksum: str | None = None
    ) -> None:
        from fastget.cli.demo_table import Shown

        result = client.download(url, path, on_event=self._reporter.handle)
        name = Path(path).name
        self._reporter.note(f"{name}: {size_text(result.size)} in {seconds_text(result.seconds)}")
        self._shown.append(Shown(name, result, plain, checksum))

    def _conclude(self, note: str | None = None) -> None:
        self._reporter.close()
        show(self._shown, note)


def show(downloads: Sequence[Shown], note: str | None) -> None:
    """Print the table and the sentence below it to standard output."""
    from rich.text import Text

    from fastget.cli.demo_table import conclusion, explanation, table
    from fastget.cli.output_console import OutputConsole

    console = OutputConsole(highlight=False)
    console.print()
    console.print(table(downloads))
    console.print()
    sentence = conclusion(downloads)
    if sentence is not None:
        console.print(Text(sentence, style="bold"))
    for line in (explanation(downloads[0].plain), note):
        if line is not None:
            console.print(Text(line, style="dim"))


def _declared(served: ServedObject) -> str | None:
    if served.checksum is None or served.checksum_type is None:
        return None
    return _KINDS[served.checksum_type].format(algorithm_text(served.checksum), count_text(served.parts, "part"))


def _path_for(url: str) -> str:
    """The file in the current directory: no flag of this verb names another. Raises ConfigError."""
    try:
        return destinations([url], None, None)[0]
    except ConfigError as error:
        if "-o FILE" in (error.hint or ""):
            error.hint = "give the whole URL of an object, one that ends in the name of a file"
        raise


command = Verb(
    "demo",
    callback=demo,
    help=_HELP,
    short_help="Show fastget at work, beside one plain stream.",
    params=[click.Argument(["url"], required=False), *request_flags()],
)
