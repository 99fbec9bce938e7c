"""Which measurements are worth making: connections at one size of pieces, then sizes at the best number of them.

The order there is mirrored on the way back, so that a link that gets slower or faster meanwhile favours no number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastget.core.bottleneck import NOISY, WAITING, best_of, cells_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from fastget.core.bottleneck import Window

# More connections are tried until so many steps in a row have each brought less than this share more.
GAIN = 0.1
FRUITLESS_STEPS = 2
# Where the windows of the leading cells disagree, so many cells get another one.
SECOND_LOOKS = 3


class Setting(NamedTuple):
    """What one measurement is of; `part_size` in bytes."""

    connections: int
    part_size: int


def most_steps(counts: Sequence[int], sizes: Sequence[int]) -> int:
    """How many measurements `sweep` makes at most."""
    return 2 * len(counts) + SECOND_LOOKS + (2 * len(sizes) - 1 if len(sizes) > 1 else 0)


def sweep(counts: Sequence[int], sizes: Sequence[int]) -> Generator[Setting, Window, None]:
    """The settings to measure, one after another; each is answered, by `send`, with its window.

    `counts` of connections and `sizes` of pieces are tried from small to large. The middle size is the one that
    connections are counted at.
    """
    counts, sizes = sorted(set(counts)), sorted(set(sizes))
    base = sizes[len(sizes) // 2]
    windows: list[Window] = []
    for count in counts:
        windows.append((yield Setting(count, base)))
        if _is_fruitless(windows):
            break
    windows += yield from _each([Setting(window.connections, base) for window in reversed(windows)])
    windows += yield from _each(_contested(windows))
    best = best_of(cells_of(windows)).connections
    others = [Setting(best, size) for size in sizes if size != base]
    if others:
        yield from _each([*others, Setting(best, base), *reversed(others)])


def _each(settings: Sequence[Setting]) -> Generator[Setting, Window, list[Window]]:
    windows = []
    for setting in settings:
        windows.append((yield setting))  # noqa: PERF401  a comprehension cannot yield
    return windows


def _is_fruitless(windows: Sequence[Window]) -> bool:
    """Whether the last steps up have brought next to nothing, or the server refuses most of it."""
    last = windows[-1]
    if last.throttled > WAITING * (last.throttled + len(last.first_bytes)):
        return True
    if len(windows) <= FRUITLESS_STEPS:
        return False
    before = max(window.rate for window in windows[:-FRUITLESS_STEPS])
    return before > 0 and all(window.rate < before * (1 + GAIN) for window in windows[-FRUITLESS_STEPS:])


def _contested(windows: Sequence[Window]) -> list[Setting]:
    """The fastest cells, where the windows of one of them are far apart."""
    leading = sorted(cells_of(windows), key=lambda cell: cell.rate, reverse=True)[:SECOND_LOOKS]
    return [Setting(cell.connections, cell.part_size) for cell in leading if cell.spread > NOISY]
