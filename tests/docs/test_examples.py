"""The examples of the pages: Python is run against a server, command lines are parsed.

In an example `https://data.example.org` and `http://127.0.0.1:9000` stand for the server, and `s3://bucket` for a
bucket of it. The comment behind a `print(...)` is what it prints.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest

from fastget.cli.app import group
from fastget.cli.options import read_config
from fastget.config import Config
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in ROOT.glob("docs/**/*.md") if "design" not in path.parts)
STAND_INS = ("https://data.example.org", "http://127.0.0.1:9000")
MIB = 1024 * 1024

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Page and line, and text, of every fenced block in a language."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path.relative_to(ROOT / 'docs')}:{line}", match[2]


def commands() -> Iterator[tuple[str, str]]:
    """Page and number, and text, of every call of fastget in the shell examples."""
    for place, text in blocks("sh"):
        for number, line in enumerate(text.splitlines()):
            if line.startswith("fastget "):
                yield f"{place}+{number}", line


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    objects = {
        "/corpus/part-1.bin": StoredObject(Content.generated(32 * MIB, seed=1), checksum=Algorithm.CRC64NVME),
        "/corpus/part-2.bin": StoredObject(Content.generated(3 * MIB, seed=2), checksum=Algorithm.CRC32C),
        "/plain.bin": StoredObject(Content.generated(MIB), etag='"opaque"'),
        "/slow.bin": StoredObject(Content.generated(MIB)),
        "/bucket/full-object.bin": StoredObject(Content.generated(9 * MIB), checksum=Algorithm.CRC64NVME),
        "/bucket/versioned.bin": StoredObject(Content.generated(1000), version_id="v1"),
        "/bucket/weights.bin": StoredObject(
            Content.generated(20 * MIB, seed=3),
            part_sizes=(4 * MIB,) * 5,
            checksum=Algorithm.CRC32C,
            checksum_type="COMPOSITE",
        ),
    }
    with ObjectServer(objects, faults=[faults.stall().on(path="/slow.bin").always()]) as running:
        yield running


def run(text: str, folder: Path, server: ObjectServer) -> subprocess.CompletedProcess[str]:
    """An example, in a process and a directory of its own."""
    for name in STAND_INS:
        text = text.replace(name, server.base_url)
    script = folder / "example.py"
    script.write_text(text, encoding="utf-8")
    keys = {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": server.base_url, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(("place", "text"), [pytest.param(*block, id=block[0]) for block in blocks("python")])
def test_a_python_example_runs_and_prints_what_it_says(
    place: str, text: str, tmp_path: Path, server: ObjectServer
) -> None:
    done = run(text, tmp_path, server)

    assert (done.returncode, done.stderr) == (0, ""), place
    printed = iter(done.stdout.splitlines())
    missing = [line for line in _PRINTED.findall(text) if line not in printed]
    assert not missing, f"{place} printed {done.stdout!r}"


@pytest.mark.parametrize(("place", "line"), [pytest.param(*command, id=command[0]) for command in commands()])
def test_a_command_line_has_flags_and_values_that_exist(place: str, line: str) -> None:
    words = list(takewhile(lambda word: word not in ("|", ">"), shlex.split(line, comments=True)[1:]))
    root = group()
    verb = words.pop(0) if words[0] in root.list_commands(click.Context(root)) else "get"
    command = root.get_command(click.Context(root), verb)

    assert command is not None, place
    with command.make_context(verb, words) as context:
        assert isinstance(read_config(context.params), Config), place


def test_there_are_examples_of_both_kinds_to_be_checked() -> None:
    assert len(list(blocks("python"))) >= 20
    assert len(list(commands())) >= 20
