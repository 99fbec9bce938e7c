"""What the tests of the core share: the head of an answer in one line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings

from fastget.core.messages import Framing, Headers, ResponseHead

# A deadline would time the machine, not the code.
settings.register_profile("core", deadline=None)
settings.load_profile("core")

Answer = Callable[..., ResponseHead]


@pytest.fixture(scope="session")
def answer() -> Answer:
    """Makes a head of a status and (name, value) pairs; its body has `length` bytes, or an end of another kind."""

    def make(
        status: int, *fields: tuple[str, str], length: int | None = None, framing: Framing = Framing.LENGTH
    ) -> ResponseHead:
        if length is None and framing is Framing.LENGTH:
            framing = Framing.CHUNKED
        return ResponseHead(status, Headers(fields), framing, length)

    return make
