"""moto's server in a process of the interpreter that TRUSTME_PYTHON names: as a command, and for use by a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys

_PYTHON = os.environ["TRUSTME_PYTHON"]
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _command(*arguments: str) -> list[str]:
    return [_PYTHON, "-m", "moto.server", *arguments]


class ThreadedMotoServer:
    """Like moto's own, but for its being a process."""

    def __init__(self, ip_address: str, port: int, verbose: bool) -> None:
        self._arguments = ("-H", ip_address, "-p", str(port))

    def start(self) -> None:
        self._process = subprocess.Popen(_command(*self._arguments), env=_CLEAN, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr
        lines = (re.search(r"Running on http://([\d.]+):(\d+)", line) for line in self._process.stderr)
        self._place = next(found for found in lines if found)

    def get_host_and_port(self) -> tuple[str, int]:
        return self._place[1], int(self._place[2])

    def stop(self) -> None:
        with self._process:
            self._process.kill()


if __name__ == "__main__":
    os.execve(_PYTHON, _command(*sys.argv[1:]), _CLEAN)
