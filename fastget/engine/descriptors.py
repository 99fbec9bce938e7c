"""How many files and sockets this process may still open (`ulimit -n`)."""

from __future__ import annotations

import errno
import os

from fastget.errors import causes

# Left to the caller, and to what a transfer opens beside its connections: its file, journal, certificates, addresses.
MARGIN = 10
# While it is being made, a connection takes a second descriptor: that of what waits for several addresses.
EACH = 2
_LISTS = ("/proc/self/fd", "/dev/fd")
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})


def room_for_connections() -> int | None:
    """How many connections may be made beside what is open now; None where nothing limits them."""
    left = _left()
    return None if left is None else max(0, left - MARGIN) // EACH


def are_exhausted(error: BaseException | None) -> bool:
    """Whether an error comes from there being no descriptor left, of this process or of the whole system."""
    return any(isinstance(cause, OSError) and cause.errno in _EXHAUSTED for cause in causes(error))


def _left() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most == resource.RLIM_INFINITY:
        return None
    for folder in _LISTS:
        try:
            return int(most) - len(os.listdir(folder)) + 1  # noqa: PTH208 - no Path for each; the list is open itself
        except OSError:
            continue
    return None
