"""What an object's identity is good for."""

from __future__ import annotations

import pickle

import pytest

from fastget.core.messages import Headers
from fastget.core.objectinfo import ObjectInfo, Pin, is_strong, names_content

STRONG = ['"abc"', '"d41d8cd98f00b204e9800998ecf8427e-3"', "unquoted", '"*"', '"W/"']
WEAK = ['W/"abc"', 'w/"abc"', 'W/""', '""', "", "*", None]


@pytest.mark.parametrize("etag", STRONG)
def test_a_strong_etag_is_sent_as_it_was_received(etag: str) -> None:
    pin = Pin(etag, None, "Tue, 01 Jan 2030 00:00:00 GMT", 5)
    assert is_strong(etag)
    assert pin.if_match == etag
    assert pin.can_be_combined


@pytest.mark.parametrize("etag", WEAK)
def test_a_weak_or_missing_etag_is_never_sent_and_holds_no_pieces_together(etag: str | None) -> None:
    pin = Pin(etag, None, "Tue, 01 Jan 2030 00:00:00 GMT", 5)
    assert not is_strong(etag)
    assert pin.if_match is None
    assert not pin.can_be_combined


@pytest.mark.parametrize(
    ("etag", "version_id", "expected"),
    [
        ('"e"', None, True),
        ('W/"e"', None, False),
        (None, None, False),
        (None, "null", False),
        (None, "v1", True),
    ],
)
def test_a_strong_etag_or_a_version_names_a_content(etag: str | None, version_id: str | None, expected: bool) -> None:
    assert names_content(etag, version_id) is expected
    assert Pin(etag, version_id, None, None).can_be_combined is expected


def test_a_version_holds_pieces_together_unless_it_is_the_null_version() -> None:
    assert Pin(None, "3HL4kqtJlcpXroDTDmjVBH40Nrjfkd", None, 5).can_be_combined
    assert not Pin('W/"a"', "null", None, 5).can_be_combined
    assert Pin('"a"', "null", None, 5).can_be_combined


def test_the_pin_of_an_object_is_what_its_first_answer_said() -> None:
    info = ObjectInfo(
        url="https://host/key",
        size=7,
        etag='"e"',
        version_id="v",
        last_modified="yesterday",
        content_encoding="gzip",
        headers=Headers([("Set-Cookie", "hunter2")]),
    )
    assert info.pin == Pin('"e"', "v", "yesterday", 7, "gzip")
    assert "hunter2" not in repr(info)
    assert pickle.loads(pickle.dumps(info)) == info
