from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS, Contender, Download, find_program


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
@pytest.mark.parametrize("is_store", [True, False], ids=["store", "web"])
def test_every_command_names_the_server_the_object_and_the_file(
    contender: Contender, is_store: bool, tmp_path: Path
) -> None:
    download = Download("http://127.0.0.1:8080", "bucket", "key", tmp_path / "file.bin", is_store=is_store)
    command = " ".join(contender.command(download))
    assert "127.0.0.1:8080" in command
    assert "bucket/key" in command
    assert "file.bin" in command


def test_the_environment_names_the_authority_only_over_tls(tmp_path: Path) -> None:
    plain = Download("http://127.0.0.1", "bucket", "key", tmp_path / "file")
    secure = Download("https://127.0.0.1", "bucket", "key", tmp_path / "file", authority=tmp_path / "ca.pem")
    assert plain.environment == {}
    assert set(secure.environment.values()) == {str(tmp_path / "ca.pem")}


def test_a_program_that_is_installed_nowhere_is_not_found() -> None:
    assert find_program("no-such-program-anywhere") is None


def test_a_program_beside_this_python_is_found() -> None:
    name = Path(sys.executable).name
    found = find_program(name)
    assert found is not None
    assert Path(found).samefile(shutil.which(sys.executable) or sys.executable)


def test_versions_are_numbers_or_none() -> None:
    for contender in CONTENDERS:
        version = contender.version()
        assert version is None or re.match(r"\d+\.\d+", version), contender.name
