"""How soon fastget is at work: import, --version, and the first request of a download.

Writes startup.json and startup.md. Run it as: python -m benchmarks.startup
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders import find_program
from benchmarks.measurement import RunError, client_environment, measure
from benchmarks.spread import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# What an S3 account needs, in the environment; nothing else of AWS reaches a client that is timed with it.
_KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"


@dataclass(frozen=True, slots=True)
class Timing:
    """Some runs of one thing, in milliseconds; `bar` is what it should stay below, None for a reference."""

    name: str
    bar: float | None
    runs: tuple[float, ...]


def time_command(command: Sequence[str], runs: int) -> tuple[float, ...]:
    """Milliseconds that a command takes from start to end, after one run to warm up."""
    return tuple(measure(command).seconds * 1000 for _ in range(runs + 1))[1:]


def time_first_request(
    command: Callable[[str, Path], list[str]], runs: int, variables: Mapping[str, str] | None = None
) -> tuple[float, ...]:
    """Milliseconds from a client's start until its first request is at the server, after one run to warm up.

    `command` makes the client's command of a URL and a file. `variables` take the place of those of AWS in its
    environment. Raises RunError when no request comes.
    """
    with tempfile.TemporaryDirectory() as directory, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/object.bin"
        client = command(url, Path(directory) / "object.bin")
        environment = {name: value for name, value in client_environment().items() if not name.startswith("AWS_")}
        environment |= variables or {}
        return tuple(_first_request(server, client, environment) * 1000 for _ in range(runs + 1))[1:]


def _first_request(server: socket.socket, command: list[str], environment: dict[str, str]) -> float:
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        try:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                connection.recv(65536)
                seconds = time.monotonic() - started
                connection.sendall(_ANSWER)
            _, message = process.communicate(timeout=20)
        except (TimeoutError, subprocess.TimeoutExpired):
            os.kill(process.pid, signal.SIGKILL)
            raise RunError(f"{command[0]} did not ask, or did not end") from None
    if process.returncode:
        raise RunError(f"{command[0]}: exit {process.returncode}: {message.decode(errors='replace')[-300:]}")
    return seconds


def _import_of(module: str, runs: int) -> tuple[float, ...]:
    """Milliseconds of an import alone, measured inside a fresh Python."""
    code = f"import time; started = time.perf_counter();import {module}; print((time.perf_counter() - started) * 1000)"
    command = [sys.executable, "-c", code]
    answers = [
        subprocess.run(command, capture_output=True, check=True, env=client_environment()).stdout
        for _ in range(runs + 1)
    ]
    return tuple(float(answer) for answer in answers)[1:]


def time_everything(runs: int) -> list[Timing]:
    """All figures, and Python's and curl's own beside them. Raises RunError where fastget cannot be run."""
    if importlib.util.find_spec("fastget.__main__") is None:
        raise RunError("fastget is not installed")
    python = sys.executable
    timings = [
        Timing("import fastget", 80, _import_of("fastget", runs)),
        Timing("fastget --version", 120, time_command([python, "-m", "fastget", "--version"], runs)),
        Timing("fastget URL, until its first request", 200, time_first_request(_fastget, runs)),
        Timing("fastget s3://… unsigned, until its first request", 350, time_first_request(_fastget_unsigned, runs)),
        Timing("fastget s3://… signed, until its first request", 350, time_first_request(_fastget_s3, runs, _KEYS)),
        Timing("python -c pass", None, time_command([python, "-c", "pass"], runs)),
    ]
    curl = find_program("curl")
    if curl is not None:
        first = time_first_request(lambda url, path: [curl, "-q", "-s", "-o", str(path), url], runs)
        timings.append(Timing("curl URL, until its first request", None, first))
    return timings


def _fastget(url: str, path: Path) -> list[str]:
    return [sys.executable, "-m", "fastget", url, "-o", str(path), "-q"]


def _fastget_unsigned(url: str, path: Path) -> list[str]:
    return [*_fastget_s3(url, path), "--no-sign-request"]


def _fastget_s3(url: str, path: Path) -> list[str]:
    endpoint = url.rpartition("/")[0]
    return [
        sys.executable,
        "-m",
        "fastget",
        "s3://bucket/object.bin",
        "--endpoint-url",
        endpoint,
        "-o",
        str(path),
        "-q",
    ]


def as_markdown(timings: Sequence[Timing]) -> str:
    """A table of medians and 90th percentiles."""
    lines = ["| what | median ms | 90th percentile ms | bar ms |", "|---|--:|--:|--:|"]
    for timing in timings:
        middle, high = (f"{percentile(timing.runs, share):.0f}" for share in (0.5, 0.9))
        lines.append(f"| {timing.name} | {middle} | {high} | {timing.bar or '-'} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure the start-up; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs of each (default: 20)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="directory for the report")
    options = parser.parse_args(arguments)
    try:
        timings = time_everything(max(options.runs, 1))
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "startup.json").write_text(json.dumps([asdict(timing) for timing in timings], indent=2) + "\n")
    (options.output / "startup.md").write_text(as_markdown(timings))
    print(as_markdown(timings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
