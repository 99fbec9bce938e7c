"""Objects that are large enough to be cut, small enough to be fetched by the hundred."""

from __future__ import annotations

import hashlib

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
def aws_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of AWS in the environment, for stores that take any."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
