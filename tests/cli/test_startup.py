"""Starting costs little, because nothing is loaded that is not used."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fastget.testing import ObjectServer, StoredObject

Serve = Callable[..., ObjectServer]

_HOME = Path(__file__).resolve().parents[2]
# What `fastget ARGUMENTS` has loaded when it ends, on standard error.
_PROGRAM = """
import json, sys
sys.argv = ["fastget", *sys.argv[1:]]
from fastget.__main__ import main
code = main()
sys.stderr.write(json.dumps(sorted(sys.modules)))
sys.exit(code)
"""


def loaded_by(folder: Path, *arguments: str) -> set[str]:
    command = (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(_HOME)!r})\n{_PROGRAM}", *arguments)
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(outcome.stderr))


def test_the_version_is_told_without_loading_the_machinery(tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, "--version")
    assert loaded.isdisjoint(
        {"click", "rich", "httpx", "botocore", "ssl", "fastget.client", "fastget.cli", "dataclasses"}
    )


def test_help_does_not_load_the_engine(tmp_path: Path) -> None:
    assert loaded_by(tmp_path, "get", "--help").isdisjoint({"rich", "httpx", "botocore", "ssl", "fastget.client"})


def test_a_download_over_http_loads_neither_s3_nor_a_bar(serve: Serve, stored: StoredObject, tmp_path: Path) -> None:
    loaded = loaded_by(tmp_path, "-q", serve({"/b/x": stored}).url("/b/x"))
    assert "fastget.client" in loaded
    assert loaded.isdisjoint({"rich", "botocore", "httpx", "fastget.cli.bar", "fastget.cli.demo", "fastget.testing"})
