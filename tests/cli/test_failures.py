"""An error at a shell: what was wrong, what the server said, what to do."""

from __future__ import annotations

import pytest

from fastget.cli.failures import failure_fields, failure_lines
from fastget.errors import (
    AccessDenied,
    ChecksumMismatch,
    FastgetError,
    NetworkError,
    NoSpace,
    NotFound,
    ServerReply,
    Throttled,
)

REPLY = ServerReply(404, "NoSuchKey", "The specified key does not exist.", "R1", "H1")


@pytest.mark.parametrize(
    ("error", "url", "expected"),
    [
        (NotFound("there is no such object"), None, ["fastget: there is no such object"]),
        (
            NotFound("there is no such object", hint="check the spelling"),
            "http://host/x",
            ["fastget: http://host/x: there is no such object", "hint: check the spelling"],
        ),
        (
            NotFound("http://host/x: there is no such object"),
            "http://host/x",
            ["fastget: http://host/x: there is no such object"],
        ),
        (
            NotFound("there is no such object", reply=REPLY),
            None,
            [
                "fastget: there is no such object",
                "  the server said: 404 NoSuchKey: The specified key does not exist",
                "  ids: request R1, host H1",
            ],
        ),
        (
            NotFound("no such object (404 NoSuchKey: The specified key does not exist.)", reply=REPLY),
            None,
            [
                "fastget: no such object (404 NoSuchKey: The specified key does not exist.)",
                "  ids: request R1, host H1",
            ],
        ),
        (
            AccessDenied("refused", reply=ServerReply(403)),
            None,
            ["fastget: refused", "  the server said: 403"],
        ),
        (NoSpace("the disk is full.\n", path="/x"), None, ["fastget: the disk is full"]),
        (FastgetError(""), None, ["fastget: FastgetError"]),
    ],
)
def test_an_error_is_told_in_a_line_with_a_hint_below(
    error: FastgetError, url: str | None, expected: list[str]
) -> None:
    assert failure_lines(error, url) == expected


@pytest.mark.fault("S10", "S11")
def test_a_server_cannot_steer_the_terminal_with_its_words() -> None:
    reply = ServerReply(403, "Evil\x1b]0;title\x07", "up\x1b[2J \u202ereversed \x9b31m", "id\r\n2")
    lines = failure_lines(AccessDenied("refused\x1b[31m", hint="\x08\x08", reply=reply), "http://host/\x1b")
    text = "".join(lines)
    assert text.isprintable()
    assert "\\x1b[2J" in text
    assert "\\u202e" in text


def test_verbose_adds_the_kind_and_the_causes() -> None:
    error = NetworkError("cannot connect")
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    lines = failure_lines(error, verbose=True)
    assert "  error: NetworkError, exit status 5" in lines
    assert "  caused by: ConnectionRefusedError: [Errno 111] Connection refused" in lines


def test_verbose_tells_of_a_foreign_cause_its_name_alone() -> None:
    error = NetworkError("cannot connect")
    error.__cause__ = RuntimeError("GET http://host/x?X-Amz-Signature=secret")
    assert "  caused by: RuntimeError" in failure_lines(error, verbose=True)
    assert "secret" not in "".join(failure_lines(error, verbose=True))


def test_verbose_adds_both_digests_and_the_time_to_wait() -> None:
    mismatch = ChecksumMismatch("wrong bytes", algorithm="crc32c", expected="aa", actual="bb")
    assert "  crc32c: expected aa, got bb" in failure_lines(mismatch, verbose=True)
    slow = Throttled("too many requests", reply=ServerReply(503, "SlowDown", retry_after=7.0))
    assert "  retry after: 7 s" in failure_lines(slow, verbose=True)


def test_json_has_the_same_facts() -> None:
    fields = failure_fields(NotFound("gone", hint="look", reply=REPLY), 3)
    assert fields == {
        "error": "NotFound",
        "message": "gone",
        "hint": "look",
        "exit_code": 3,
        "reply": {
            "status": 404,
            "code": "NoSuchKey",
            "message": "The specified key does not exist.",
            "request_id": "R1",
            "host_id": "H1",
            "retry_after": None,
            "details": {},
        },
    }


def test_json_has_the_digests_of_a_mismatch() -> None:
    fields = failure_fields(ChecksumMismatch("wrong", algorithm="md5", expected="aa", actual="bb"), 7)
    assert (fields["algorithm"], fields["expected"], fields["actual"]) == ("md5", "aa", "bb")
