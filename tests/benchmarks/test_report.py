from __future__ import annotations

import json

import pytest

from benchmarks.comparison import Outcome
from benchmarks.machine import Machine
from benchmarks.report import Figures, as_json, as_markdown, best_first
from benchmarks.startup import Timing
from benchmarks.startup import as_markdown as startup_as_markdown


def _cells(markdown: str, name: str) -> list[str]:
    (line,) = [line for line in markdown.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_fastest_client_stands_first_and_those_without_figures_last(outcome: Outcome) -> None:
    assert [entry.contender.name for entry, _ in best_first(outcome)] == ["s5cmd", "curl", "aria2", "axel"]


def test_figures_are_medians_over_all_runs(outcome: Outcome) -> None:
    figures = Figures.of(outcome.entries[1].runs, outcome.size)
    assert (figures.rate.median, figures.rate.lowest, figures.rate.highest) == (0.5, 0.25, 1.0)
    assert figures.seconds.median == 2.0
    assert figures.user_seconds == pytest.approx(0.2)


def test_the_interpreter_is_named_with_what_a_call_costs_it(machine: Machine, outcome: Outcome) -> None:
    assert "Python 3.11.0 (120 ns for an object and a call of it)" in as_markdown(machine, [outcome]).splitlines()[0]


def test_a_row_holds_rate_time_processor_memory_and_what_is_checked(machine: Machine, outcome: Outcome) -> None:
    assert _cells(as_markdown(machine, [outcome]), "curl") == [
        "curl",
        "8.1",
        "0.50 (0.25 - 1.00)",
        "2.000 (1.000 - 4.000)",
        "0.20",
        "0.25",
        "16",
        "no, size only",
    ]


def test_missing_and_failed_clients_stay_in_the_table(machine: Machine, outcome: Outcome) -> None:
    markdown = as_markdown(machine, [outcome])
    assert _cells(markdown, "aria2")[2] == "missing (apt install aria2)"
    assert _cells(markdown, "axel")[2] == "failed: exit 1: a \\| b"


def test_commands_name_no_directory_of_the_machine(machine: Machine, outcome: Outcome) -> None:
    markdown = as_markdown(machine, [outcome])
    assert "curl -o downloads/object.bin" in markdown
    assert str(outcome.directory) not in markdown


def test_the_json_holds_every_run_and_every_problem(machine: Machine, outcome: Outcome) -> None:
    document = json.loads(json.dumps(as_json(machine, [outcome])))
    clients = {client["name"]: client for client in document["scenarios"][0]["clients"]}
    assert [run["seconds"] for run in clients["curl"]["runs"]] == [2.0, 1.0, 4.0]
    assert clients["axel"]["problem"] == "failed: exit 1: a | b"
    assert clients["s5cmd"]["command"] == ["s5cmd", "cp", "downloads/object.bin"]
    assert document["machine"]["cores"] == 2


def test_start_up_times_stand_beside_their_bars() -> None:
    markdown = startup_as_markdown([Timing("import", 80, (10.0, 20.0, 30.0)), Timing("curl", None, (5.0,))])
    assert _cells(markdown, "import") == ["import", "20", "28", "80"]
    assert _cells(markdown, "curl") == ["curl", "5", "5", "-"]
