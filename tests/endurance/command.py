"""The command as a process of its own, for runs that kill it or take its disk away."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastget.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fastget.testing import Content

HOME = Path(__file__).resolve().parents[2]
# Long after which nothing moves any more: a hang.
LIMIT = 60.0
# Calls that change the disk; those that also read files, such as openat, would fail the interpreter's own start.
WRITE_CLASS = (
    "pwrite64,pwritev,pwritev2,fallocate,ftruncate,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,"
    "link,linkat,fchmod"
)
# What journals are appended by, and messages told by. strace counts each call of each thread by itself.
APPENDING = "write,writev"
# The last of them, which a thread comes to after few calls.
FINISHING = "fsync,fdatasync,rename,renameat,renameat2,link,linkat,fchmod,ftruncate"
# An unlink that fails leaves its file; one that ends the process is a moment like others.
REMOVING = "unlink,unlinkat"
# Of nobody: servers of fastget.testing check no signature.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "example",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_WITHOUT_FLOCK = """
import fcntl, sys
fcntl.flock = fcntl.lockf = lambda *_: None
from fastget.__main__ import main
sys.argv[0] = "fastget"
main()
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """A server in a process of its own, which tells its URL first and ends with its input."""

    base_url: str
    process: subprocess.Popen[str]

    def stop(self) -> str:
        """End it; what it said on its way out."""
        said, _ = self.process.communicate()
        return said


@contextmanager
def serving(source: str) -> Iterator[Serving]:
    """Run `source`, the Python code of a server."""
    with subprocess.Popen(
        (sys.executable, "-c", source),
        cwd=HOME,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield Serving(process.stdout.readline().strip(), process)


def environment() -> dict[str, str]:
    """One that takes nothing from the shell of whoever runs this."""
    mine = ("AWS_", "FASTGET_", "BOTO_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(mine) and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONPATH": str(HOME), "PYTHONDONTWRITEBYTECODE": "1"}


def command(*arguments: str, before: Sequence[str] = (), flock: bool = True) -> list[str]:
    """The words that run fastget with these arguments."""
    program = ["-m", "fastget"] if flock else ["-c", _WITHOUT_FLOCK]
    return [*before, sys.executable, *program, *arguments]


def python(*arguments: str) -> list[str]:
    """The words that run Python with these arguments."""
    return [sys.executable, *arguments]


def begin(
    words: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start it in a process group of its own, with these variables beside the usual ones."""
    return subprocess.Popen(
        words,
        cwd=folder,
        env={**environment(), **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **options,
    )


def end(process: subprocess.Popen[bytes]) -> tuple[int | None, str]:
    """Wait for its end: the exit status and what it said; None where it hung and was killed."""
    try:
        _, stderr = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        kill(process)
        process.communicate()
        return None, "hung"
    return process.returncode, stderr.decode(errors="replace")


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 for it and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def injecting(calls: str, fault: str, trace: str = os.devnull) -> tuple[str, ...]:
    """The words of strace that make calls fail, or their process end, as `fault` says."""
    return ("strace", "-f", "-qq", "-o", trace, "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}")


def can_resume() -> bool:
    """Whether this fastget goes on with what a killed one has left; then it also clears that away in the end."""
    return any(item.name == "resume" for item in dataclasses.fields(Config))


def digest_of(content: Content) -> bytes:
    """The SHA-256 of content."""
    hasher = hashlib.sha256()
    for buffers in content.blocks():
        for buffer in buffers:
            hasher.update(buffer)
    return hasher.digest()


def digest_at(path: Path) -> bytes | None:
    """The SHA-256 of a file; None where there is none."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
