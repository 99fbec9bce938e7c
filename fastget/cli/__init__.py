"""The command line: one verb a file, and the only room that knows click and rich."""

from __future__ import annotations

owns_process = False
"""Whether this process is the command's own, and ends with it: `fastget.__main__` says so before anything is run."""
