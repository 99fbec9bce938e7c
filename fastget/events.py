"""What happened, as dataclasses: the results of a transfer and the events along its way.

Progress bars, NDJSON and logs are readers of these; nothing else is printed by the library. Sizes are in bytes, times
in seconds, digests in hex. URLs are the redacted form (no query, no user info).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, field
from enum import StrEnum
from typing import Any

from fastget.records import frozen, record


class Method(StrEnum):
    """The rung of the ladder that a download was verified on, best first (docs/concepts/verification.md)."""

    USER_DIGEST = "user-digest"
    FULL_OBJECT = "full-object"
    COMPOSITE = "composite"
    HTTP_DIGEST = "http-digest"
    ETAG_MD5 = "etag-md5"
    SIZE = "size"


@frozen
class Verification:
    """What was compared with what.

    `verified` is True only where a digest of the content was compared and found equal; a comparison of sizes alone is
    not verification. `coverage` is the share of the object's bytes that the digest covers, 0.0 to 1.0. `reason` says
    why nothing better was possible, or, where verified, what the digest was taken from.
    """

    verified: bool
    method: Method
    algorithm: str | None = None
    expected: str | None = None
    actual: str | None = None
    coverage: float = 0.0
    reason: str = ""


@frozen
class Result:
    """A finished download. `path` is None where the bytes went to memory or to standard output.

    `bytes_resumed` were here before, of an earlier download; with `was_here` they were the finished file. `processes`
    have had a share in fetching it.
    """

    url: str
    path: str | None
    size: int
    etag: str | None
    version_id: str | None
    seconds: float
    bytes_received: int
    bytes_resumed: int
    requests: int
    retries: int
    rescues: int
    repairs: int
    connections: int
    split: str
    verification: Verification
    was_here: bool = False
    processes: int = 1

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data, ready for JSON."""
        return asdict(self)


@record
class Started:
    """The object is known and its bytes flow. `size` is None where the server does not say.

    `split` is part, range or stream, and `pieces` their number, as planned: a server that serves no ranges brings it in
    one stream all the same, as `split` of the `Result` says. `verification` is the method that the download is going to
    be checked by.
    """

    url: str
    path: str | None
    size: int | None
    etag: str | None
    version_id: str | None
    split: str
    pieces: int
    connections: int
    verification: Method
    algorithm: str | None


@record
class Progress:
    """A sample of a running transfer, at most ten a second.

    `landed` bytes have reached the sink (it never goes backwards but for a repair); `received` counts every payload
    byte from the network; `verified` bytes have already been compared with a digest of their part.
    """

    url: str
    landed: int
    received: int
    size: int | None
    verified: int
    connections: int
    seconds: float


@record
class Retried:
    """A piece failed and is going to be asked for again after `delay` seconds."""

    url: str
    start: int
    stop: int | None
    attempt: int
    delay: float
    reason: str


@record
class Repaired:
    """Bytes that arrived damaged were found by their digest and fetched again."""

    url: str
    start: int
    stop: int
    reason: str


@record
class Resumed:
    """An earlier download of the same object goes on: `landed` bytes of it were here, and are as they were."""

    url: str
    path: str | None
    size: int
    landed: int


@record
class Restarted:
    """What an earlier download has left is of no use, and everything is fetched."""

    url: str
    path: str | None
    reason: str


@record
class Unchanged:
    """The file is already here, and is the object: nothing is fetched."""

    url: str
    path: str | None
    size: int
    etag: str | None


KEPT_HINT = "the same command goes on from where it stood"


@record
class Kept:
    """The download ends early; `landed` bytes stay beside the destination, and the same call goes on from there."""

    url: str
    path: str | None
    size: int
    landed: int


@record
class PullProgress:
    """A sample of a running pull, at most ten a second. `found` are the objects so far, all of them once `is_listed`.

    `done`, `skipped`, `failed` and `size` as in `PullResult`; `received` counts payload bytes from the network, also of
    large objects that are on their way.
    """

    directory: str
    found: int
    is_listed: bool
    done: int
    skipped: int
    failed: int
    size: int
    received: int
    jobs: int
    seconds: float


@record
class Done:
    """The object is complete, checked and visible."""

    result: Result


@record
class Failed:
    """The download ended in an error; nothing stands under the final name that was not there.

    A pull, which raises none of them, gives the error itself as well: `cause`.
    """

    url: str
    error: str
    message: str
    cause: Exception | None = field(default=None, repr=False, compare=False)


Event = Started | Progress | Retried | Repaired | Resumed | Restarted | Unchanged | Kept | PullProgress | Done | Failed
EventHandler = Callable[[Event], None]
