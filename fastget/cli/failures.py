"""How an error looks at a shell: what was wrong, what the server said, what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastget.cli.exit_codes import of_error
from fastget.cli.terminal import printable
from fastget.errors import ChecksumMismatch, FastgetError, ServerReply

if TYPE_CHECKING:
    from collections.abc import Iterator


def failure_lines(error: FastgetError, url: str | None = None, *, verbose: bool = False) -> list[str]:
    """The lines for standard error, safe to print: the first says what was wrong, `hint:` what to do.

    `url` is shown where the message does not name it. `verbose` adds the digests and the chain of causes.
    """
    message = _sentence(error.message) or type(error).__name__
    named = url is None or url in message
    lines = [f"fastget: {message}" if named else f"fastget: {url}: {message}"]
    if error.reply is not None:
        lines.append(f"  the server said: {_reply_text(error.reply)}")
    if verbose:
        lines.extend(f"  {detail}" for detail in _details(error))
    if error.hint:
        lines.append(f"hint: {error.hint}")
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
        fields["reply"] = {name: getattr(error.reply, name) for name in ServerReply.__slots__}
    if isinstance(error, ChecksumMismatch):
        fields |= {name: getattr(error, name) for name in ("algorithm", "expected", "actual")}
    return fields


def _reply_text(reply: ServerReply) -> str:
    parts = [str(reply.status)]
    if reply.code:
        parts.append(reply.code)
    text = " ".join(parts)
    if reply.message:
        text += f": {_sentence(reply.message)}"
    ids = [
        f"{name} {value}"
        for name, value in (("request id", reply.request_id), ("host id", reply.host_id))
        if value
    ]
    return f"{text} ({', '.join(ids)})" if ids else text


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


def _sentence(text: str) -> str:
    """One line without the full stop that many servers end theirs with."""
    return " ".join(text.split()).removesuffix(".")
