"""The pages as a whole: the generated ones fit the code, links lead somewhere, variables exist."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastget.config import environment_names
from fastget.errors import NetworkError
from fastget.events import Method

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in ROOT.glob("docs/**/*.md") if "design" not in path.parts)
GENERATOR = runpy.run_path(str(ROOT / "docs/reference/generate.py"))
GENERATED: dict[str, str] = GENERATOR["pages"]()

_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def links() -> Iterator[tuple[Path, str]]:
    """Every link of a page to a file, and the page."""
    for page in PAGES:
        for target in _LINK.findall(page.read_text(encoding="utf-8")):
            if "://" not in target:
                yield page, target


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_what_the_code_makes_it(name: str) -> None:
    committed = (ROOT / "docs/reference" / name).read_text(encoding="utf-8")

    assert committed == GENERATED[name], "run: python docs/reference/generate.py"


def test_classes_that_are_not_public_are_no_errors_of_the_reference() -> None:
    class InternalError(NetworkError):
        pass

    assert InternalError in NetworkError.__subclasses__()
    assert "InternalError" not in GENERATOR["errors_page"]()


def test_every_link_leads_to_a_file() -> None:
    broken = [f"{page.name}: {target}" for page, target in links() if not (page.parent / target).exists()]

    assert not broken


def test_every_page_is_named_by_the_index() -> None:
    named = {(page.parent / target).resolve() for page, target in links() if page.name == "index.md"}

    assert {page for page in PAGES if page.name != "index.md"} <= named


def test_every_variable_that_a_page_names_is_read() -> None:
    known = {*environment_names().values(), "FASTGET_NO_PROGRESS"}
    named = {name for page in PAGES for name in re.findall(r"FASTGET_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8"))}

    assert named <= known


def test_the_ladder_names_every_method() -> None:
    text = (ROOT / "docs/concepts/verification.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE) == list(Method)
