"""What the demonstration came to, as a table: one column an object."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from fastget.cli.quantities import rate_text, seconds_text, size_text
from fastget.cli.terminal import printable
from fastget.cli.wording import verification_text
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.cli.plain_stream import PlainStream
    from fastget.events import Result


@record
class Shown:
    """A download in the table. `checksum` is what its store declares, where the demonstration knows it."""

    name: str
    result: Result
    plain: PlainStream | None
    checksum: str | None = None


def table(downloads: Sequence[Shown]) -> Table:
    """The facts of the downloads, a row each."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column("")
    for download in downloads:
        shown.add_column(printable(download.name), header_style="bold", overflow="fold")
    rows: list[tuple[str, list[Text]]] = [
        ("size", [Text(size_text(each.result.size)) for each in downloads]),
        ("checksum", [Text(each.checksum or "") for each in downloads]),
        ("connections", [Text(str(each.result.connections)) for each in downloads]),
        ("time", [Text(seconds_text(each.result.seconds), style="bold") for each in downloads]),
        ("rate", [Text(_rate(each.result), style="bold") for each in downloads]),
        ("one stream", [Text(_plain(each)) for each in downloads]),
        ("damaged parts", [Text(_repairs(each.result)) for each in downloads]),
        ("verified by", [_verified(each.result) for each in downloads]),
    ]
    for label, cells in rows:
        if any(cells):
            shown.add_row(Text(label, style="dim"), *cells)
    return shown


def conclusion(downloads: Sequence[Shown]) -> str | None:
    """The comparison in one sentence, or None where one stream could not be measured."""
    if any(each.plain is None for each in downloads):
        return None
    plain = sum(each.plain.time_for(each.result.size) for each in downloads if each.plain)
    seconds = sum(each.result.seconds for each in downloads)
    times = f"{plain / max(seconds, 1e-9):.1f} times as fast"
    return f"{seconds_text(seconds)} against {seconds_text(plain)} for one plain stream: {times}"


def explanation(plain: PlainStream | None) -> str:
    """What the plain stream was, and how much of its time was measured."""
    text = f"The plain stream is fastget -x 1 into {os.devnull}"
    if plain is None or plain.is_whole:
        return f"{text}."
    return f"{text}, estimated from {seconds_text(plain.seconds)} measured."


def _rate(result: Result) -> str:
    return rate_text(result.size / max(result.seconds, 1e-9))


def _plain(download: Shown) -> str:
    if download.plain is None:
        return "too slow to measure"
    text = f"{seconds_text(download.plain.time_for(download.result.size))} at {rate_text(download.plain.rate)}"
    return text if download.plain.is_whole else f"about {text}"


def _repairs(result: Result) -> str:
    return f"{result.repairs}, found and fetched again" if result.repairs else "none"


def _verified(result: Result) -> Text:
    text = verification_text(result.verification)
    if result.verification.verified:
        return Text(text.removeprefix("verified by "), style="green")
    return Text(text, style="yellow")
