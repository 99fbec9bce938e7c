"""Stores that follow S3 up to a point, each as the object server plays it (wire-spec.md §3, §4; faults.md §3.1).

    from fastget.testing import ObjectServer
    from fastget.testing.quirks import QUIRKS

    quirk = QUIRKS["ceph"]
    with ObjectServer({"/bucket/key": quirk.dress(stored)}, behaviour=quirk.behaviour) as server:
        ...

What is known of them comes from their sources, documents and recorded answers; a newer release may do otherwise.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.ranges import Span
from fastget.testing.behaviour import Attributes, Behaviour, EmptyRange, HeadPart, RangeChecksum
from fastget.testing.objects import StoredObject, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Quirk:
    """One store: its name for people, how it answers, and what it makes of an object that S3 would store as given."""

    title: str
    behaviour: Behaviour
    dress: Callable[[StoredObject], StoredObject] = lambda stored: stored


def without_checksum(stored: StoredObject) -> StoredObject:
    """A store that keeps none: the ETag is all that there is."""
    return replace(stored, checksum=None)


def on_rclone(stored: StoredObject) -> StoredObject:
    """The ETag is the MD5 of the file that it has become; a checksum is kept of what was put in one piece."""
    md5 = digest_of(stored.content, Span(0, stored.content.size), Algorithm.MD5).hex()
    checksum = None if stored.is_multipart else stored.checksum
    return replace(stored, checksum=checksum, part_sizes=None, part_numbers=None, etag=f'"{md5}"')


def transformed(stored: StoredObject) -> StoredObject:
    """What a function has sent: nothing is declared of it."""
    return replace(stored, checksum=None, etag='"transformed"', part_sizes=None, part_numbers=None)


def on_google(stored: StoredObject) -> StoredObject:
    """Digests of the stored bytes in x-goog-hash, without MD5 where the object was composed of parts."""
    whole = Span(0, stored.content.size)
    crc = b64encode(digest_of(stored.content, whole, Algorithm.CRC32C)).decode()
    md5 = digest_of(stored.content, whole, Algorithm.MD5)
    hashes = f"crc32c={crc}" if stored.is_multipart else f"crc32c={crc},md5={b64encode(md5).decode()}"
    headers = {
        "x-goog-generation": "1767225600000001",
        "x-goog-hash": hashes,
        "x-goog-stored-content-length": str(stored.content.size),
        "x-goog-stored-content-encoding": stored.headers.get("Content-Encoding", "identity"),
    }
    etag = '"-CKicn4fknfQCEAE="' if stored.is_multipart else f'"{md5.hex()}"'
    return replace(
        stored, checksum=None, part_sizes=None, part_numbers=None, etag=etag, headers={**headers, **stored.headers}
    )


def with_gaps(stored: StoredObject) -> StoredObject:
    """Part numbers that were left out while uploading: 1, 3, 5, …"""
    if stored.part_sizes is None:
        return stored
    return replace(stored, part_numbers=tuple(2 * index + 1 for index in range(len(stored.part_sizes))))


QUIRKS: dict[str, Quirk] = {
    "aws": Quirk("Amazon S3", Behaviour(server="AmazonS3")),
    "object-lambda": Quirk(
        "Amazon S3 Object Lambda", Behaviour(server="AmazonS3", range_refusal=501, checksums=False), transformed
    ),
    "moto": Quirk(
        "moto 5.2",
        Behaviour(
            keep_alive=False,
            head_part=HeadPart.PART_ETAG,
            whole_for_parts=True,
            attributes=Attributes.NO_PARTS,
            composite_suffix_on_head=False,
        ),
    ),
    "rclone": Quirk(
        "rclone serve s3",
        Behaviour(
            part_numbers=False,
            conditions=False,
            partial_status=200,
            range_checksum=RangeChecksum.OBJECT,
            attributes=Attributes.FAILS,
        ),
        on_rclone,
    ),
    "ceph": Quirk(
        "Ceph RGW",
        Behaviour(
            part_content_range=False,
            counts_parts_always=True,
            range_checksum=RangeChecksum.PARTS_OF_ALL,
            attributes=Attributes.NOT_IMPLEMENTED,
        ),
    ),
    "seaweedfs": Quirk("SeaweedFS", Behaviour(head_part=HeadPart.WHOLE_SIZE, attributes=Attributes.NOT_IMPLEMENTED)),
    "seaweedfs-3.97": Quirk(
        "SeaweedFS 3.97",
        Behaviour(
            head_part=HeadPart.WHOLE_SIZE,
            part_etag=True,
            refuses_own_etag=True,
            attributes=Attributes.NOT_IMPLEMENTED,
        ),
    ),
    "r2": Quirk("Cloudflare R2", Behaviour(server="cloudflare", attributes=Attributes.NOT_IMPLEMENTED)),
    "minio": Quirk("MinIO", Behaviour(server="MinIO", range_checksum=RangeChecksum.PARTS)),
    "minio-gaps": Quirk(
        "MinIO, part numbers with gaps",
        Behaviour(
            server="MinIO",
            range_checksum=RangeChecksum.PARTS,
            parts_by_index=True,
            empty_range=EmptyRange.IMPOSSIBLE,
        ),
        with_gaps,
    ),
    "noobaa": Quirk("NooBaa before 5.17", Behaviour(part_numbers=False, attributes=Attributes.IGNORED)),
    "storagegrid": Quirk(
        "NetApp StorageGRID",
        Behaviour(range_checksum=RangeChecksum.NONE, attributes=Attributes.NOT_IMPLEMENTED),
    ),
    "versitygw": Quirk("VersityGW", Behaviour(server="VERSITYGW", whole_for_only_part=True)),
    "spaces": Quirk(
        "DigitalOcean Spaces",
        Behaviour(if_match_unquoted_only=True, part_content_range=False, attributes=Attributes.NOT_IMPLEMENTED),
        without_checksum,
    ),
    "gcs": Quirk(
        "Google Cloud Storage (XML)",
        Behaviour(
            server="UploadServer",
            amazon=False,
            part_numbers=False,
            transcodes_gzip=True,
            attributes=Attributes.IGNORED,
        ),
        on_google,
    ),
    "ministack": Quirk("ministack", Behaviour(if_match=False, part_numbers=False, attributes=Attributes.DENIED)),
}
