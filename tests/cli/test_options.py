"""The flags are the fields of Config, no more and no fewer."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import click
import pytest

from fastget.cli import get, stat
from fastget.cli.options import Flag, object_flags, pull_flags, read_config, request_flags, transfer_flags
from fastget.config import Config, environment_names
from fastget.errors import ConfigError

GIVEN_AT_A_SHELL = [field.name for field in fields(Config) if field.name not in ("on_event", "refresh_url")]


def parsed(*arguments: str, command: click.Command = get.command) -> dict[str, Any]:
    return command.make_context(command.name, [*arguments, "http://host/x"]).params


def test_every_field_of_config_but_the_handler_has_a_flag_of_its_name() -> None:
    assert [flag.name for flag in transfer_flags()] == GIVEN_AT_A_SHELL


def test_an_option_that_names_one_object_is_none_of_many() -> None:
    names = {str(flag.name) for flag in transfer_flags()}
    assert {str(flag.name) for flag in object_flags()} == names - {"jobs"}
    assert {str(flag.name) for flag in pull_flags()} == names - {"checksum", "version_id"}


def test_flags_of_a_request_are_flags_of_a_transfer() -> None:
    names = {flag.name for flag in request_flags()}
    assert {"endpoint_url", "no_sign_request", "headers", "insecure", "retries"} <= names
    assert names.isdisjoint({"overwrite", "fsync", "connections", "part_size"})


@pytest.mark.parametrize("flag", transfer_flags(), ids=lambda flag: str(flag.name))
def test_every_flag_says_what_it_means(flag: click.Parameter) -> None:
    assert isinstance(flag, Flag)
    assert flag.help
    assert flag.section in {"Files", "Transfer", "Checking", "Conditions", "Network", "S3"}


def test_a_long_flag_is_the_name_of_its_field() -> None:
    renamed = {"headers", "overwrite", "resume", "fsync"}
    for flag in transfer_flags():
        if flag.name not in renamed:
            assert f"--{str(flag.name).replace('_', '-')}" in flag.opts


@pytest.mark.parametrize("flag", transfer_flags(), ids=lambda flag: str(flag.name))
def test_the_help_names_the_default_that_config_has(flag: click.Parameter) -> None:
    assert isinstance(flag, Flag)
    default = getattr(Config(), str(flag.name))
    if isinstance(default, bool) or default is None or default == {}:
        return
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    if flag.name == "max_memory":
        shown = f"{default // 2**20} MiB"
    assert f"(default: {shown})" in str(flag.help)


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["-x", "12"], "connections", 12),
        (["-k", "16M"], "part_size", 16 * 1024 * 1024),
        (["--part-size", "1.5GiB"], "part_size", 3 * 512 * 1024 * 1024),
        (["--split", "range"], "split", "range"),
        (["--retries", "0"], "retries", 0),
        (["--stall-timeout", "2.5"], "stall_timeout", 2.5),
        (["-H", "Accept: x", "-H", "X-Two:y:z"], "headers", {"Accept": "x", "X-Two": "y:z"}),
        (["-n"], "overwrite", False),
        (["--no-clobber"], "overwrite", False),
        (["--no-fsync"], "fsync", False),
        (["--insecure"], "insecure", True),
        (["--no-sign-request"], "no_sign_request", True),
        (["--require-verified"], "require_verified", True),
        (["--checksum", "md5=" + "0" * 32], "checksum", "md5=" + "0" * 32),
        (["--addressing-style", "path"], "addressing_style", "path"),
    ],
)
def test_a_flag_sets_its_field(arguments: list[str], field: str, value: object) -> None:
    assert getattr(read_config(parsed(*arguments)), field) == value


def test_without_flags_the_defaults_of_config_hold() -> None:
    assert read_config(parsed()) == Config()
    assert read_config(parsed(command=stat.command)) == Config()


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTGET_CONNECTIONS", "3")
    monkeypatch.setenv("FASTGET_FSYNC", "0")
    config = read_config(parsed("-x", "5"))
    assert (config.connections, config.fsync) == (5, False)


def test_every_option_with_one_value_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(environment_names()) == set(GIVEN_AT_A_SHELL) - {"headers"}


def test_a_variable_that_cannot_be_meant_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTGET_RETRIES", "many")
    with pytest.raises(ConfigError, match="FASTGET_RETRIES"):
        read_config(parsed())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("checksum", "foo"),
        ("checksum", "sha-256=abc"),
        ("proxy", "gopher://proxy.example:70"),
        ("sse_c_key", "short"),
        ("if_modified_since", "soon"),
        ("response_expires", "9999-12-31T23:59:59-01:00"),
        ("version_id", "a\nb"),
    ],
)
def test_a_variable_whose_value_is_read_where_it_is_used_is_named_before(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"FASTGET_{name.upper()}", value)
    with pytest.raises(ConfigError, match=f"^FASTGET_{name.upper()}: ") as caught:
        read_config(parsed())
    assert "short" not in str(caught.value)


def test_a_variable_that_a_flag_stands_for_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTGET_CHECKSUM", "foo")
    monkeypatch.setenv("FASTGET_PROXY", "")
    assert read_config(parsed("--checksum", "crc32=cbf43926")).checksum == "crc32=cbf43926"
    with pytest.raises(ConfigError, match=r"^not a checksum: 'bar'"):
        read_config(parsed("--checksum", "bar"))


@pytest.mark.parametrize(
    "arguments", [["-k", "12X"], ["-x", "many"], ["--split", "half"], ["-H", "no colon"], ["-H", ": value"]]
)
def test_a_value_that_cannot_be_meant_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parsed(*arguments)


def test_a_header_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(click.UsageError) as caught:
        parsed("-H", "Authorization Bearer token")
    assert "token" not in caught.value.format_message()


def test_the_handler_of_events_reaches_the_config() -> None:
    seen: list[object] = []
    assert read_config({}, seen.append).on_event == seen.append
