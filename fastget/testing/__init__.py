"""An object server for tests: it serves objects the way S3 does, and misbehaves as told.

    from fastget.testing import Content, ObjectServer, StoredObject, faults

    stored = StoredObject(Content.generated(32 * 2**20), checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/bucket/key": stored}, faults=[faults.reset(after=1000).on(request=3)]) as server:
        fetch(server.url("/bucket/key"))
        assert server.requests[-1].headers.get("If-Match") == stored.etag

`python -m fastget.testing` runs one as a process of its own.
"""

from __future__ import annotations

from fastget.core.checksums.algorithms import Algorithm
from fastget.testing import faults
from fastget.testing.behaviour import Attributes, Behaviour, EmptyRange, ETags, HeadPart, RangeChecksum
from fastget.testing.chaos import Chaos
from fastget.testing.content import Content
from fastget.testing.fault import Fault, When
from fastget.testing.objects import StoredObject, StoredPart
from fastget.testing.record import RecordedRequest
from fastget.testing.server import ObjectServer

__all__ = [
    "Algorithm",
    "Attributes",
    "Behaviour",
    "Chaos",
    "Content",
    "ETags",
    "EmptyRange",
    "Fault",
    "HeadPart",
    "ObjectServer",
    "RangeChecksum",
    "RecordedRequest",
    "StoredObject",
    "StoredPart",
    "When",
    "faults",
]
