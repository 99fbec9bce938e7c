"""A comparison as JSON for programs and as Markdown tables for people."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.comparison import Entry, Outcome
    from benchmarks.machine import Machine
    from benchmarks.measurement import Measurement

MIB = 1024 * 1024
_HEADER = "| client | version | GB/s | seconds | CPU user s | CPU system s | peak MiB | checks the bytes |"
_ALIGNMENT = "|---|---|--:|--:|--:|--:|--:|---|"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a table says of one client: GB (10^9 bytes) per second, seconds, bytes of memory."""

    rate: Spread
    seconds: Spread
    user_seconds: float
    system_seconds: float
    peak_memory: float

    @classmethod
    def of(cls, runs: Sequence[Measurement], size: int) -> Self:
        """Medians over `runs` of an object of `size` bytes. Raises ValueError for no runs."""
        return cls(
            rate=Spread.of(size / run.seconds / 1e9 for run in runs),
            seconds=Spread.of(run.seconds for run in runs),
            user_seconds=Spread.of(run.user_seconds for run in runs).median,
            system_seconds=Spread.of(run.system_seconds for run in runs).median,
            peak_memory=Spread.of(run.peak_memory for run in runs).median,
        )


def best_first(outcome: Outcome) -> list[tuple[Entry, Figures | None]]:
    """Every entry with its figures, the fastest first, those that have none last."""
    rows = [(entry, Figures.of(entry.runs, outcome.size) if entry.runs else None) for entry in outcome.entries]
    return sorted(rows, key=lambda row: (row[1] is None, -row[1].rate.median if row[1] else 0))


def as_json(machine: Machine, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything that was measured, run by run, with the exact commands."""
    return {"machine": asdict(machine), "scenarios": [_outcome_as_json(outcome) for outcome in outcomes]}


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.scenario.name,
        "title": outcome.scenario.title,
        "behaviour": asdict(outcome.scenario.behaviour),
        "size": outcome.size,
        "clients": [
            {
                "name": entry.contender.name,
                "version": entry.version,
                "checks": entry.checks,
                "command": _as_typed(entry, outcome),
                "problem": entry.problem,
                "figures": asdict(figures) if figures else None,
                "runs": [asdict(run) for run in entry.runs],
            }
            for entry, figures in best_first(outcome)
        ],
    }


def as_markdown(machine: Machine, outcomes: Sequence[Outcome]) -> str:
    """One table for each scenario, the machine above them and the commands below."""
    sections = [_machine_line(machine), *(_table(outcome) for outcome in outcomes), _commands(outcomes)]
    return "\n\n".join(sections) + "\n"


def _machine_line(machine: Machine) -> str:
    return (
        f"Measured {machine.measured_at} on {machine.cores} cores of {machine.processor}, "
        f"{machine.memory / 1024**3:.0f} GiB of memory, {machine.system}, Python {machine.python} "
        f"({machine.call_nanoseconds:.0f} ns for an object and a call of it), "
        f"nginx {machine.nginx} on the same machine, files on {machine.file_system}, "
        f"load average {machine.load_average:.1f} at the start. Medians, with lowest - highest. "
        f"Peak memory below {machine.peak_memory_floor / MIB:.0f} MiB cannot be told apart."
    )


def _table(outcome: Outcome) -> str:
    runs = max((len(entry.runs) for entry in outcome.entries), default=0)
    title = f"### {outcome.scenario.title} ({outcome.size / MIB:g} MiB, runs: {runs})"
    return "\n".join([title, "", _HEADER, _ALIGNMENT, *(_row(*row) for row in best_first(outcome))])


def _row(entry: Entry, figures: Figures | None) -> str:
    name, checks = entry.contender.name, entry.checks
    if figures is None:
        problem = (entry.problem or "not run").replace("|", "\\|")
        return f"| {name} | {entry.version or '-'} | {problem} | - | - | - | - | {checks} |"
    cells = [
        name,
        entry.version,
        _spread(figures.rate, 2),
        _spread(figures.seconds, 3),
        f"{figures.user_seconds:.2f}",
        f"{figures.system_seconds:.2f}",
        f"{figures.peak_memory / MIB:.0f}",
        checks,
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _spread(spread: Spread, digits: int) -> str:
    return f"{spread.median:.{digits}f} ({spread.lowest:.{digits}f} - {spread.highest:.{digits}f})"


def _commands(outcomes: Sequence[Outcome]) -> str:
    lines = ["### Commands", "", "```"]
    for outcome in outcomes:
        lines.append(f"# {outcome.scenario.name}")
        lines += [shlex.join(_as_typed(entry, outcome)) for entry in outcome.entries if entry.command]
    return "\n".join([*lines, "```"])


def _as_typed(entry: Entry, outcome: Outcome) -> list[str]:
    """The command as typed inside the benchmark's directory: programs by name, files relative."""
    if not entry.command:
        return []
    program = "python" if entry.command[0] == sys.executable else Path(entry.command[0]).name
    return [program, *(word.replace(f"{outcome.directory}/", "") for word in entry.command[1:])]
