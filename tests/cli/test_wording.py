"""The sentences about a transfer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastget.cli.wording import Summary, is_worth_telling, remark, summary_text, transfer_text, verification_text
from fastget.events import Failed, Method, Repaired, Result, Retried, Started, Verification


def test_a_finished_object_is_told_in_one_line(result: Result) -> None:
    assert transfer_text(result) == "big.bin: 2.00 GiB in 1.6 s, 1.25 GiB/s, 8 connections"


def test_what_went_wrong_on_the_way_is_told_too(result: Result) -> None:
    rough = replace(result, path=None, retries=2, repairs=1, bytes_resumed=1024, connections=1)
    assert transfer_text(rough) == (
        "standard output: 2.00 GiB in 1.6 s, 1.25 GiB/s, 1 connection, 1.00 KiB were there already, "
        "2 retries, 1 damaged piece fetched again"
    )


@pytest.mark.fault("S10")
def test_a_name_cannot_steer_the_terminal(result: Result) -> None:
    assert transfer_text(replace(result, path="a\x1b[2Jb")).isprintable()


@pytest.mark.parametrize("method", list(Method))
def test_every_method_of_verification_has_its_words(method: Method) -> None:
    text = verification_text(Verification(True, method, "crc32c", coverage=1.0))
    assert text.startswith("verified by ")
    assert "CRC32C" in text or method is Method.SIZE


def test_part_of_the_bytes_is_not_all_of_them() -> None:
    text = verification_text(Verification(True, Method.FULL_OBJECT, "crc32c", coverage=0.4))
    assert text == "verified by the CRC32C of the whole object, for 40% of its bytes"


def test_what_was_not_verified_says_why() -> None:
    reason = "the store declared no checksum"
    assert verification_text(Verification(False, Method.SIZE, reason=reason)) == f"not verified: {reason}"
    assert verification_text(Verification(False, Method.SIZE)) == "not verified: only the size was compared"


def test_a_summary_counts_objects_and_bytes() -> None:
    assert summary_text(Summary(3, 0, 3 * 1024**3, 2.0, 0)) == "3 of 3 objects, 3.00 GiB in 2.0 s"
    assert summary_text(Summary(1, 2, 5, 2.0, 1)) == "1 of 3 objects, 5 B in 2.0 s, 2 failed"


def test_a_command_that_was_cut_short_says_what_it_did_and_counts_itself_for_no_object() -> None:
    cut_short = Summary(432, 1, 5, 2.0, 130, skipped=2, is_cut_short=True)
    assert summary_text(cut_short) == "432 objects so far, 5 B in 2.0 s, 2 were here already"
    assert not is_worth_telling(Summary(0, 1, 0, 0.1, 2, skipped=0, is_cut_short=True))


def test_one_object_that_is_here_already_is_told_as_one() -> None:
    assert summary_text(Summary(2, 0, 5, 2.0, 0, skipped=1)) == "2 of 2 objects, 5 B in 2.0 s, 1 was here already"


def test_remarks_tell_of_the_start_of_retries_and_of_repairs() -> None:
    started = Started("http://h/x", "x", 2048, '"e\x1b"', None, "range", 3, 2, Method.COMPOSITE, "crc32c")
    assert remark(started) == (
        'http://h/x: 2.00 KiB, ETag "e\\x1b", 3 pieces by range, 2 connections, '
        "to be checked by the CRC32C of its parts"
    )
    assert remark(Retried("http://h/x", 0, None, 2, 0.5, "reset")) == (
        "http://h/x: bytes 0 to the end again in 0.5 s, attempt 2: reset"
    )
    assert remark(Repaired("http://h/x", 0, 10, "other digest")) == (
        "http://h/x: bytes 0 to 10 arrived damaged, and are fetched again: other digest"
    )
    assert remark(Failed("http://h/x", "NotFound", "no")) is None
