"""Which sink a path on the command line or in a call means."""

from __future__ import annotations

import os
import stat
import sys
from os import PathLike
from typing import TYPE_CHECKING

from fastget.errors import ConfigError, DestinationError
from fastget.sinks.kept import KeptFile
from fastget.sinks.names import is_own_name, name_of
from fastget.sinks.stream import StreamSink

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.sinks.protocol import Sink

STDOUT = "-"
_STANDARD = {"stdin": 0, "stdout": 1, "stderr": 2}


def open_sink(path: str | PathLike[str], config: Config) -> Sink:
    """The sink for `path`, not opened yet: "-" is standard output, a pipe or device a stream, the rest files.

    /dev/stdout and /dev/fd/N mean the open descriptor itself, wherever it leads: opened by name, a redirected
    one would lose its position, and, being a link, could be replaced by a file. Raises ConfigError for an
    empty path or what is none, DestinationError for one that the system has no bytes for or that unfinished files have,
    or where there is no standard output.
    """
    name = name_of(path, "give a file name; what is open already is written to from stream()")
    if not name:
        raise ConfigError("the destination has no name", hint="give a file name, or - for standard output")
    if name == STDOUT:
        return StreamSink(_stdout(), max_memory=config.max_memory)
    descriptor = descriptor_of(name)
    if descriptor is not None:
        given = None if descriptor == _STANDARD["stdout"] else name
        return StreamSink(descriptor, name=given, max_memory=config.max_memory)
    if _is_stream(name):
        return StreamSink(name, max_memory=config.max_memory)
    if is_own_name(name):
        raise DestinationError(
            f"{name} is a name of fastget's own unfinished files, and none of a finished one",
            path=name,
            hint="choose another name",
        )
    return KeptFile(name, fsync=config.fsync, overwrite=config.overwrite, resume=config.resume)


def _stdout() -> int:
    try:
        sys.stdout.flush()
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError) as error:
        raise DestinationError("there is no standard output to write to", hint="give a file name") from error


def descriptor_of(path: str) -> int | None:
    """The number that a name such as /dev/stdout, /dev/fd/5 or /proc/self/fd/5 stands for."""
    folder, name = os.path.split(path)
    if name not in _STANDARD and not (name.isascii() and name.isdecimal()):
        return None
    folder = os.path.realpath(folder)
    if folder == "/dev":
        return _STANDARD.get(name)
    if name.isdecimal() and folder in ("/dev/fd", f"/proc/{os.getpid()}/fd"):
        return int(name)
    return None


def _is_stream(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  a Path would lose a trailing slash
    except (OSError, ValueError):
        return False  # a file to be made, or one that KeptFile says what is wrong with
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)
