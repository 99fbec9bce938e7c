"""What is to be fetched: from a list of URLs, from the lines of a file, or from a listing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import TYPE_CHECKING

from fastget.core.checksums.declared import user_digest
from fastget.errors import ConfigError
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastget.core.objectinfo import ObjectInfo

# What may stand in an option line, of the options that aria2 has for one URL.
_KNOWN = ("out", "checksum")
_LONGEST_LINE = 64 * 1024


@record
class Item:
    """One object. `url` may hold secrets. `name` is the path that the caller has given it, below the directory.

    `key` and `prefix` are those of a listing, which also tells the `size`; `checksum` is the digest that the object
    must have, as in `Config.checksum`.
    """

    url: str = field(repr=False)
    name: str | None = None
    key: str | None = None
    prefix: str = ""
    size: int | None = None
    checksum: str | None = None


@record
class Pause:
    """In the place of an item: there is none at the moment, and more may come."""


@record
class Broken:
    """In the place of all further items: the caller's own iterable has raised this."""

    error: Exception


Pullable = str | Iterable[str | tuple[str, str] | Item | Pause]


def from_urls(urls: Iterable[str | tuple[str, str] | Item | Pause]) -> Iterator[Item | Pause | Broken]:
    """An item for each URL, or pair of a URL and its path below the directory. Raises ConfigError for anything else."""
    left = iter(urls)
    while True:
        try:
            given = next(left)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - raised again once what was named before is done
            yield Broken(error)
            return
        match given:
            case Item() | Pause():
                yield given
            case str():
                yield Item(given)
            case (str() as url, str() as name):
                yield Item(url, name)
            case _:
                raise ConfigError("what is pulled is a URL, or a pair of a URL and a file name")


def from_lines(lines: Iterable[str | None]) -> Iterator[Item | Pause]:
    """The items of a list as aria2 reads it: a URL a line, and below it, indented, options of that URL.

    None in the place of a line is a pause.

    `out=NAME` is the path below the directory, `checksum=ALGORITHM=HEX` the digest that the object must have. Empty
    lines and those that begin with `#`, indented or not, are passed over. Raises ConfigError, which names the line.
    """
    url, options = "", dict[str, str]()
    number = 0
    for text in lines:
        if text is None:
            yield Pause()
            continue
        number += 1
        line = text.rstrip("\r\n").removeprefix("\ufeff")
        if "\0" in line:  # in UTF-16, as some shells of Windows write it, each other byte is one
            raise ConfigError(
                f"line {number} of the list holds a NUL: it is in UTF-16, or has NULs between its URLs",
                hint="write the list in UTF-8, each URL on a line of its own",
            )
        if len(line) > _LONGEST_LINE:
            raise ConfigError(f"line {number} of the list is longer than {_LONGEST_LINE} characters")
        if line.strip()[:1] in ("", "#"):
            continue
        if line[0] in " \t":
            name, value = _option(line, number, is_of_url=bool(url))
            options[name] = value
            continue
        if url:
            yield Item(url, options.get("out"), checksum=options.get("checksum"))
        url, options = _only_url(line.strip(), number), {}
    if url:
        yield Item(url, options.get("out"), checksum=options.get("checksum"))


def from_listing(entries: Iterable[ObjectInfo], prefix: str) -> Iterator[Item]:
    """The objects of a listing of `prefix`."""
    for info in entries:
        yield Item(info.url, key=info.key or "", prefix=prefix, size=info.size)


def _only_url(line: str, number: int) -> str:
    """The URL of a line. Raises ConfigError for more than one: what aria2 takes for mirrors may not become a key."""
    if "\t" in line:
        raise ConfigError(
            f"line {number} of the list holds a tab: fastget takes one URL a line, and no mirrors",
            hint="write each URL on a line of its own; a tab within a URL as %09",
        )
    return line


def _option(line: str, number: int, *, is_of_url: bool) -> tuple[str, str]:
    name, divider, value = line.strip().partition("=")
    if not is_of_url or not divider or not value or name not in _KNOWN:
        raise ConfigError(
            f"line {number} of the list is indented, and is no option of a URL that fastget knows",
            hint="write each URL at the start of its line, and below it, indented, out=NAME or checksum=ALGORITHM=HEX",
        )
    if name == "checksum":
        _check_digest(value, number)
    return name, value


def _check_digest(text: str, number: int) -> None:
    try:
        user_digest(text)
    except ConfigError as error:
        raise ConfigError(f"line {number} of the list: {error.message}", hint=error.hint) from error
