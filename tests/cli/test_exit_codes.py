"""Every error has an exit status that scripts can rely on."""

from __future__ import annotations

import signal

import pytest

from fastget import errors
from fastget.cli import exit_codes
from fastget.cli.exit_codes import ExitCode

EXPECTED = {
    "AccessDenied": 4,
    "Cancelled": 130,
    "ChecksumMismatch": 7,
    "ConfigError": 2,
    "CredentialsError": 4,
    "DestinationError": 8,
    "FastgetError": 1,
    "InvalidURL": 2,
    "NetworkError": 5,
    "NoSpace": 8,
    "NoThreadError": 1,
    "NotFound": 3,
    "NotModified": 1,
    "ObjectArchived": 4,
    "ObjectDeleted": 3,
    "ProtocolError": 5,
    "RangeNotSupported": 5,
    "RestoreInProgress": 4,
    "ServerError": 5,
    "SourceChanged": 6,
    "SourceError": 5,
    "Stalled": 5,
    "Throttled": 5,
    "Unverifiable": 7,
}


def test_every_error_has_its_exit_status() -> None:
    found = {
        name: exit_codes.of_error(getattr(errors, name)("no"))
        for name in errors.__all__
        if issubclass(getattr(errors, name), errors.FastgetError)
    }
    assert found == EXPECTED


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], 0),
        ([0], 0),
        ([3], 3),
        ([7], 7),
        ([0, 0], 0),
        ([0, 3], 1),
        ([5, 5], 1),
    ],
)
def test_one_object_speaks_for_itself_and_several_say_whether_some_failed(codes: list[int], expected: int) -> None:
    assert exit_codes.of_outcomes([ExitCode(code) for code in codes]) == expected


def test_a_signal_is_128_and_its_number() -> None:
    assert exit_codes.of_signal(signal.SIGINT) == 128 + signal.SIGINT
    assert exit_codes.of_signal(signal.SIGTERM) == 128 + signal.SIGTERM
    assert exit_codes.of_signal(signal.SIGHUP) == 128 + signal.SIGHUP
    assert ExitCode.BROKEN_PIPE == 128 + signal.SIGPIPE


def test_a_reader_that_has_gone_is_found_among_the_causes() -> None:
    error = errors.DestinationError("cannot write the stream")
    error.__cause__ = BrokenPipeError()
    assert exit_codes.of_error(error) is ExitCode.BROKEN_PIPE
    assert exit_codes.of_error(errors.DestinationError("cannot write the stream")) is ExitCode.DISK
