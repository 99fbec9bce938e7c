"""A second plan for a small object: nothing of the first one is left open."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.testing import Content, Fault, ObjectServer, StoredObject, faults


@pytest.mark.parametrize(
    "fault", [faults.chunked_without_end(after=100), faults.body_until_close(cut=100)], ids=["chunked", "close"]
)
def test_an_answer_that_was_unusual_and_broke_leaves_no_file_open(fault: Fault, destination: Path) -> None:
    stored = StoredObject(Content.generated(40_000, seed=51), checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/o": stored}, faults=[fault]) as server, fastget.Client(fsync=False) as client:
        client.download(server.url("/o"), destination)
        left = [file.path for file in psutil.Process().open_files() if file.path.startswith(str(destination.parent))]

    assert destination.read_bytes() == stored.content.read()
    assert left == []
