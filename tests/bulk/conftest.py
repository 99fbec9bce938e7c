"""Servers with a bucket that can be listed, and a directory with something beside it that nothing may touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject
from fastget.testing.operations.listing import Listing

ServeBucket = Callable[..., ObjectServer]


def stored(data: bytes | StoredObject) -> StoredObject:
    if isinstance(data, StoredObject):
        return data
    return StoredObject(Content.of(data), checksum=Algorithm.CRC64NVME)


@pytest.fixture
def serve_bucket() -> Iterator[ServeBucket]:
    """Start a server with these keys in the bucket `b`, and their bytes; it ends with the test."""
    with ExitStack() as servers:

        def begin(keys: Mapping[str, bytes | StoredObject], **options: Any) -> ObjectServer:
            objects = {
                f"/b/{key}": data if isinstance(data, StoredObject) else stored(data) for key, data in keys.items()
            }
            listing = Listing(objects, page_size=options.pop("page_size", 1000))
            operations = [listing, *options.pop("operations", ())]
            return servers.enter_context(ObjectServer(objects, operations=operations, **options))

        yield begin


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMARKED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marked")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A place for files, three levels below `tmp_path`, which must otherwise stay empty."""
    return tmp_path / "a" / "b" / "out"
