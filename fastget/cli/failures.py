"""How an error looks at a shell: what was wrong, what the server said, what to do about it."""

from __future__ import annotations

from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any

import click

from fastget.cli.exit_codes import of_error
from fastget.cli.terminal import printable
from fastget.errors import ChecksumMismatch, ConfigError, FastgetError, ServerReply

if TYPE_CHECKING:
    from collections.abc import Iterator


def failure_lines(error: FastgetError, url: str | None = None, *, verbose: bool = False) -> list[str]:
    """The lines for standard error, safe to print: the first says what was wrong, `hint:` what to do.

    `url` is shown where the message does not name it. `verbose` adds the digests and the chain of causes.
    """
    message = _sentence(error.message) or type(error).__name__
    named = url is None or url.rstrip("/") in message  # a bucket is named without the slash
    lines = [f"fastget: {message}" if named else f"fastget: {url}: {message}"]
    if error.reply is not None:
        lines.extend(f"  {line}" for line in _reply_lines(error.reply, message))
    if verbose:
        lines.extend(f"  {detail}" for detail in _details(error))
    hint = error.hint or (_help_hint() if isinstance(error, ConfigError) else None)
    if hint:
        lines.append(f"hint: {hint}")
    return [printable(line) for line in lines]


def failure_fields(error: FastgetError, code: int) -> dict[str, Any]:
    """The same facts for JSON; `code` is the exit status that the failure stands for."""
    fields: dict[str, Any] = {
        "error": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exit_code": int(code),
    }
    if error.reply is not None:
        told = {item.name: getattr(error.reply, item.name) for item in fields_of(ServerReply)}
        fields["reply"] = {**told, "details": dict(error.reply.details)}
    if isinstance(error, ChecksumMismatch):
        fields |= {name: getattr(error, name) for name in ("algorithm", "expected", "actual")}
    return fields


def _reply_lines(reply: ServerReply, message: str) -> Iterator[str]:
    """The server's own words, where the message lacks them, and the ids that its operators ask for."""
    text = _sentence(reply.message or "")
    if any(word not in message for word in (str(reply.status), reply.code or "", text)):
        words = " ".join(filter(None, (str(reply.status), reply.code)))
        yield f"the server said: {words}{f': {text}' if text else ''}"
    named = (("request", reply.request_id), ("host", reply.host_id))
    ids = [f"{name} {value}" for name, value in named if value]
    if ids:
        yield f"ids: {', '.join(ids)}"


def _details(error: FastgetError) -> Iterator[str]:
    yield f"error: {type(error).__name__}, exit status {int(of_error(error))}"
    if isinstance(error, ChecksumMismatch) and error.algorithm:
        yield f"{error.algorithm}: expected {error.expected}, got {error.actual}"
    if error.reply is not None and error.reply.retry_after is not None:
        yield f"retry after: {error.reply.retry_after:g} s"
    cause = error.__cause__
    while cause is not None:
        # Only these texts are known to hold no secret; of other libraries' errors the name must do.
        told = f": {cause}" if isinstance(cause, FastgetError | OSError) else ""
        yield f"caused by: {type(cause).__name__}{told}"
        cause = cause.__cause__


def _help_hint() -> str:
    """Where the options of the verb that is running are told."""
    context = click.get_current_context(silent=True)
    return f"see {context.command_path if context else 'fastget'} --help"


def _sentence(text: str) -> str:
    """One line without the full stop that many servers end theirs with."""
    return " ".join(text.split()).removesuffix(".")
