"""`fastget ls`: what lies in a bucket, a line for each key."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from fastget.cli import exit_codes
from fastget.cli.exit_codes import ExitCode
from fastget.cli.failures import failure_fields, failure_lines
from fastget.cli.json_events import write_line
from fastget.cli.names import display_url
from fastget.cli.options import Flag, Verb, output_flags, read_config, request_flags
from fastget.cli.quantities import size_text
from fastget.cli.terminal import printable
from fastget.errors import ConfigError, FastgetError, InvalidURL, NotFound
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from fastget.core.objectinfo import ObjectInfo

_HELP = """List the objects of a bucket, one level of it or all that begins with a prefix.

\b
Examples:
  1. One level
     fastget ls s3://bucket/data/
  2. Everything below, for people
     fastget ls -r --human s3://bucket/data/
  3. Everything for a program, a line of JSON for each key
     fastget ls -r s3://bucket --json
  4. All versions and delete markers of one key
     fastget ls --versions s3://bucket/model.bin
"""
# What a program reads of an entry.
_NAMES = (
    "url",
    "key",
    "is_prefix",
    "size",
    "etag",
    "last_modified",
    "storage_class",
    "version_id",
    "is_latest",
    "is_delete_marker",
    "checksum_algorithms",
    "checksum_type",
    "owner",
    "restore",
)
# Options of a single object; a bucket has no use for them.
_OF_OBJECTS = frozenset({"version_id", "sse_c_key", "mirror_destination"})


@record
class Style:
    """How an entry looks. `base` is what its name is shown without, `human` gives sizes with a unit."""

    base: str = ""
    human: bool = False
    versions: bool = False


def ls(
    url: str,
    recursive: bool,
    delimiter: str | None,
    start_after: str | None,
    versions: bool,
    human: bool,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run the verb; the exit status."""
    from fastget.client import Client

    try:
        if recursive and delimiter is not None:
            raise ConfigError("-r and --delimiter contradict each other", hint="give one of them")
        style = Style("" if recursive else _base(url), human, versions)
        chosen: dict[str, Any] = {
            "recursive": recursive,
            "delimiter": delimiter,
            "start_after": start_after,
            "versions": versions,
        }
        with Client(read_config(options)) as client:
            count = _write(client.ls(url, **chosen), style, as_json=as_json)
        if not count and start_after is None and _prefix(url):
            raise NotFound(f"no key begins with {display_url(url)}", url=url)
    except FastgetError as error:
        code = exit_codes.of_error(error)
        shown = display_url(url)
        sys.stdout.flush()
        sys.stderr.write("\n".join([*failure_lines(error, shown, verbose=verbose), ""]))
        if as_json:
            write_line("failed", {"url": shown, **failure_fields(error, code)})
        return code
    return ExitCode.DONE


def entry_text(info: ObjectInfo, style: Style) -> str:
    """An entry as `aws s3 ls` shows it: date and time here, size, name; of versions, their id before the name."""
    name = printable((info.key or "").removeprefix(style.base))
    if info.is_prefix:
        return f"{'PRE':>30} {name}"
    when = _time(info.modified)
    version = f" {printable(info.version_id or '-')}" if style.versions else ""
    return f"{when:<19} {_size(info, style):>10}{version} {name}"


def _write(entries: Iterator[ObjectInfo], style: Style, *, as_json: bool) -> int:
    """Write them all; how many there were."""
    count = 0
    for count, info in enumerate(entries, 1):  # noqa: B007  the last one is the number of them
        if as_json:
            write_line("entry", {name: getattr(info, name) for name in _NAMES})
        else:
            sys.stdout.write(f"{entry_text(info, style)}\n")
    return count


def _time(modified: datetime | None) -> str:
    """Here; on the first and last days of the calendar, which may lie outside of it here, as the store says it."""
    if modified is None:
        return ""
    with suppress(OverflowError, OSError):
        modified = modified.astimezone()
    return f"{modified:%Y-%m-%d %H:%M:%S}"


def _size(info: ObjectInfo, style: Style) -> str:
    if info.is_delete_marker:
        return "deleted"
    if info.size is None:
        return "-"
    return size_text(info.size) if style.human else str(info.size)


def _base(url: str) -> str:
    """Up to its last slash, the prefix is not repeated in front of every name."""
    prefix = _prefix(url)
    return prefix[: prefix.rfind("/") + 1]


def _prefix(url: str) -> str:
    from fastget.sources.listing_source import listed_prefix

    with suppress(InvalidURL):  # the listing itself tells of it
        return listed_prefix(url)
    return ""


def _flags() -> list[click.Parameter]:
    concerns = [
        flag
        for flag in request_flags()
        if isinstance(flag, Flag)
        and flag.section != "Conditions"
        and flag.name not in _OF_OBJECTS
        and not (flag.section == "S3" and (flag.name or "").startswith("response_"))
    ]
    return [*concerns, *output_flags(quiet=False)]


def _listing_flag(names: list[str], meaning: str, **settings: Any) -> Flag:
    return Flag(names, section="Listing", help=meaning, **settings)


command = Verb(
    "ls",
    callback=ls,
    help=_HELP,
    short_help="List the objects of a bucket.",
    params=[
        click.Argument(["url"]),
        _listing_flag(["-r", "--recursive"], "all keys that begin with the prefix, not one level", is_flag=True),
        _listing_flag(["--delimiter"], "what ends a level (default: /)", metavar="TEXT"),
        _listing_flag(["--start-after"], "leave out this key and what comes before it", metavar="KEY"),
        _listing_flag(["--versions"], "all versions and delete markers, with their ids", is_flag=True),
        _listing_flag(["--human"], "sizes in KiB, MiB, GiB", is_flag=True),
        *_flags(),
    ],
)
