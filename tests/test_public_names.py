"""The face of the package: which names it has, and how little of it is loaded before they are used."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import fastget
from fastget import client, config, errors, events, verbs
from fastget.bulk import outcome
from fastget.core import objectinfo

NAMES = {
    "Client": client.Client,
    "Config": config.Config,
    "FastgetError": errors.FastgetError,
    "Method": events.Method,
    "ObjectInfo": objectinfo.ObjectInfo,
    "PullFailure": outcome.PullFailure,
    "PullResult": outcome.PullResult,
    "Result": events.Result,
    "Verification": events.Verification,
    "__version__": fastget.__version__,
    "aio": fastget.aio,
    "download": verbs.download,
    "errors": errors,
    "events": events,
    "head": verbs.head,
    "ls": verbs.ls,
    "pull": verbs.pull,
    "read": verbs.read,
    "read_into": verbs.read_into,
    "read_ranges": verbs.read_ranges,
    "s3": fastget.s3,
    "stream": verbs.stream,
}
# What costs more than everything that it takes to say `import fastget`, or is needed by one face alone.
HEAVY = ["anyio", "awscrt", "botocore", "click", "h11", "httpx", "rich", "ssl", "trio", "xxhash", "asyncio"]
ROOT = Path(fastget.__file__).parent.parent


def loaded(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement, without those of its own start."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    return set(outcome.stdout.split())


def test_the_public_names_are_these() -> None:
    assert sorted(fastget.__all__) == fastget.__all__ == sorted(NAMES)
    assert dir(fastget) == fastget.__all__


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_leads_to_what_it_names(name: str) -> None:
    assert getattr(fastget, name) is NAMES[name]


def test_every_public_name_can_be_imported_at_once() -> None:
    found: dict[str, object] = {}
    exec("from fastget import *", found)
    assert {name for name in found if name != "__builtins__"} == set(fastget.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'fastget' has no attribute 'dowload'"):
        _ = fastget.dowload


def test_the_version_is_the_one_that_is_installed_or_in_the_project_file() -> None:
    project = ROOT / "pyproject.toml"
    if project.is_file():
        assert f'version = "{fastget.__version__}"' in project.read_text(encoding="utf-8")
    else:
        assert version("fastget") == fastget.__version__


def test_importing_the_package_loads_nothing_of_it_but_itself() -> None:
    modules = loaded("import fastget")
    assert {name for name in modules if name.partition(".")[0] == "fastget"} == {"fastget"}
    assert not modules & set(HEAVY)


@pytest.mark.parametrize("name", ["Config", "FastgetError", "Method", "ObjectInfo", "Result", "errors", "events"])
def test_values_come_without_any_machinery(name: str) -> None:
    modules = loaded(f"from fastget import {name}")
    assert not modules & set(HEAVY)
    assert not any(module.startswith(("fastget.transport", "fastget.engine")) for module in modules)


def test_the_core_comes_without_any_library() -> None:
    rooms = [
        "board",
        "governor",
        "layout",
        "messages",
        "objectinfo",
        "planner",
        "ranges",
        "retry",
        "urls",
        "validators",
    ]
    statement = "; ".join(f"import fastget.core.{room}" for room in rooms)
    assert not loaded(f"{statement}; import fastget.core.checksums.verification") & set(HEAVY)


def test_the_synchronous_face_loads_nothing_of_the_other_two() -> None:
    modules = loaded("from fastget import Client, download, head, read")
    assert not modules & {"anyio", "trio", "asyncio", "click", "rich", "botocore", "httpx", "fastget.aio"}
