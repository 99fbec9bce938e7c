"""docs/getobject.md: every row of GetObject has a test, and the page names it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GENERATOR = runpy.run_path(str(ROOT / "docs/reference/getobject.py"))
ROWS: list[Any] = [row for _, rows in GENERATOR["SECTIONS"] for row in rows]
PROOFS: dict[int, list[str]] = dict(GENERATOR["proofs"]())


def test_the_rows_are_numbered_from_1_to_121() -> None:
    assert [row.number for row in ROWS] == list(range(1, 122))


@pytest.mark.parametrize("row", [row for row in ROWS if not row.is_out], ids=lambda row: str(row.number))
def test_a_row_has_a_test(row: Any) -> None:
    assert PROOFS.get(row.number), f"no test carries @pytest.mark.row({row.number}): {row.name}"


def test_no_test_proves_a_row_that_there_is_not() -> None:
    assert set(PROOFS) <= {row.number for row in ROWS}


def test_the_page_is_what_rows_and_tests_make_it() -> None:
    committed = (ROOT / "docs/getobject.md").read_text(encoding="utf-8")

    assert committed == GENERATOR["page"](), "run: python docs/reference/getobject.py"
