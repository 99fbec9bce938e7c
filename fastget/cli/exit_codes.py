"""What the exit status of `fastget` says: scripts decide by it, so a number never changes its meaning."""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import TYPE_CHECKING

from fastget import errors

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExitCode(IntEnum):
    """The exit statuses, as the documentation lists them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    AUTH = 4
    NETWORK = 5
    SOURCE_CHANGED = 6
    CHECKSUM = 7
    DISK = 8
    HUNG_UP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


_BY_SIGNAL: dict[int, ExitCode] = {signal.SIGHUP: ExitCode.HUNG_UP, signal.SIGTERM: ExitCode.TERMINATED}
# The first class that fits decides, so a leaf stands before the class that it belongs to.
_BY_ERROR: tuple[tuple[type[errors.FastgetError], ExitCode], ...] = (
    (errors.ConfigError, ExitCode.USAGE),
    (errors.NotFound, ExitCode.NOT_FOUND),
    (errors.ObjectDeleted, ExitCode.NOT_FOUND),
    (errors.AccessDenied, ExitCode.AUTH),
    (errors.CredentialsError, ExitCode.AUTH),
    (errors.ObjectArchived, ExitCode.AUTH),
    (errors.SourceChanged, ExitCode.SOURCE_CHANGED),
    (errors.NotModified, ExitCode.FAILED),
    (errors.SourceError, ExitCode.NETWORK),
    (errors.NetworkError, ExitCode.NETWORK),
    (errors.ChecksumMismatch, ExitCode.CHECKSUM),
    (errors.Unverifiable, ExitCode.CHECKSUM),
    (errors.DestinationError, ExitCode.DISK),
    (errors.Cancelled, ExitCode.INTERRUPTED),
)


def of_error(error: errors.FastgetError) -> ExitCode:
    """The exit status of a download of one object that failed with `error`."""
    if is_broken_pipe(error):
        return ExitCode.BROKEN_PIPE
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.FAILED)


def of_outcomes(codes: Sequence[ExitCode]) -> ExitCode:
    """The exit status of a command from those of its objects: one speaks for itself, several say 0 or 1."""
    if len(codes) == 1:
        return codes[0]
    return ExitCode.DONE if all(code is ExitCode.DONE for code in codes) else ExitCode.FAILED


def of_signal(signal_number: int) -> ExitCode:
    """The exit status after a signal: 128 and its number, as shells report it."""
    return _BY_SIGNAL.get(signal_number, ExitCode.INTERRUPTED)


def is_broken_pipe(error: BaseException | None) -> bool:
    """Whether an error came about because nobody reads standard output any more."""
    while error is not None:
        if isinstance(error, BrokenPipeError):
            return True
        error = error.__cause__
    return False
