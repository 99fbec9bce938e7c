"""How a server answers as a rule: its speed, and what of HTTP and of S3 it honours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ETags(StrEnum):
    """The form in which entity tags are sent (wire-spec.md §4)."""

    STRONG = "strong"
    WEAK = "weak"
    UNQUOTED = "unquoted"
    NONE = "none"


class HeadPart(StrEnum):
    """What `HEAD ?partNumber=k` is answered with (wire-spec.md §3, Stores)."""

    PART = "part"
    WHOLE_SIZE = "whole-size"  # SeaweedFS: 200 and the size of the object
    PART_ETAG = "part-etag"  # moto: 200, the part's size and the part's own ETag, no Content-Range


class Attributes(StrEnum):
    """What GetObjectAttributes is answered with (wire-spec.md §2.2)."""

    AS_S3 = "as-s3"  # parts are listed where they have checksums of their own
    NO_PARTS = "no-parts"  # moto
    IGNORED = "ignored"  # the query is not known: the object itself comes
    DENIED = "403"
    FAILS = "500"
    NOT_IMPLEMENTED = "501"


class EmptyRange(StrEnum):
    """What a range of an empty object is answered with (faults.md H51, H52)."""

    UNSATISFIABLE = "416"
    WHOLE = "200"
    IMPOSSIBLE = "206"  # `bytes 0--1/0`


class RangeChecksum(StrEnum):
    """Which checksum a range or a part is answered with (wire-spec.md §2.2, §3)."""

    AS_S3 = "as-s3"
    NONE = "none"
    OBJECT = "object"  # the whole object's value on every 206: early Ceph, rclone
    PARTS = "parts"  # that of a part which was asked for by number, none of a range: MinIO
    PARTS_OF_ALL = "parts-of-all"  # on parts the object's value too, where that is FULL_OBJECT: Ceph


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How every request is answered. The defaults are those of S3, without delay and as fast as it goes.

    `first_byte_delay` is a span of seconds from which each answer's delay is drawn; `rate_per_connection` is
    in bytes a second, and so is `rate`, which all connections share. `ranges`, `part_numbers`, `conditions` and
    `if_match` say what of a request is honoured; what is not is ignored. `send_length=False` sends bodies in
    chunked coding. `partial_status` is what a range is answered with. `amazon=False` leaves out
    every `x-amz-` header and the XML of errors.
    `transcodes_gzip` inflates what is stored with `Content-Encoding: gzip` where the client does not accept
    it, without length and without ranges, as Google Cloud Storage does. `part_content_range=False` leaves the
    Content-Range out of the answers about parts (Ceph), which also counts the parts in plain answers with
    `counts_parts_always`; `part_etag` sends a part's own ETag with it (SeaweedFS until 2025), and with
    `parts_by_index` the number of a part is looked for, but its place taken for the position (MinIO, sparse numbers).
    `whole_for_only_part` answers part 1 of an object that has no others with 200 (VersityGW), `whole_for_parts` a
    GET of any part of one that has (moto). `refuses_own_etag`
    answers 412 to every If-Match (SeaweedFS 3.97). `range_refusal` is the status that refuses all ranges and part
    numbers (501, Object Lambda). `server` is the Server field.
    """

    first_byte_delay: tuple[float, float] = (0.0, 0.0)
    rate_per_connection: float | None = None
    rate: float | None = None
    keep_alive: bool = True
    send_length: bool = True
    head: bool = True
    ranges: bool = True
    part_numbers: bool = True
    conditions: bool = True
    if_match: bool = True
    if_match_unquoted_only: bool = False
    etags: ETags = ETags.STRONG
    accept_ranges: str | None = "bytes"
    partial_status: int = 206
    total_on_416: bool = False
    empty_range: EmptyRange = EmptyRange.UNSATISFIABLE
    head_part: HeadPart = HeadPart.PART
    part_content_range: bool = True
    counts_parts_always: bool = False
    part_etag: bool = False
    parts_by_index: bool = False
    whole_for_only_part: bool = False
    whole_for_parts: bool = False
    attributes: Attributes = Attributes.AS_S3
    refuses_own_etag: bool = False
    range_refusal: int | None = None
    server: str | None = None
    checksums: bool = True
    range_checksum: RangeChecksum = RangeChecksum.AS_S3
    composite_suffix_on_head: bool = True
    transcodes_gzip: bool = False
    amazon: bool = True
