"""docs/reliability.md: every fault has a test, or the reason why it has none, and the page names them."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs/reference/reliability.py"))
ROWS: list[Any] = [row for _, rows in GENERATOR["SECTIONS"] for row in rows]
PROOFS: dict[str, list[str]] = dict(GENERATOR["proofs"]())
LAST = {"N": 27, "H": 59, "C": 21, "X": 34, "S": 24}


def test_the_rows_are_numbered_without_a_gap() -> None:
    wanted = [f"{letter}{number}" for letter, last in LAST.items() for number in range(1, last + 1)]
    assert [row.number for row in ROWS] == wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_fault_has_a_test_or_a_reason_for_having_none(row: Any) -> None:
    assert PROOFS.get(row.number) or row.untested, f"no test carries @pytest.mark.fault({row.number!r}): {row.fault}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_fault_that_has_a_test_needs_no_reason(row: Any) -> None:
    assert not (PROOFS.get(row.number) and row.untested)


def test_no_test_proves_a_fault_that_there_is_not() -> None:
    assert set(PROOFS) <= {row.number for row in ROWS}


def test_the_page_is_what_rows_and_tests_make_it() -> None:
    committed = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")

    assert committed == GENERATOR["page"](), "run: python docs/reference/reliability.py"
