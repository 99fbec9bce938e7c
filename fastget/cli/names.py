"""Names: the file that a URL is saved as, and the form of a URL that is safe to show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fastget.core.urls import URL
from fastget.errors import ConfigError, DestinationError, InvalidURL

if TYPE_CHECKING:
    from collections.abc import Sequence

STANDARD_OUTPUT = "-"


def file_name(url: str) -> str:
    """The last segment of a URL as the name of a file, never of one in another directory.

    Percent escapes are decoded in http(s) URLs; an S3 key is its own name. Raises ConfigError where that
    names no plain file: empty, `.`, `..`, or with a slash or a control character in it.
    """
    if "://" not in url:
        raise InvalidURL(f"{url!r} is no URL: it lacks a scheme", hint="write it as https://host/path")
    name = URL.parse(url).filename if _is_http(url) else _last_part_of_key(url)
    hint = "name the file with -o FILE"
    if name in ("", ".", ".."):
        raise ConfigError(f"the URL {display_url(url)} ends in no file name", hint=hint)
    if any(character in ("/", os.sep, os.altsep) or _is_control(character) for character in name):
        raise ConfigError(f"the URL {display_url(url)} ends in {name!r}, which is no plain file name", hint=hint)
    return name


def destinations(urls: Sequence[str], output: str | None, directory: str | None) -> list[str]:
    """Where each URL goes; `-` is standard output. A directory that is missing is made.

    Raises ConfigError for flags that contradict each other and for two URLs that would write the same file,
    DestinationError where the directory cannot be made.
    """
    if output is not None and len(urls) > 1:
        raise ConfigError("-o names one file, but there are several URLs", hint="use -d DIR to name their directory")
    if output is not None and directory is not None:
        raise ConfigError("-o and -d contradict each other", hint="give the directory in -o DIR/FILE")
    if output is not None:
        return [output]
    folder = Path(directory or "")
    paths = [_as_file(folder / file_name(url)) for url in urls]
    twice = next((path for position, path in enumerate(paths) if path in paths[:position]), None)
    if twice is not None:
        raise ConfigError(f"two of the URLs would be saved as {twice}", hint="download them one by one, with -o FILE")
    if directory:
        _make_directory(folder)
    return paths


def display_url(url: str) -> str:
    """A URL without its query and its user info, which may hold secrets."""
    try:
        return str(URL.parse(url)) if _is_http(url) else _cut(url)
    except InvalidURL:
        return _cut(url)


def _cut(url: str) -> str:
    scheme, divider, rest = url.partition("?")[0].rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{divider}{authority.rpartition('@')[2]}{slash}{path}"


def _as_file(path: Path) -> str:
    """The dot keeps a file that is called `-` apart from standard output."""
    return f".{os.sep}-" if str(path) == STANDARD_OUTPUT else str(path)


def _last_part_of_key(url: str) -> str:
    _, _, rest = url.partition("://")
    _, _, key = rest.partition("/")
    return key.rpartition("/")[2]


def _is_control(character: str) -> bool:
    return ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F


def _is_http(url: str) -> bool:
    return url.partition(":")[0].lower() in ("http", "https")


def _make_directory(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(
            f"cannot make the directory {folder}: {error.strerror}",
            path=str(folder),
            hint="give another one with -d",
        ) from error
