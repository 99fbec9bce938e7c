"""`fastget head`: what a store says about an object, without fetching it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from fastget.cli import exit_codes
from fastget.cli.exit_codes import ExitCode
from fastget.cli.failures import failure_fields, failure_lines
from fastget.cli.json_events import write_line
from fastget.cli.names import display_url
from fastget.cli.options import Verb, environment_help, output_flags, read_config, request_flags
from fastget.cli.quantities import count_text, size_text
from fastget.cli.terminal import printable
from fastget.errors import FastgetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastget.core.checksums.declared import DeclaredDigest
    from fastget.core.objectinfo import ObjectInfo

_HELP = """Show what a store says about an object: size, type, ETag, version and checksums.

\b
Examples:
  1. Facts for people
     fastget head https://example.com/data/model.bin
  2. Facts for a program, one line of JSON
     fastget head s3://bucket/model.bin --json
"""
_RANGES = {True: "served", False: "refused", None: "not stated"}


def head(url: str, verbose: bool, as_json: bool, **options: Any) -> int:
    """Run the verb; the exit status."""
    try:
        info = _ask(url, options)
    except FastgetError as error:
        code = exit_codes.of_error(error)
        sys.stderr.write("\n".join([*failure_lines(error, display_url(url), verbose=verbose), ""]))
        if as_json:
            write_line("failed", {"url": display_url(url), **failure_fields(error, code)})
        return code
    if as_json:
        write_line("object", facts(info))
    else:
        sys.stdout.write("".join(f"{label:<15}{printable(value)}\n" for label, value in fact_lines(info)))
    return ExitCode.DONE


def facts(info: ObjectInfo) -> dict[str, Any]:
    """An object's facts as plain data; digests in hex."""
    names = (
        "url",
        "size",
        "etag",
        "version_id",
        "last_modified",
        "content_type",
        "content_encoding",
        "accepts_ranges",
        "storage_class",
    )
    return {
        **{name: getattr(info, name) for name in names},
        "checksums": [
            {
                "algorithm": digest.algorithm.value,
                "value": digest.value.hex(),
                "origin": digest.origin,
                "parts": digest.parts,
            }
            for digest in info.declared
        ],
    }


def fact_lines(info: ObjectInfo) -> Iterator[tuple[str, str]]:
    """An object's facts for people, as a label and a text each; what is not known is left out."""
    yield "URL", info.url
    yield "size", "not stated" if info.size is None else _exact_size(info.size)
    known = {
        "type": info.content_type,
        "encoding": info.content_encoding,
        "ETag": info.etag,
        "version": info.version_id,
        "modified": info.last_modified,
        "storage class": info.storage_class,
    }
    yield from ((label, text) for label, text in known.items() if text)
    yield "ranges", _RANGES[info.accepts_ranges]
    yield from (("checksum", _checksum(digest)) for digest in info.declared)
    if not info.declared:
        yield "checksum", "none declared"


def _ask(url: str, options: dict[str, Any]) -> ObjectInfo:
    from fastget.client import Client

    with Client(read_config(options)) as client:
        return client.head(url)


def _exact_size(size: int) -> str:
    exact = f"{count_text(size, 'byte')}"
    return exact if size < 1024 else f"{exact} ({size_text(size)})"


def _checksum(digest: DeclaredDigest) -> str:
    of = "" if digest.parts is None else f", of the digests of {count_text(digest.parts, 'part')}"
    return f"{digest.algorithm.value} {digest.value.hex()} ({digest.origin}{of})"


command = Verb(
    "head",
    callback=head,
    help=_HELP,
    short_help="Show size, ETag and checksums of an object.",
    epilog=environment_help(),
    params=[click.Argument(["url"]), *request_flags(), *output_flags(quiet=False)],
)
