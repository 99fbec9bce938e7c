"""`fastget stat`: what a store says about objects, without fetching them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from fastget.cli import exit_codes
from fastget.cli.exit_codes import ExitCode
from fastget.cli.failures import failure_fields, failure_lines
from fastget.cli.json_events import write_line
from fastget.cli.names import display_url
from fastget.cli.options import Verb, output_flags, read_config, request_flags
from fastget.cli.quantities import count_text, size_text
from fastget.cli.terminal import printable
from fastget.errors import FastgetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastget.client import Client
    from fastget.core.checksums.declared import DeclaredDigest
    from fastget.core.objectinfo import ObjectInfo

_HELP = """Show what a store says about objects: size, type, ETag, version, checksums and whatever else it declares.

\b
Examples:
  1. Facts for people
     fastget stat https://example.com/data/model.bin
  2. Facts for a program, a line of JSON for each object
     fastget stat s3://bucket/model.bin s3://bucket/data.bin --json
"""
_RANGES = {True: "served", False: "refused", None: "not stated"}
_METADATA = "x-amz-meta-"
# Header fields by the names that people and programs read, in the order in which they are shown (wire-spec.md §1b).
_FIELDS: Mapping[str, str] = {
    "cache control": "cache-control",
    "disposition": "content-disposition",
    "language": "content-language",
    "expires": "expires",
    "storage class": "x-amz-storage-class",
    "archive status": "x-amz-archive-status",
    "restore": "x-amz-restore",
    "restored class": "x-ibm-restored-copy-storage-class",
    "transition": "x-ibm-transition",
    "expiration": "x-amz-expiration",
    "encryption": "x-amz-server-side-encryption",
    "KMS key": "x-amz-server-side-encryption-aws-kms-key-id",
    "bucket key": "x-amz-server-side-encryption-bucket-key-enabled",
    "customer key": "x-amz-server-side-encryption-customer-algorithm",
    "replication": "x-amz-replication-status",
    "parts": "x-amz-mp-parts-count",
    "tags": "x-amz-tagging-count",
    "lock mode": "x-amz-object-lock-mode",
    "locked until": "x-amz-object-lock-retain-until-date",
    "legal hold": "x-amz-object-lock-legal-hold",
    "event hold": "x-amz-object-lock-event-hold",
    "hold in days": "x-amz-object-lock-event-hold-duration-days",
    "hold in years": "x-amz-object-lock-event-hold-duration-years",
    "retention": "retention-period",
    "retained until": "retention-expiration-date",
    "legal holds": "retention-legal-hold-count",
    "charged to": "x-amz-request-charged",
    "website": "x-amz-website-redirect-location",
    "lost metadata": "x-amz-missing-meta",
    "checksum type": "x-amz-checksum-type",
}
_WIDTH = 15


def stat(urls: tuple[str, ...], verbose: bool, as_json: bool, **options: Any) -> int:
    """Run the verb; the exit status."""
    from fastget.client import Client

    try:
        config = read_config(options)
    except FastgetError as error:
        return _failed(error, None, verbose=verbose, as_json=as_json)
    with Client(config) as client:
        codes: list[ExitCode] = []
        for url in urls:
            between = "\n" if ExitCode.DONE in codes else ""
            codes.append(_stat(client, url, between, verbose=verbose, as_json=as_json))
    return exit_codes.of_outcomes(codes)


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
        "parts": _parts(info),
        "declared": {name: value for name in _FIELDS.values() if (value := info.headers.get(name)) is not None},
        "metadata": dict(_metadata(info)),
    }


def fact_lines(info: ObjectInfo) -> Iterator[tuple[str, str]]:
    """An object's facts for people, as a label and a text each; what is not known is left out."""
    yield "URL", info.url
    yield "size", "not stated" if info.size is None else _exact_size(info.size)
    declared = {label: info.headers.get(name) for label, name in _FIELDS.items()}
    parts = _parts(info)
    known = {
        "type": info.content_type,
        "encoding": info.content_encoding,
        "ETag": info.etag,
        "version": info.version_id,
        "modified": info.last_modified,
        **declared,
        "storage class": info.storage_class,
        "parts": None if parts is None else str(parts),
    }
    yield from ((label, text) for label, text in known.items() if text)
    yield "ranges", _RANGES[info.accepts_ranges]
    yield from (("checksum", _checksum(digest)) for digest in info.declared)
    if not info.declared:
        yield "checksum", "none declared"
    yield from (("metadata", f"{name}: {value}") for name, value in _metadata(info))


