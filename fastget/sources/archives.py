"""Archived objects: whether one can be read now, told from what a HEAD or a listing says (wire-spec.md rows 28, 59,
70, 73, 75, 98).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastget.errors import ObjectArchived, RestoreInProgress
from fastget.sources.replies import safe_text

if TYPE_CHECKING:
    from fastget.core.objectinfo import ObjectInfo
    from fastget.errors import ServerReply

# Objects of these have to be restored before they can be read; ACCELERATED is IBM COS's. Unknown classes are readable.
ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE", "ACCELERATED"})
ARCHIVE_TIERS = frozenset({"ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"})
RESTORE_HINT = "restore it first (S3 RestoreObject, `aws s3api restore-object`), then run the same again"
WAIT_HINT = "minutes to days, by its class and the tier of the restoration; `fastget stat` says when it is there"
_ONGOING = re.compile(r'ongoing-request\s*=\s*"?(true|false)', re.IGNORECASE)


def archived_error(info: ObjectInfo, reply: ServerReply | None = None) -> ObjectArchived | None:
    """The error that reading the object of `info` will end with; None where nothing says that it lies in an archive.

    A restored copy is as good as the object. `reply` is what the store said when it refused already.
    """
    storage_class = info.storage_class or (reply.detail("StorageClass") if reply else None)
    tier = info.headers.get("x-amz-archive-status") or (reply.detail("AccessTier") if reply else None)
    is_ongoing = _is_ongoing(info.headers.get("x-amz-restore") or info.restore)
    is_archived = (storage_class or "").upper() in ARCHIVES or (tier or "").upper() in ARCHIVE_TIERS
    has_copy = is_ongoing is False or "x-ibm-restored-copy-storage-class" in info.headers
    if not is_ongoing and (not is_archived or has_copy):
        return None
    kind = RestoreInProgress if is_ongoing else ObjectArchived
    return kind(
        archived_message(info.url, storage_class, tier, is_ongoing=bool(is_ongoing)),
        hint=WAIT_HINT if is_ongoing else RESTORE_HINT,
        url=info.url,
        reply=reply,
        storage_class=storage_class,
        access_tier=tier,
    )


def archived_message(url: str, storage_class: str | None, tier: str | None, *, is_ongoing: bool = False) -> str:
    """The one line about it."""
    where = ", ".join(safe_text(name) for name in (storage_class, tier) if name)
    said = "the object is being restored from its archive" if is_ongoing else "the object lies in an archive"
    return f"{url}: {said} ({where})" if where else f"{url}: {said}"


def _is_ongoing(restore: str | None) -> bool | None:
    """What x-amz-restore says; None where no copy was ever asked for."""
    match = _ONGOING.search(restore or "")
    return None if match is None else match[1].lower() == "true"
