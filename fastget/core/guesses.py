"""Layouts that nobody told, from the number of parts and the size: the part sizes that uploaders use (wire-spec.md §3).

A guess that reproduces the composite digest is thereby proven; one that does not says nothing about the bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.layout import MAXIMUM_PARTS, PartLayout

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
# More are not tried: the largest interval of possible sizes is that of two parts, half the object.
MAXIMUM_GUESSES = 64
# What uploaders cut by, the commonest first: the SDKs 8 or 5, then rclone, s3cmd, MinIO, s5cmd, transfer services.
_USUAL = tuple(size * MIB for size in (8, 5, 16, 64, 10, 15, 32, 50, 128, 100, 20, 25, 256, 512, 1024))
_DECIMAL = tuple(size * 1_000_000 for size in (5, 8, 10, 16, 20, 25, 50, 64, 100, 128, 250, 500, 1000))


def guessed_layouts(size: int, parts: int) -> tuple[PartLayout, ...]:
    """Layouts of `parts` parts, all of one size but for the last and shorter one, the likeliest first; 64 at most.

    Sizes are in bytes. Empty where no such layout can be, and for a single part, which is no guess.
    """
    if not 2 <= parts <= MAXIMUM_PARTS or size < parts:
        return ()
    # ceil(size / part) == parts
    smallest, largest = -(-size // parts), (size - 1) // (parts - 1)
    found: dict[int, None] = {}
    for part in _likely(smallest, largest):
        if smallest <= part <= largest:
            found.setdefault(part)
        if len(found) >= MAXIMUM_GUESSES:
            break
    made = (PartLayout.uniform(size, part, parts, is_served=False, is_guess=True) for part in found)
    return tuple(layout for layout in made if layout is not None)


def _likely(smallest: int, largest: int) -> Iterator[int]:
    yield from _USUAL
    yield from _DECIMAL
    # An uploader whose part size does not suffice takes the next whole MiB, or doubles what it has.
    yield -(-smallest // MIB) * MIB
    yield from (MIB << exponent for exponent in range(14))
    yield smallest
    yield from range(-(-smallest // MIB) * MIB, largest + 1, MIB)
