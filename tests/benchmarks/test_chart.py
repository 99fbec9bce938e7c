from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chart import draw_chart
from benchmarks.comparison import Outcome
from benchmarks.machine import Machine

pytest.importorskip("matplotlib", reason="the chart is drawn by matplotlib (pip install '.[bench]')")


def test_the_chart_names_every_client_and_every_problem(tmp_path: Path, machine: Machine, outcome: Outcome) -> None:
    draw_chart(machine, [outcome, outcome], tmp_path / "chart")
    drawing = (tmp_path / "chart.svg").read_text()
    for entry in outcome.entries:
        assert f">{entry.contender.name}</text>" in drawing
    assert "missing (apt install aria2)" in drawing
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
