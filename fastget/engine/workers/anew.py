"""The whole object asked for once more: whether it is still there, or to go on where a stream has broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core import retry
from fastget.core.validators import GONE, Doubt, judge_whole
from fastget.engine.exchange.asking import ask
from fastget.errors import NetworkError, ProtocolError

if TYPE_CHECKING:
    from fastget.engine.exchange.line import Line
    from fastget.engine.pieces.job import Job
    from fastget.errors import FastgetError


def can_be_the_range(refusal: FastgetError, line: Line, job: Job) -> bool:
    """Whether the range alone may have been refused: by what was said or, else, as a HEAD finds the object there."""
    if not retry.is_about_the_object(refusal):
        return True
    pin, source = job.task.info.pin, job.task.source
    if job.are_ranges_refused or not (pin.is_strong and source.answers_head):
        return job.are_ranges_refused
    try:
        answered = ask(line, source, lambda at: at.head())
    except NetworkError:
        return False
    line.finish()
    found = None if answered.error is not None else answered.source.describe(answered.head)
    return found is not None and (found.etag, found.size) == (pin.etag, pin.size)


def ask_anew(line: Line, job: Job) -> None:
    """Have the line hold the whole object, pinned and proven to be the same. Raises what a request for a range does."""
    pin, source = job.pin, job.task.source
    answered = ask(line, source, lambda at: at.get(pin=pin))
    if answered.error is not None:
        if job.loosen_pin(pin, answered.head.status):
            ask_anew(line, job)
            return
        raise job.task.source_changed(GONE[404]) if answered.head.status == 404 else answered.error
    if (refused := judge_whole(answered.head, pin)) is not None:
        reason = source.without_secrets(refused.reason)
        if refused.doubt is Doubt.CHANGED:
            raise job.task.source_changed(reason)
        raise ProtocolError(f"{source.display_url}: {reason}")
    job.stream.anew_left -= 1
