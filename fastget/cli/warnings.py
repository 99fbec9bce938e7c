"""Warnings of the library at a shell: whole lines in the command's words, above a bar where there is one."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

from fastget.cli.terminal import can_animate, printable
from fastget.warn import before_warnings

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

# What -q leaves: that others can read what is sent.
NEEDED = "fastget.transport"


def write_warning(line: str) -> None:
    """To standard error. What moves there is drawn anew by whoever draws it."""
    erase = "\r\x1b[K" if can_animate(sys.stderr, os.environ) else ""
    sys.stderr.write(f"{erase}{line}\n")


class _Listener:
    """Who is told of warnings now, and whether of those alone that are `NEEDED`."""

    __slots__ = ("handler", "is_quiet", "tell")

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = write_warning
        self.is_quiet = False
        self.handler: logging.Handler | None = None

    def hear(self, text: str, logger: str) -> None:
        if not self.is_quiet or logger == NEEDED:
            self.tell(f"fastget: warning: {printable(' '.join(text.split()))}")

    def attach(self) -> None:
        """The first time: logging takes too long to load for nothing."""
        if self.handler is not None:
            return
        import logging

        hear = self.hear

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                hear(record.getMessage(), record.name)

        self.handler = Handler(logging.WARNING)
        logging.getLogger("fastget").addHandler(self.handler)


_listener = _Listener()


def hear_warnings(tell: Callable[[str], None] = write_warning, *, quiet: bool = False) -> None:
    """From now on `tell` gets each as a line, safe to print, in the thread that warns."""
    _listener.tell, _listener.is_quiet = tell, quiet
    warnings.showwarning = _show
    before_warnings(_listener.attach)


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    """One of Python's own warnings, as libraries give them."""
    _listener.hear(str(message), "")
