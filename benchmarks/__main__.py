"""Compare fastget with its peers, side by side.

Writes comparison.json, comparison.md, comparison.png and comparison.svg.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from benchmarks.chart import draw_chart
from benchmarks.comparison import compare, open_workplace
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.machine import describe_machine
from benchmarks.nginx import NginxError, find_nginx
from benchmarks.report import as_json, as_markdown
from benchmarks.scenarios import SCENARIOS, Scenario
from fastget.config import parse_size
from fastget.errors import ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison; returns the exit code."""
    options = _parser().parse_args(arguments)
    nginx = find_nginx()
    if nginx is None:
        print("nginx is not installed (Debian: apt install nginx libnginx-mod-http-lua)", file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        with open_workplace(options.work, options.size) as workplace:
            machine = describe_machine(workplace.directory, nginx)
            outcomes = [
                compare(scenario, options.peers, workplace, nginx, options.runs, _tell)
                for scenario in options.scenario or SCENARIOS
            ]
    except NginxError as failure:
        print(failure, file=sys.stderr)
        return 1
    report = options.output / "comparison"
    report.with_suffix(".json").write_text(json.dumps(as_json(machine, outcomes), indent=2) + "\n")
    report.with_suffix(".md").write_text(as_markdown(machine, outcomes))
    draw_chart(machine, outcomes, report)
    print(as_markdown(machine, outcomes))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scenario", action="append", type=_scenario, metavar="NAME", help=_names(SCENARIOS))
    parser.add_argument("--peers", type=_contenders, default=CONTENDERS, metavar="A,B", help=_names(CONTENDERS))
    parser.add_argument("--runs", type=_positive, default=5, help="runs of each client (default: 5)")
    parser.add_argument("--size", type=_size, default=1024**3, help="size of the object (default: 1GiB)")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"), help="directory on the disk to write to")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="directory for the report")
    return parser


def _names(known: tuple[Scenario, ...] | tuple[Contender, ...]) -> str:
    return f"any of {', '.join(one.name for one in known)} (default: all)"


def _scenario(name: str) -> Scenario:
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(scenario.name for scenario in SCENARIOS)}")


def _contenders(names: str) -> tuple[Contender, ...]:
    known = {contender.name: contender for contender in CONTENDERS}
    unknown = [name for name in names.split(",") if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
    return tuple(known[name] for name in names.split(","))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # As Ctrl-C does it: what was begun is ended, and what was written is removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
