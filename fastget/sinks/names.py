"""The hidden names beside a destination."""

from __future__ import annotations

import os
import sys

from fastget.errors import ConfigError, DestinationError
from fastget.records import record

PART_SUFFIX = ".fastget-part"
JOURNAL_SUFFIX = ".fastget-journal"
# Hex digits of what tells part files apart; the last ones seal the first ones for one destination.
TOKEN_LENGTH, _SEAL_LENGTH = 12, 4
# Bytes that a name may have on every file system; those that encrypt names allow the fewest.
_NEVER_TOO_LONG = 140


def name_of(path: object, hint: str) -> str:
    """A path as text, of whatever bytes it is. Raises ConfigError for what is none, DestinationError for
    what the system has no bytes for.
    """
    try:
        name = os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError(
            f"the destination is named by text or a Path, not by {type(path).__name__}", hint=hint
        ) from None
    if (fault := fault_of_encoding(name)) is not None:
        raise DestinationError(
            f"{name} becomes no file: {fault}",
            path=name,
            hint="choose another name, or a locale of UTF-8 (LC_ALL=C.UTF-8)",
        )
    return name


def hidden_name(directory: int, name: str, ending: str) -> str:
    """A name beside `name` that lists do not show; hashed where it would be too long for the file system."""
    if (length := 1 + len(os.fsencode(name)) + len(ending)) > _NEVER_TOO_LONG and length > _longest(directory):
        import hashlib

        name = hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()
    return f".{name}{ending}"


def new_token(name: str) -> str:
    """What a part file of the destination `name` is told from others by; sealed, so that it can be known again."""
    chance = os.urandom((TOKEN_LENGTH - _SEAL_LENGTH) // 2).hex()
    return chance + _seal(name, chance)


def is_sealed(name: str, token: str) -> bool:
    """Whether `new_token` has made this token for this destination."""
    return len(token) == TOKEN_LENGTH and _seal(name, token[:-_SEAL_LENGTH]) == token[-_SEAL_LENGTH:]


def _seal(name: str, chance: str) -> str:
    from zlib import crc32

    return f"{crc32(os.fsencode(name + chance)):08x}"[:_SEAL_LENGTH]


def is_own_name(path: str) -> bool:
    """Whether a file of this name would pass for one that an unfinished download has left."""
    return path.endswith((PART_SUFFIX, JOURNAL_SUFFIX))


def fault_of_encoding(path: str) -> str | None:
    """Why the system has no bytes for a path, which it takes alone: in a locale that is not of UTF-8; or None."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return f"its name cannot be written in {sys.getfilesystemencoding()}, the encoding of the locale"
    return None


def _longest(directory: int) -> int:
    try:
        return os.fpathconf(directory, "PC_NAME_MAX")
    except OSError:
        return 255


@record
class Names:
    """Those of one destination, in a directory that is open as long as they are used; `path` is for people."""

    directory: int
    name: str
    path: str

    @property
    def journal(self) -> str:
        return hidden_name(self.directory, self.name, JOURNAL_SUFFIX)

    def successor(self, mark: str) -> str:
        """Where the one successor of a journal appears before it takes its place."""
        return hidden_name(self.directory, self.name, f".{mark}{JOURNAL_SUFFIX}")

    @property
    def finished(self) -> str:
        """Where a finished file without a name stands for the moment before it replaces another."""
        return hidden_name(self.directory, self.name, PART_SUFFIX)

    def part(self, token: str) -> str:
        return hidden_name(self.directory, self.name, f".{token}{PART_SUFFIX}")
