"""A comparison as a picture: one panel of bars for each scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contenders import BARE_LOOP, FASTGET
from benchmarks.report import MIB, Figures, best_first

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.comparison import Entry, Outcome
    from benchmarks.machine import Machine

_OURS, _PEER, _LIMIT, _INK, _FAINT = "#1b6ca8", "#9aa5b1", "#d9dee4", "#222b36", "#5f6b7a"
_ROW_HEIGHT, _WIDTH = 0.30, 8.6


def draw_chart(machine: Machine, outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the picture to `path` with the endings .png and .svg."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "svg.fonttype": "none",
        "text.color": _INK,
    }
    with mpl.rc_context(style):
        heights = [_ROW_HEIGHT * len(outcome.entries) + 0.75 for outcome in outcomes]
        figure = Figure(figsize=(_WIDTH, sum(heights) + 0.7), facecolor="white")
        figure.set_layout_engine("constrained", h_pad=0.12, w_pad=0.12)
        panels = figure.subplots(len(outcomes), 1, squeeze=False, height_ratios=heights)
        for outcome, panel in zip(outcomes, panels[:, 0], strict=True):
            _draw_panel(panel, outcome)
        figure.supxlabel(_caption(machine), fontsize=8, color=_FAINT)
        for ending in ("png", "svg"):
            figure.savefig(path.with_suffix(f".{ending}"), dpi=160)


def _draw_panel(panel: Axes, outcome: Outcome) -> None:
    rows = best_first(outcome)
    rates = [figures.rate.median if figures else 0.0 for _, figures in rows]
    positions = list(range(len(rows)))
    panel.barh(positions, rates, height=0.66, color=[_colour(entry) for entry, _ in rows])
    reach = max((figures.rate.highest for _, figures in rows if figures), default=1.0)
    for position, (entry, figures) in zip(positions, rows, strict=True):
        _annotate(panel, position, entry, figures, reach)
    panel.set_yticks(positions, [entry.contender.name for entry, _ in rows])
    panel.set_xlim(0, reach * 1.42)
    panel.set_xticks([tick for tick in panel.get_xticks() if tick <= reach * 1.05])
    panel.set_ylim(len(rows) - 0.4, -0.6)
    size = f"{outcome.size / MIB / 1024:g} GiB" if outcome.size >= 1024 * MIB else f"{outcome.size / MIB:g} MiB"
    panel.set_title(f"{outcome.scenario.title} ({size})", loc="left", fontsize=10, fontweight="bold", color=_INK)
    panel.set_xlabel("GB/s, median; the line spans all runs", loc="left", fontsize=8, color=_FAINT)
    panel.tick_params(length=0, labelcolor=_INK)
    panel.tick_params(axis="x", labelsize=8, labelcolor=_FAINT)
    panel.spines[["top", "right", "bottom", "left"]].set_visible(False)
    panel.grid(axis="x", color="#e8ebef", linewidth=0.8)
    panel.set_axisbelow(True)


def _annotate(panel: Axes, position: int, entry: Entry, figures: Figures | None, reach: float) -> None:
    if figures is None:
        panel.text(
            reach * 0.01,
            position,
            _shortened(entry.problem or "not run"),
            va="center",
            fontsize=8,
            color=_FAINT,
        )
        return
    panel.plot([figures.rate.lowest, figures.rate.highest], [position, position], color=_INK, linewidth=1)
    words = f"{figures.rate.median:.2f}   {figures.peak_memory / MIB:.0f} MiB"
    checked = "   checked" if entry.checks.startswith("yes") else ""
    place = figures.rate.highest + reach * 0.015
    panel.text(place, position, words + checked, va="center", fontsize=8, color=_INK)


def _colour(entry: Entry) -> str:
    name = entry.contender.name
    if name == BARE_LOOP:
        return _LIMIT
    return _OURS if name.startswith(FASTGET) else _PEER


def _shortened(text: str, length: int = 70) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _caption(machine: Machine) -> str:
    return (
        f"{machine.cores} cores, {machine.processor}; nginx {machine.nginx} on the same machine; files on "
        f"{machine.file_system}; {machine.measured_at[:10]}\nBeside each bar: GB/s, peak memory, "
        "and whether the bytes were checked against the store's digest"
    )
