"""Why a stream is ended for others to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.records import record

if TYPE_CHECKING:
    from fastget.errors import FastgetError


@record
class Cut:
    """Why a stream is ended from outside: for faster ones to go on, or as the failure that `error` says.

    `shares`: among how many the rest of its piece is divided. `is_slow`: whether that is held against its address.
    """

    error: FastgetError | None = None
    shares: int = 1
    is_slow: bool = True


class Overtaken(Exception):
    """The discovery stream has taken the piece that waits at the gate."""
