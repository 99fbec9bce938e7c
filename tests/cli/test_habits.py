"""Flags and verbs of other tools are answered with what does the same here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from fastget.cli import app, habits
from fastget.cli.get import command as get

if TYPE_CHECKING:
    from pathlib import Path


def test_no_flag_of_get_is_taken_for_one_of_another_tool() -> None:
    own = {name for parameter in get.params for name in parameter.opts}
    assert own & {name for name, _ in habits.flags()} == set()


def test_every_flag_that_a_hint_names_is_one() -> None:
    verbs = [app.group().get_command(click.Context(get), name) for name in ("get", "pull", "ls")]
    own = {name for verb in verbs if verb is not None for parameter in verb.params for name in parameter.opts}
    for flag, hint in habits.flags():
        words = [word.strip(":;,(") for word in hint.split()]
        assert {word for word in words if word.startswith("-")} <= own, flag


@pytest.mark.parametrize("meant", sorted(set(habits.VERBS.values())))
def test_what_a_verb_of_another_tool_means_is_a_verb(meant: str) -> None:
    assert app.group().get_command(click.Context(get), meant) is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-c", "http://h/x"], "hint: to go on is the default; --no-resume turns it off"),
        (["http://h/x", "-O", "x"], "hint: -o FILE names the file; without it the URL does"),
        (["-i", "list"], "hint: fastget pull takes all that is below a prefix, or a list: fastget pull --help"),
        (["-I", "http://h/x"], "hint: fastget stat URL shows what a server says of an object, and fetches nothing"),
        (["--region", "x", "ls", "s3://b"], "hint: a verb comes before all flags: fastget ls …"),
        (["--json", "get", "http://h/x", "-o", "x"], "hint: a verb comes before all flags: fastget get …"),
        (["cp", "s3://b/k", "."], "fastget: No such command 'cp' (did you mean get?)"),
        (["pull", "s3://b/x/", "out"], "hint: -d DIR names the directory that the files go to"),
        (
            ["pull", "s3://b/x", "s3://b/y", "-d", "out"],
            "hint: a pull takes one prefix; several URLs are a list, -i FILE",
        ),
        (["pull", "list.txt", "-d", "out"], "hint: write it as s3://BUCKET/PREFIX; a list of URLs is given by -i FILE"),
        (["--no-such-flag", "http://h/x"], "hint: see fastget get --help"),
    ],
)
def test_who_knows_another_tool_is_told_what_does_the_same(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert app.run(arguments) == 2
    assert said in capsys.readouterr().err.splitlines()
