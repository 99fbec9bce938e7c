"""What the library warns of: records of Python's logging, which is loaded with the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_prepare: Callable[[], None] | None = None


def before_warnings(prepare: Callable[[], None]) -> None:
    """Have `prepare` called before each warning is logged: the command says there who hears of it."""
    global _prepare  # noqa: PLW0603 - one process has one command
    _prepare = prepare


def warn(logger: str, text: str, *arguments: object) -> None:
    """Log a warning, as `logging.getLogger(logger).warning` does."""
    import logging

    if _prepare is not None:
        _prepare()
    logging.getLogger(logger).warning(text, *arguments)
