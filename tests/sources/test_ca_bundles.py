"""The bundle that is found for a store is the one that botocore would use."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from botocore.session import Session

from fastget.config import Config
from fastget.sources.ca_bundles import bundle_for_stores
from fastget.sources.endpoints import S3Endpoints

FILES = ("variable.pem", "default.pem", "dev.pem", "shared.pem")
BEYOND = "credential_process = /bin/false\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_credentials: None) -> Path:
    del without_credentials
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name in FILES:
        (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\n")
    return tmp_path


@pytest.mark.parametrize("more", ["", BEYOND], ids=["plain", "botocore"])
@pytest.mark.parametrize("in_force", [None, "dev", "other"])
@pytest.mark.parametrize("asked", [None, "dev", "other"])
def test_what_is_found_is_what_botocore_finds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: str, in_force: str | None, asked: str | None
) -> None:
    if in_force is not None:
        monkeypatch.setenv("AWS_PROFILE", in_force)
    for variable, default, dev, shared in product((False, True), repeat=4):
        sections = {
            "default": f"ca_bundle = {folder}/default.pem\n" if default else "",
            "profile dev": f"ca_bundle = {folder}/dev.pem\n" if dev else "",
            "profile other": "region = eu-west-1\n",
        }
        text = "".join(f"[{name}]\n{lines}{more}" for name, lines in sections.items())
        (folder / "config").write_text(text)
        (folder / "credentials").write_text(f"[dev]\nca_bundle = {folder}/shared.pem\n" if shared else "")
        if variable:
            monkeypatch.setenv("AWS_CA_BUNDLE", str(folder / "variable.pem"))
        else:
            monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        expected = Session(profile=asked).get_config_variable("ca_bundle")
        assert bundle_for_stores(Config(profile=asked)) == expected


def test_a_profile_that_is_not_there_is_left_to_whoever_looks_for_its_keys(folder: Path) -> None:
    (folder / "config").write_text("[default]\n")
    assert bundle_for_stores(Config(profile="nobody")) is None


def test_it_is_looked_for_once(folder: Path) -> None:
    (folder / "config").write_text(f"[default]\nca_bundle = {folder}/default.pem\n")
    endpoints = S3Endpoints()
    assert endpoints.ca_bundle(Config()) == f"{folder}/default.pem"
    (folder / "config").unlink()
    assert endpoints.ca_bundle(Config()) == f"{folder}/default.pem"