def _stat(client: Client, url: str, between: str, *, verbose: bool, as_json: bool) -> ExitCode:
    try:
        info = client.head(url)
    except FastgetError as error:
        return _failed(error, url, verbose=verbose, as_json=as_json)
    if as_json:
        write_line("object", facts(info))
        return ExitCode.DONE
    lines = [*fact_lines(info), *(_identifiers(info) if verbose else ())]
    sys.stdout.write(between + "".join(f"{label:<{_WIDTH}}{printable(value)}\n" for label, value in lines))
    return ExitCode.DONE


def _failed(error: FastgetError, url: str | None, *, verbose: bool, as_json: bool) -> ExitCode:
    code = exit_codes.of_error(error)
    shown = display_url(url) if url is not None else None
    sys.stdout.flush()  # where both are one file, the lines stand in the order of the URLs
    sys.stderr.write("\n".join([*failure_lines(error, shown, verbose=verbose), ""]))
    if as_json:
        write_line("failed", {"url": shown, **failure_fields(error, code)})
    return code


def _identifiers(info: ObjectInfo) -> Iterator[tuple[str, str]]:
    """By which the store's operators find the answer."""
    named = (("request", "x-amz-request-id"), ("host", "x-amz-id-2"))
    return ((label, value) for label, name in named if (value := info.headers.get(name)) is not None)


def _metadata(info: ObjectInfo) -> Iterator[tuple[str, str]]:
    """The user's own metadata, by names without their prefix; several fields of one name are joined (row 54)."""
    found: dict[str, list[str]] = {}
    for name, value in info.headers:
        if name.lower().startswith(_METADATA):
            found.setdefault(name.lower().removeprefix(_METADATA), []).append(value)
    return ((name, _as_text(",".join(values))) for name, values in found.items())


def _as_text(value: str) -> str:
    """A value with what S3 writes as encoded words (RFC 2047) for what is not ASCII."""
    if "=?" not in value:
        return value
    from email.errors import HeaderParseError
    from email.header import decode_header, make_header

    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, UnicodeError, LookupError):
        return value


def _parts(info: ObjectInfo) -> int | None:
    """How many parts it was uploaded in, where something says so: an ETag in -N does (wire-spec.md §2.6)."""
    digest = next((digest.parts for digest in info.declared if digest.parts is not None), None)
    if digest is not None:
        return digest
    ending = (info.etag or "").strip('"').rpartition("-")[2]
    counted = info.headers.get("x-amz-mp-parts-count") or (ending if "-" in (info.etag or "") else "")
    is_count = counted.isascii() and counted.isdigit() and len(counted) <= 5
    return int(counted) if is_count and "x-amz-request-id" in info.headers else None


def _exact_size(size: int) -> str:
    exact = f"{count_text(size, 'byte')}"
    return exact if size < 1024 else f"{exact} ({size_text(size)})"


def _checksum(digest: DeclaredDigest) -> str:
    of = "" if digest.parts is None else f", of the digests of {count_text(digest.parts, 'part')}"
    return f"{digest.algorithm.value} {digest.value.hex()} ({digest.origin}{of})"


command = Verb(
    "stat",
    callback=stat,
    help=_HELP,
    short_help="Show size, ETag, checksums and more of objects.",
    params=[
        click.Argument(["urls"], metavar="URL...", nargs=-1, required=True),
        *request_flags(),
        *output_flags(quiet=False),
    ],
)
