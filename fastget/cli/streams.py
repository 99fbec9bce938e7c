"""Standard output and standard error as this command needs them, whatever the process was started with.

What goes to standard error is for people: where it cannot be written it is lost, and nothing else is. Standard output
is data: where that cannot be written the command has failed.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

_OUTPUT, _MESSAGES = 1, 2


class OutputLost(OSError):
    """Standard output cannot be written; where nobody reads it any more it is a BrokenPipeError instead."""


class Output(TextIOWrapper):
    """Data: BrokenPipeError or OutputLost say that it cannot be written, and nothing else raises them."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise _loss(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _loss(error) from error


class Messages(TextIOWrapper):
    """Text for people: what cannot be written is lost without a word."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            return  # it stays in the buffer, in case that there is room again


def prepare_streams() -> None:
    """Replace the two streams, where they are those of the process; neither fails on a character afterwards."""
    _fill_gaps()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _replaced(Output, _OUTPUT, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _replaced(Messages, _MESSAGES, sys.stderr)


def write_output(data: bytes) -> None:
    """Write to standard output at once; the buffer's own lock keeps what several threads write apart.

    Raises BrokenPipeError and OutputLost.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _loss(error) from error


def silence_output() -> None:
    """Nobody gets standard output any more: the interpreter's own last flush must not fail."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, _OUTPUT)
    os.close(descriptor)


def _replaced(kind: type[TextIOWrapper], descriptor: int, before: object) -> TextIOWrapper:
    file = open(descriptor, "wb", closefd=False)  # noqa: SIM115  kept to the end
    encoding, is_prompt = "utf-8", True
    if isinstance(before, TextIOWrapper):
        encoding, is_prompt = before.encoding, before.line_buffering or before.write_through
    return kind(file, encoding, "backslashreplace", line_buffering=is_prompt or descriptor == _MESSAGES)


def _loss(error: OSError) -> OSError:
    return error if isinstance(error, BrokenPipeError) else OutputLost(error.errno, error.strerror)


def _fill_gaps() -> None:
    """No file or socket of ours may become standard input, output or error, which others write to.

    What fills a gap is open the wrong way around: what is written there must fail, and not vanish.
    """
    for number, mode in ((0, os.O_WRONLY), (_OUTPUT, os.O_RDONLY), (_MESSAGES, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            descriptor = os.open(os.devnull, mode)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
