"""Help texts: they fit a terminal, name every flag, and their examples are ones that parse."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest

import fastget
from fastget.cli import app
from fastget.cli.app import group
from fastget.cli.exit_codes import ExitCode
from fastget.cli.options import Flag
from fastget.config import environment_names

Run = Callable[..., CompletedProcess[bytes]]

ROOT = group()
VERBS = ROOT.list_commands(click.Context(ROOT))


def verb(name: str) -> click.Command:
    found = ROOT.get_command(click.Context(ROOT), name)
    assert found is not None
    return found


def help_of(command: click.Command) -> str:
    return command.get_help(click.Context(command, info_name=command.name, terminal_width=80))


COMMANDS = [ROOT, *(verb(name) for name in VERBS)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_help_fits_80_columns(command: click.Command) -> None:
    assert max(len(line) for line in help_of(command).splitlines()) <= 80


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_help_names_every_flag(command: click.Command) -> None:
    text = help_of(command)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert all(name in text for name in parameter.opts)


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "http://h/x", "--retries=-1"],
        ["get", "http://h/x", "--retries"],
        ["pull", "s3://b/p", "-d", "none", "--retries=-1"],
        ["ls", "s3://b", "--retries=-1"],
        ["stat", "http://h/x", "--retries=-1"],
        ["bench", "http://h/x", "--retries=-1"],
        ["bench", "http://h/x", "--retries"],
    ],
)
def test_a_mistake_in_an_option_points_to_the_help_of_its_verb(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert app.run(arguments) == 2
    assert f"hint: see fastget {arguments[0]} --help" in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("name", ["get", "pull", "ls", "stat", "bench", "demo"])
def test_the_help_says_which_options_no_variable_sets(name: str) -> None:
    command = verb(name)
    told = str(command.epilog).partition(" is also read from a variable of its name")[0]
    assert told.startswith("Every option with one value")
    with_a_value = [flag for flag in command.params if isinstance(flag, click.Option) and not flag.is_flag]
    unread = [flag.opts[0] for flag in with_a_value if flag.name not in environment_names() and not flag.multiple]
    assert re.findall(r"--?[a-z-]+", told) == unread
    assert str(verb("completion").epilog) == "None"


@pytest.mark.parametrize("name", ["pull", "ls", "stat", "bench", "demo"])
def test_every_verb_that_asks_a_server_has_all_flags_of_the_network(name: str) -> None:
    def network(command: click.Command) -> set[str]:
        return {flag.opts[-1] for flag in command.params if isinstance(flag, Flag) and flag.section == "Network"}

    assert network(verb(name)) == network(verb("get"))


def examples() -> list[str]:
    found = [
        line.strip()
        for command in COMMANDS
        for line in str(command.help).splitlines()
        if line.startswith("     fastget ") and "completion" not in line
    ]
    assert len(found) >= 10
    return found


@pytest.mark.parametrize("example", examples())
def test_an_example_is_one_that_parses(example: str) -> None:
    arguments = shlex.split(example.partition("|")[0])[1:]
    context = ROOT.make_context("fastget", arguments)
    name, command, rest = ROOT.resolve_command(context, [*context._protected_args, *context.args])
    assert name in VERBS
    assert command is not None
    assert command.make_context(name, rest).params


def test_the_exit_statuses_of_the_help_are_all_there_are() -> None:
    epilog = str(ROOT.epilog)
    assert {int(number) for number in re.findall(r"\b\d+\b", epilog)} == {int(code) for code in ExitCode} - {1} | {1}


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_answers_help_with_0(run: Run, name: str) -> None:
    outcome = run(name, "-h")
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert outcome.stdout.startswith(f"Usage: fastget {name} ".encode())


def test_no_arguments_show_the_help_as_a_usage_error(run: Run) -> None:
    outcome = run()
    assert (outcome.returncode, outcome.stdout) == (2, b"")
    assert outcome.stderr.startswith(b"Usage: fastget ")


@pytest.mark.parametrize("flags", [["--version"], ["-V"], ["-V", "-V"]])
def test_the_version_is_that_of_the_package(run: Run, flags: list[str]) -> None:
    outcome = run(*flags)
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert outcome.stdout.decode() == f"fastget {fastget.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_completion_prints_a_script_for_a_shell(run: Run, shell: str) -> None:
    outcome = run("completion", shell)
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert f"_FASTGET_COMPLETE={shell}_complete".encode() in outcome.stdout


def test_a_shell_is_offered_verbs_and_flags(run: Run) -> None:
    verbs = run(env={"_FASTGET_COMPLETE": "bash_complete", "COMP_LINE": "fastget "})
    assert {line.partition(",")[2] for line in verbs.stdout.decode().splitlines()} == set(VERBS)
    flags = run(env={"_FASTGET_COMPLETE": "bash_complete", "COMP_LINE": "fastget get --no-"})
    assert b"--no-sign-request" in flags.stdout


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("get -o ", b"file"),
        ("get -d ", b"dir"),
        ("get --ca-bundle ", b"file"),
        ("pull -i ", b"file"),
        ("pull -d ", b"dir"),
        ("bench -o ", b"file"),
        ("bench -d ", b"dir"),
    ],
)
def test_a_shell_completes_names_of_files_where_a_flag_takes_one(run: Run, words: str, kind: bytes) -> None:
    asked = {"_FASTGET_COMPLETE": "bash_complete", "COMP_LINE": f"fastget {words}"}
    assert run(env=asked).stdout.splitlines() == [kind + b","]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["get", "http", ":", "//host/x", "--requ"], {"--request-payer", "--require-verified"}),
        (["https", ":", "//host:1/x?a", "=", "b", "--requi"], {"--require-verified"}),
        (["s3", ":", "//bucket/key", "--split", "=", "p"], {"part"}),
        (["s3", ":", "//bucket/key", "--split", "r"], {"range"}),
        (["--requi"], {"--require-verified"}),
        (["--vers"], {"--version", "--version-id"}),
        (["p"], {"pull"}),
    ],
)
def test_bash_completes_behind_a_url_and_without_a_verb(tmp_path: Path, words: list[str], offered: set[str]) -> None:
    # The words are cut as readline cuts them; the line is what was typed.
    line = re.sub(r" (?=[:=])|(?<=[:=]) ", "", " ".join(["fastget", *words]))
    script = tmp_path / "complete.bash"
    script.write_text(
        f"""PATH={shlex.quote(str(tmp_path))}:$PATH
eval "$(fastget completion bash)"
COMP_WORDS=(fastget {shlex.join(words)}) COMP_CWORD={len(words)}
COMP_LINE={shlex.quote(line + " and more")} COMP_POINT={len(line)}
_fastget_completion fastget {shlex.quote(words[-1])} {shlex.quote((["fastget", *words])[-2])}
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
        encoding="utf-8",
    )
    command = tmp_path / "fastget"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fastget "$@"\n', encoding="utf-8")
    command.chmod(0o700)

    environment = {**os.environ, "PYTHONPATH": str(Path(fastget.__file__).parents[1])}
    done = subprocess.run(
        ["bash", "--norc", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )

    assert set(done.stdout.split()) == offered


def test_a_variable_of_completion_that_is_empty_asks_for_none(run: Run) -> None:
    outcome = run("stat", "no-url", env={"_FASTGET_COMPLETE": ""})
    assert (outcome.returncode, outcome.stdout) == (2, b"")
