"""The list of a pull, line by line, as it comes: whoever reads it learns as well when nothing has come for a moment."""

from __future__ import annotations

import codecs
import io
import os
import select
import stat
from typing import TYPE_CHECKING

from fastget.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDARD_INPUT = "-"
# Seconds without a line after which that is told.
_MOMENT = 0.1
_BLOCK = 64 * 1024


def lines_of(list_file: str) -> Iterator[str | None]:
    """The lines, without their ends; None where none has come for a moment. Raises ConfigError, then or later."""
    is_input = list_file == STANDARD_INPUT
    try:
        file = open(0 if is_input else list_file, "rb", buffering=0, closefd=not is_input)  # noqa: SIM115
    except OSError as error:
        raise _unreadable(list_file, error) from error
    return _read(file, list_file)


def _read(file: io.FileIO, list_file: str) -> Iterator[str | None]:
    with file:
        try:
            yield from _lines(file)
        except OSError as error:
            raise _unreadable(list_file, error) from error


def _lines(file: io.FileIO) -> Iterator[str | None]:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("surrogateescape"), translate=True)
    may_wait = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    pieces: list[str] = []
    while True:
        if may_wait and not select.select([file], [], [], _MOMENT)[0]:
            yield None
            continue
        data = file.read(_BLOCK)
        first, *others = decoder.decode(data, final=not data).split("\n")
        pieces.append(first)
        for line in others:
            yield "".join(pieces)
            pieces = [line]
        if not data:
            break
    if last := "".join(pieces):
        yield last


def _unreadable(list_file: str, error: OSError) -> ConfigError:
    shown = "on standard input" if list_file == STANDARD_INPUT else list_file or "''"
    return ConfigError(
        f"the list {shown} cannot be read: {error.strerror}", hint="give a file of URLs, or - for standard input"
    )
