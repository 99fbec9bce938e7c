"""The maps of the rooms: a newcomer finds each module by the docstring of its package."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import fastget

PACKAGE = Path(fastget.__file__).parent
ROOMS = ["bulk", "core", "engine", "sinks", "sources", "transport"]


def _packages() -> list[Path]:
    """The rooms that have a map, and those within them."""
    return sorted(found.parent for room in ROOMS for found in (PACKAGE / room).rglob("__init__.py"))


def _named(package: Path) -> list[str]:
    said = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    return [found[1] for line in said.splitlines() if (found := re.match(r"(\w+)/? {2,}\S", line))]


def _there(package: Path) -> list[str]:
    modules = [path.stem for path in package.glob("*.py") if path.stem != "__init__"]
    return sorted([*modules, *(path.parent.name for path in package.glob("*/__init__.py"))])


@pytest.mark.parametrize("package", _packages(), ids=lambda package: str(package.relative_to(PACKAGE)))
def test_the_map_of_a_room_names_each_of_its_modules_once(package: Path) -> None:
    assert sorted(_named(package)) == _there(package)
