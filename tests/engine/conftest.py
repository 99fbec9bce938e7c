"""Objects that are large enough to be cut, small enough to be fetched by the hundred."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fastget.testing import Content

KIB, MIB = 1024, 1024 * 1024


def sha256_of(content: Content) -> str:
    """The SHA-256 of generated content, in hex: the oracle of these tests."""
    hasher = hashlib.sha256()
    for start in range(0, content.size, MIB):
        hasher.update(content.read(start, min(start + MIB, content.size)))
    return hasher.hexdigest()


@pytest.fixture(autouse=True)
def _asked_for_ranges(two_to_begin_with: None) -> None:
    """What goes wrong with ranges shows only where some are asked for."""


@pytest.fixture(scope="session")
def content() -> Content:
    """6 MiB and some bytes: uneven against every part and piece size here."""
    return Content.generated(6 * MIB + 4321, seed=7)


@pytest.fixture(scope="session")
def content_digest(content: Content) -> str:
    return sha256_of(content)


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """A file name in a directory that must hold nothing else in the end."""
    directory = tmp_path / "out"
    directory.mkdir()
    return directory / "object.bin"
