"""Archived objects are told from readable ones before a byte is asked for."""

from __future__ import annotations

import pickle

import pytest

from fastget.core.messages import Headers
from fastget.core.objectinfo import ObjectInfo
from fastget.errors import FastgetError, ObjectArchived, RestoreInProgress
from fastget.sources.archives import archived_error

ONGOING = 'ongoing-request="true"'
RESTORED = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"'


def info(storage_class: str | None = None, **fields: str) -> ObjectInfo:
    headers = Headers((name.replace("_", "-"), value) for name, value in fields.items())
    return ObjectInfo("s3://b/k", 1, storage_class=storage_class, headers=headers)


@pytest.mark.row(28, 59, 70, 71, 73, 98, 99)
@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (info(), None),
        (info("STANDARD"), None),
        (info("GLACIER_IR"), None),
        (info("EXPRESS_ONEZONE"), None),
        (info("ONEZONE_IA"), None),
        (info("SOMETHING_NEW"), None),
        (info("INTELLIGENT_TIERING"), None),
        (info("GLACIER"), ObjectArchived),
        (info("DEEP_ARCHIVE"), ObjectArchived),
        (info("ACCELERATED"), ObjectArchived),
        (info("INTELLIGENT_TIERING", x_amz_archive_status="ARCHIVE_ACCESS"), ObjectArchived),
        (info("INTELLIGENT_TIERING", x_amz_archive_status="DEEP_ARCHIVE_ACCESS"), ObjectArchived),
        (info("GLACIER", x_amz_restore=ONGOING), RestoreInProgress),
        (info("INTELLIGENT_TIERING", x_amz_archive_status="ARCHIVE_ACCESS", x_amz_restore=ONGOING), RestoreInProgress),
        (info("GLACIER", x_amz_restore=RESTORED), None),
        (info("ACCELERATED", x_ibm_restored_copy_storage_class="STANDARD"), None),
        (info("GLACIER", x_amz_restore="nonsense"), ObjectArchived),
        (ObjectInfo("s3://b/k", 1, storage_class="GLACIER", restore=ONGOING), RestoreInProgress),
        (ObjectInfo("s3://b/k", 1, storage_class="GLACIER", restore=RESTORED), None),
    ],
)
def test_an_object_can_be_read_or_has_to_be_restored_or_is_being_restored(
    found: ObjectInfo, kind: type[FastgetError] | None
) -> None:
    error = archived_error(found)
    assert (type(error) if error is not None else None) is kind


def test_the_error_says_where_the_object_lies_and_what_to_do() -> None:
    error = archived_error(info("INTELLIGENT_TIERING", x_amz_archive_status="ARCHIVE_ACCESS"))
    assert error is not None
    assert str(error) == "s3://b/k: the object lies in an archive (INTELLIGENT_TIERING, ARCHIVE_ACCESS)"
    assert (error.storage_class, error.access_tier) == ("INTELLIGENT_TIERING", "ARCHIVE_ACCESS")
    assert "restore" in (error.hint or "")
    waiting = archived_error(info("GLACIER", x_amz_restore=ONGOING))
    assert waiting is not None
    assert "being restored" in str(waiting)
    copy = pickle.loads(pickle.dumps(waiting))
    assert (type(copy), copy.storage_class, str(copy)) == (RestoreInProgress, "GLACIER", str(waiting))
