"""`fastget bench`: what limits a link, found by measuring it."""

from __future__ import annotations

import math
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fastget.cli import exit_codes
from fastget.cli.bench_wording import Findings, advice, headline, reasons
from fastget.cli.exit_codes import ExitCode
from fastget.cli.failures import failure_fields, failure_lines
from fastget.cli.json_events import write_line
from fastget.cli.names import display_url
from fastget.cli.options import (
    Flag,
    Verb,
    output_flags,
    read_config,
    read_size,
    request_flags,
)
from fastget.cli.quantities import count_text, rate_text, size_text
from fastget.cli.signals import Interrupted
from fastget.cli.terminal import can_animate, printable
from fastget.errors import Cancelled, FastgetError

if TYPE_CHECKING:
    from fastget.client import Client
    from fastget.config import Config
    from fastget.core.bottleneck import Cell, Window
    from fastget.core.sweep import Setting
    from fastget.engine.bench.link import Bench, Bounds, Finding

_HELP = """Find out what limits a link: server, network, connections, TLS, processor or disk.

Ranges of the object are fetched and thrown away, over one connection, two, four and so on, until more bring
nothing; then in pieces of other sizes. It takes about half a minute and fetches at most 4 GiB. An object of a
hundred MiB or more says most. Nothing is written, but for a temporary file where -o or -d names a directory.

\b
Examples:
  1. What limits downloads from here?
     fastget bench https://example.com/data/model.bin
  2. The same with the disk that the file would go to
     fastget bench s3://bucket/model.bin -d data
  3. Closer, between two numbers of connections
     fastget bench s3://bucket/model.bin -x 8,12,16 -k 16M --seconds 3
"""
_DEFAULT_COUNTS, _DEFAULT_SIZES = "1,2,4,8,16,32,64", "1M,8M,32M"
_MOST_CONNECTIONS = 256
_MOST_VALUES = 16
_LONGEST = 60.0
_LEAST_BYTES = 16 * 1024 * 1024


