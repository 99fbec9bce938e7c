"""From object keys to file names under a directory: keys are hostile input (faults.md S1 - S9).

A key is taken as it is or refused with a reason; it is never bent into another name, because two keys could then mean
one file, and nobody would find the file by its key. Paths of any system are refused on every system; names that only
Windows cannot have are refused there.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

from fastget.records import record

# NAME_MAX of every usual file system, in bytes; the part file beside it needs none of it (its name is shortened).
LONGEST_NAME = 255
# PATH_MAX of Linux, in bytes, with room for the directory before it.
LONGEST_PATH = 3072
DEEPEST = 128
# Letters of a path that is remembered as it is; of a longer one, a digest takes less memory.
_REMEMBERED = 32
# What nearly all keys are like: no name begins with a dot, and nothing in it means anything to any system but Windows.
_PLAIN_PATH = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*+/)*+[A-Za-z0-9_][A-Za-z0-9_.-]*+")
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in "123456789¹²³")}
)
_FORBIDDEN_ON_WINDOWS = frozenset('<>:"|?*')


@record
class Placed:
    """Where an object goes: its path below the directory, with slashes."""

    path: str


@record
class Refused:
    """Why a key becomes no file, in a few words."""

    reason: str


@record
class Marker:
    """The key ends in a slash: it stands for a directory, which appears with its first file."""


def place(key: str, prefix: str = "", *, windows: bool = False) -> Placed | Refused | Marker:
    """The file that `key` becomes in a pull of `prefix`: what follows the last slash of the prefix.

    A key outside of the prefix is refused: a listing must not bring others than were asked for.
    """
    if not key.startswith(prefix):
        return Refused("it lies outside of the prefix that was asked for")
    rest = key[prefix.rfind("/") + 1 :]
    if not rest or rest.endswith("/"):
        return Marker()
    if not windows and len(rest) <= LONGEST_NAME and _PLAIN_PATH.fullmatch(rest):
        return Placed(rest)
    names = rest.split("/")
    reason = _fault_of_path(rest, names) or next((fault for name in names if (fault := _fault_of(name))), None)
    if reason is None and windows:
        reason = next((fault for name in names if (fault := _fault_on_windows(name))), None)
    return Placed(rest) if reason is None else Refused(reason)


class Taken:
    """The names that a pull has given away, to find two keys that one file system would take for one name.

    On file systems that fold case or normalise Unicode (`folds`) `A` and `a`, or the two ways to write `é`, are one.
    A name that is a file for one key and a directory for another is refused for the later one, too.
    """

    def __init__(self, *, folds: bool = False) -> None:
        self._folds = folds
        self._files: set[str | bytes] = set()
        self._directories: set[str | bytes] = set()

    def take(self, path: str) -> str | None:
        """Take `path`; None, or why it cannot be taken."""
        whole = self._name(path)
        name, above = _mark(whole), [_mark(directory) for directory in _above(whole)]
        if name in self._files:
            return "another object has the same name on this file system"
        if name in self._directories:
            return "its name is that of a directory of other objects"
        if any(directory in self._files for directory in above):
            return "one of its directories is a file of another object"
        self._files.add(name)
        self._directories.update(above)
        return None

    def _name(self, path: str) -> str:
        return unicodedata.normalize("NFC", path).casefold() if self._folds else path


def _mark(path: str) -> str | bytes:
    """What a path is remembered by: a list may hold a million of them, each in a directory of its own."""
    return path if len(path) <= _REMEMBERED else blake2b(path.encode(), digest_size=16).digest()


def _above(path: str) -> list[str]:
    found, at = [], path.find("/")
    while at >= 0:
        found.append(path[:at])
        at = path.find("/", at + 1)
    return found


def _fault_of_path(rest: str, names: list[str]) -> str | None:
    try:
        length = len(rest.encode())
    except UnicodeEncodeError:
        return "it is no valid Unicode"
    if length > LONGEST_PATH or len(names) > DEEPEST:
        return "it is too long or too deep for a path"
    return None


def _fault_of(name: str) -> str | None:
    if not name:
        return "it holds an empty name (a slash at the start, or two in a row)"
    if name in (".", ".."):
        return f"it holds {name!r}, which leads elsewhere"
    if "\\" in name or (len(name) > 1 and name[1] == ":" and name[0].isascii() and name[0].isalpha()):
        return "it holds a backslash or a drive letter, which is a path on Windows"
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in name):
        return "it holds a control character"
    if len(name.encode()) > LONGEST_NAME:
        return f"it holds a name of more than {LONGEST_NAME} bytes"
    return None


def _fault_on_windows(name: str) -> str | None:
    if any(letter in _FORBIDDEN_ON_WINDOWS for letter in name):
        return "it holds a character that Windows does not allow in names"
    if name[-1] in ". ":
        return "it holds a name that ends in a dot or a space, which Windows drops"
    if name.partition(".")[0].rstrip().casefold() in _RESERVED:
        return "it holds a name that is a device on Windows"
    return None
