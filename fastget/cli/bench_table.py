"""The cells of a measurement as a table, and what is said below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from fastget.cli.bench_wording import advice, fact_lines, headline, reasons, wait_text
from fastget.cli.output_console import OutputConsole
from fastget.cli.quantities import percent_text, rate_text, size_text
from fastget.cli.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from fastget.cli.bench_wording import Findings
    from fastget.core.bottleneck import Cell

_COLUMNS = ("conn.", "piece", "rate", "±", "", "each", "first byte", "waits")
# What a narrow terminal goes without, in this order.
_EXPENDABLE = ("waits", "", "±", "first byte", "each")
_BAR = 8
_WIDEST = 1000
_LABEL = 12


def show(found: Findings) -> None:
    """Print everything to standard output."""
    console = OutputConsole(highlight=False)
    if found.cells:
        console.print(fitting_table(found, console))
        console.print()
    for label, text in fact_lines(found):
        console.print(Text.assemble((f"{label:<{_LABEL}}", "dim"), printable(text)))
    console.print()
    console.print(_sentences(found))


def _sentences(found: Findings) -> Table:
    """The verdict and what follows from it, beside their labels, wrapped in a column of their own."""
    grid = Table.grid(padding=0)
    grid.add_column(width=_LABEL, style="dim")
    grid.add_column(overflow="fold")
    grid.add_row("limited by", Text(printable(headline(found)), style="bold"))
    for sentence in reasons(found):
        grid.add_row("", Text(printable(sentence), style="dim"))
    for position, sentence in enumerate(advice(found)):
        grid.add_row("" if position else "what to do", Text(printable(sentence)))
    return grid


def fitting_table(found: Findings, console: Console) -> Table:
    """The measurements, with as many columns as the terminal is wide enough for."""
    names = list(_COLUMNS)
    table = _table(found, names)
    wide = console.options.update(width=_WIDEST)
    for name in _EXPENDABLE:
        if console.measure(table, options=wide).maximum <= console.width:
            break
        names.remove(name)
        table = _table(found, names)
    return table


def _table(found: Findings, names: Sequence[str]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for name in names:
        shown.add_column(name, justify="left" if not name else "right", no_wrap=True)
    highest = max(cell.rate for cell in found.cells)
    for cell in found.cells:
        texts = dict(zip(_COLUMNS, _row(cell, highest), strict=True))
        style = "bold" if cell == found.verdict.best else None
        shown.add_row(*(texts[name] for name in names), style=style)
    return shown


def _row(cell: Cell, highest: float) -> tuple[str, ...]:
    return (
        str(cell.connections),
        size_text(cell.part_size),
        rate_text(cell.rate),
        percent_text(cell.spread / 2) if len(cell.windows) > 1 else "",
        "━" * round(_BAR * cell.rate / highest) if highest else "",
        rate_text(cell.rate / cell.connections),
        wait_text(cell.first_byte),
        percent_text(cell.waiting),
    )
