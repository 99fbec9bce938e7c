"""Names: the file that a URL is saved as, and the form of a URL that is safe to show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fastget.cli.options import VERBS
from fastget.errors import ConfigError, DestinationError, InvalidURL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.sources.protocol import Source

STANDARD_OUTPUT = "-"


def file_name(url: str) -> str:
    """The name of the file that a URL is saved as by default, never of one in another directory.

    Raises InvalidURL for what names no object, ConfigError where its last part is no plain file name.
    """
    try:
        name = _source(url).filename
    except InvalidURL as error:
        hint = f"{error.hint}{_otherwise(url)}"
        raise InvalidURL(error.message, hint=hint, url=display_url(url)) from None
    if not name:
        raise ConfigError(
            f"the URL {display_url(url)} ends in no plain file name",
            hint=f"name the file with -o FILE{_otherwise(url)}",
        )
    return name


def destinations(urls: Sequence[str], output: str | None, directory: str | None) -> list[str]:
    """Where each URL goes; `-` is standard output. A directory that is missing is made.

    Raises ConfigError for flags that contradict each other, for two URLs that would write the same file and for a verb
    among the URLs, DestinationError where the directory cannot be made.
    """
    verb = next((url for url in urls if url in VERBS), None)
    if verb is not None:
        raise ConfigError(f"{verb} is a verb, and no URL", hint=f"a verb comes before all flags: fastget {verb} …")
    if output is not None and len(urls) > 1:
        raise ConfigError("-o names one file, but there are several URLs", hint="use -d DIR to name their directory")
    if output is not None and directory is not None:
        raise ConfigError("-o and -d contradict each other", hint="give the directory in -o DIR/FILE")
    if output is not None:
        return [output]
    if directory == "":
        raise ConfigError("'' is not the name of a directory", hint="give the path of a directory, or leave -d out")
    folder = Path(directory or "")
    paths = [_as_file(folder / file_name(url)) for url in urls]
    twice = next((path for position, path in enumerate(paths) if path in paths[:position]), None)
    if twice is not None:
        raise ConfigError(f"two of the URLs would be saved as {twice}", hint="download them one by one, with -o FILE")
    if directory:
        _make_directory(folder)
    return paths


def is_standard_output(output: str | None) -> bool:
    """Whether an object that goes there goes to standard output, by whichever of its names."""
    if output is None or os.sep not in output:
        return output == STANDARD_OUTPUT
    from fastget.sinks.choose import descriptor_of

    return descriptor_of(output) == 1


def display_url(url: str) -> str:
    """A URL without its query and its user info, which may hold secrets."""
    from fastget.sources import resolve

    return resolve.display_url(url)


def _otherwise(url: str) -> str:
    """What else may be meant by what names no file: where to put one, or all that is below a prefix."""
    from fastget.sources.resolve import is_in_store

    if "://" not in url:
        return "; where files go is said by -o FILE or -d DIR"
    is_prefix = is_in_store(url) and (url.endswith("/") or url.count("/") == len("//"))
    return "; all that is below a prefix is for fastget pull" if is_prefix else ""


def _source(url: str) -> Source:
    from fastget.config import Config
    from fastget.sources.resolve import resolve

    return resolve(url, Config())


def _as_file(path: Path) -> str:
    """The dot keeps a file that is called `-` apart from standard output."""
    return f".{os.sep}-" if str(path) == STANDARD_OUTPUT else str(path)


def _make_directory(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(
            f"cannot make the directory {folder}: {error.strerror}",
            path=str(folder),
            hint="give another one with -d",
        ) from error
