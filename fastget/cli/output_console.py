"""Standard output as rich writes to it."""

from __future__ import annotations

from typing import Never

from rich.console import Console


class OutputConsole(Console):
    """A console that says when nobody reads any more; rich itself would end the process with 1."""

    def on_broken_pipe(self) -> Never:
        """Called where BrokenPipeError was raised: it goes on to whoever knows the exit status."""
        raise  # noqa: PLE0704