def bench(
    url: str,
    counts: tuple[int, ...],
    sizes: tuple[int, ...],
    seconds: float,
    most_bytes: int,
    output: str | None,
    directory: str | None,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run the verb; the exit status."""
    from fastget.engine.bench.link import Bounds

    if output is not None and directory is not None:
        raise click.UsageError("-o and -d contradict each other: give one of them")
    bounds = Bounds(
        counts=counts,
        sizes=sizes,
        seconds=seconds,
        most_bytes=most_bytes,
        directory=_directory(output) if directory is None else directory,
    )
    listener = _Listener(as_json=as_json, verbose=verbose)
    command = _Command(listener, bounds)
    try:
        return command.run(url, options)
    except Interrupted as stop:
        listener.clear()
        code = exit_codes.of_signal(stop.signal_number)
        command.conclude(is_complete=False)
        return _failed(Cancelled("interrupted"), None, code, verbose=verbose, as_json=as_json)
    except FastgetError as error:
        listener.clear()
        command.conclude(is_complete=False)
        code = exit_codes.of_error(error)
        return _failed(error, display_url(url), code, verbose=verbose, as_json=as_json)


class _Command:
    """One measurement, and what came of it so far."""

    def __init__(self, listener: _Listener, bounds: Bounds) -> None:
        self._listener = listener
        self._bounds = bounds
        self._bench: Bench | None = None
        self._limit_rate: int | None = None

    def run(self, url: str, options: dict[str, Any]) -> ExitCode:
        from fastget.client import Client

        config = read_config({**options, "checksum": None})
        with Client(config) as client:
            self._measure(client, config, url)
        self._listener.clear()
        self.conclude(is_complete=True)
        return ExitCode.DONE

    def _measure(self, client: Client, config: Config, url: str) -> None:
        from fastget.engine.bench.link import Bench
        from fastget.engine.cancellation import Cancellation
        from fastget.sources.resolve import resolve

        config = client.settled(url, config)
        self._limit_rate = config.limit_rate
        with client.lend(config) as (pool, endpoints):
            source = resolve(url, config, endpoints)
            listener = self._listener
            self._bench = Bench(
                source, config, pool, Cancellation(), self._bounds, listener.announce, listener.measured
            )
            self._bench.run()

    def conclude(self, *, is_complete: bool) -> None:
        """Show what was found, if anything was."""
        bench = self._bench
        if bench is None or not bench.windows:
            return
        facts = bench.facts
        found = Findings(
            verdict=bench.verdict,
            cells=facts.cells,
            cores=facts.cores,
            way=bench.way,
            digesting=bench.digesting,
            disk_rate=facts.disk_rate,
            itself=bench.itself,
            limit_rate=self._limit_rate,
            is_complete=is_complete,
        )
        if self._listener.as_json:
            write_line("verdict", _verdict_fields(found))
            return
        from fastget.cli.bench_table import show

        show(found)
        sys.stdout.flush()


class _Listener:
    """Tells what is going on: lines of JSON, or a line on a terminal that takes itself back."""

    def __init__(self, *, as_json: bool, verbose: bool) -> None:
        self.as_json = as_json
        self._verbose = verbose
        self._moves = not as_json and can_animate(sys.stderr, os.environ)

    def announce(self, setting: Setting | None) -> None:
        if setting is None:
            self._show("measuring what fastget does by itself")
            return
        connections = count_text(setting.connections, "connection")
        self._show(f"measuring {connections}, pieces of {size_text(setting.part_size)}")

    def measured(self, found: Finding) -> None:
        from fastget.core.bottleneck import Window
        from fastget.engine.bench.link import Way

        if isinstance(found, Window):
            self._tell_window(found)
        elif self.as_json and isinstance(found, Way):
            handshake = {} if found.handshake is None else asdict(found.handshake)
            write_line("way", {"url": found.info.url, "size": found.size, "server": found.server, **handshake})
        elif self.as_json:
            write_line(type(found).__name__.lower(), found._asdict())

    def clear(self) -> None:
        """Take the moving line back."""
        if self._moves:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _tell_window(self, window: Window) -> None:
        if self.as_json:
            fields = {name: value for name, value in asdict(window).items() if name not in ("first_bytes", "flows")}
            waits = sorted(window.first_bytes)
            shown = {
                "answers": len(waits),
                "first_byte": _quantile(waits, 0.5),
                "first_byte_p95": _quantile(waits, 0.95),
            }
            write_line("measured", {**fields, **shown, "flows": window.flows, "rate": window.rate})
        elif self._verbose:
            self.clear()
            connections, size = count_text(window.connections, "connection"), size_text(window.part_size)
            sys.stderr.write(f"{connections}, pieces of {size}: {rate_text(window.rate)}\n")

    def _show(self, text: str) -> None:
        if self._moves:
            # A line that wraps could not be taken back.
            room = max(shutil.get_terminal_size().columns - 3, 0)
            sys.stderr.write(f"\r\x1b[K{printable(text)[:room]} …")
            sys.stderr.flush()


def read_counts(text: str) -> tuple[int, ...]:
    """Numbers of connections, as 1,4,16. Raises BadParameter."""
    values = text.split(",")
    if not all(value.strip().isascii() and value.strip().isdigit() and len(value) <= 6 for value in values):
        raise click.BadParameter(f"{text!r} is no list of numbers: write it as 1,4,16")
    counts = tuple(int(value) for value in values)
    if not all(1 <= count <= _MOST_CONNECTIONS for count in counts):
        raise click.BadParameter(f"connections can be 1 to {_MOST_CONNECTIONS}")
    return _few(counts)


def read_sizes(text: str) -> tuple[int, ...]:
    """Sizes of pieces, as 1M,8M. Raises BadParameter."""
    sizes = tuple(read_size(value) for value in text.split(","))
    if not all(size >= 1024 for size in sizes):
        raise click.BadParameter("a piece has 1K at least")
    return _few(sizes)


class _Seconds(click.FloatRange):
    """A span of time within bounds; NaN, which compares with nothing, is outside of them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


def _few(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(values) > _MOST_VALUES:
        raise click.BadParameter(f"give at most {_MOST_VALUES} values")
    return values


def read_most(text: str) -> int:
    """The bound on all bytes. Raises BadParameter."""
    size = read_size(text)
    if size < _LEAST_BYTES:
        raise click.BadParameter("less than 16M says nothing")
    return size


def _directory(output: str | None) -> str | None:
    """The directory that a file would be written to; a directory may be named itself."""
    if output is None:
        return None
    path = Path(output)
    return str(path if path.is_dir() else path.parent)


def _quantile(values: list[float], share: float) -> float | None:
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


def _cell_fields(cell: Cell) -> dict[str, Any]:
    names = ("connections", "part_size", "rate", "spread", "first_byte", "waiting", "refused", "failed", "cores")
    return {name: getattr(cell, name) for name in names}


def _verdict_fields(found: Findings) -> dict[str, Any]:
    verdict = found.verdict
    return {
        "limit": verdict.limit,
        "also": verdict.also,
        "text": headline(found),
        "reasons": list(reasons(found)),
        "advice": list(advice(found)),
        "best": None if verdict.best is None else _cell_fields(verdict.best),
        "cells": [_cell_fields(cell) for cell in found.cells],
        "growth": verdict.growth,
        "busy": verdict.busy,
        "refused": verdict.refused,
        "cores": found.cores,
        "disk_rate": found.disk_rate,
        "itself": None if found.itself is None else found.itself._asdict(),
        "is_complete": found.is_complete,
    }


def _failed(error: FastgetError, url: str | None, code: ExitCode, *, verbose: bool, as_json: bool) -> ExitCode:
    sys.stderr.write("\n".join([*failure_lines(error, url, verbose=verbose), ""]))
    if as_json:
        write_line("failed", {"url": url, **failure_fields(error, code)})
    return code


def _flag(names: list[str], meaning: str, **settings: Any) -> Flag:
    return Flag(names, section="Measurement", help=meaning, **settings)


command = Verb(
    "bench",
    callback=bench,
    help=_HELP,
    short_help="Find out what limits a link.",
    params=[
        click.Argument(["url"]),
        _flag(
            ["-x", "--connections", "counts"],
            f"numbers of connections to try (default: {_DEFAULT_COUNTS})",
            type=read_counts,
            default=_DEFAULT_COUNTS,
            metavar="LIST",
        ),
        _flag(
            ["-k", "--part-size", "sizes"],
            f"sizes of pieces to try (default: {_DEFAULT_SIZES})",
            type=read_sizes,
            default=_DEFAULT_SIZES,
            metavar="LIST",
        ),
        _flag(
            ["--seconds"],
            "time for one measurement of 10 to 20 (default: 1)",
            type=_Seconds(0.1, _LONGEST),
            default=1.0,
            metavar="SECONDS",
        ),
        _flag(
            ["--max-bytes", "most_bytes"],
            "most that is fetched in all (default: 4G)",
            type=read_most,
            default="4G",
            metavar="SIZE",
        ),
        _flag(["-o", "--output"], "measure the disk of this file or directory as well", metavar="PATH", default=None),
        _flag(["-d", "--dir", "directory"], "measure the disk of this directory as well", metavar="DIR", default=None),
        *request_flags(),
        *output_flags(quiet=False),
    ],
)
