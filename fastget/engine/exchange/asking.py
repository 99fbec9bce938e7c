"""One request and its answer, wherever it has to be asked: redirects and corrections are followed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core import retry
from fastget.core.addresses import Trouble
from fastget.core.ranges import Span
from fastget.engine.exchange.line import ConnectionPool, Line
from fastget.errors import ServerError
from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.messages import Request, ResponseHead
    from fastget.engine.cancellation import Cancellation
    from fastget.errors import FastgetError
    from fastget.sources.protocol import Correction, Source


def _refusal(line: Line, source: Source, head: ResponseHead, body: bytes) -> FastgetError:
    error = source.refusal(head, body)
    if retry.is_refusal(error):
        line.note_put_off()
    elif isinstance(error, ServerError) and retry.is_transient(error):
        line.blame(Trouble.FAILING)
    return error


@record
class Answered:
    """The last answer, to the `request` that the source made, and what it means where that is an `error`.

    The body of a refusal has been read; without an error the line holds the body.
    """

    source: Source
    request: Request
    head: ResponseHead
    error: FastgetError | None = None


def ask(line: Line, source: Source, build: Callable[[Source], Request]) -> Answered:
    """Send what `build` makes, and again where the object is elsewhere or the source has corrected itself.

    A source bounds its own redirects. Each kind of correction is good for one more request (faults.md H33 - H38): a
    store that refuses new credentials too has said its last word. None of this is a failure, so it costs no retry.
    Raises what `Line.send` and the source raise.
    """
    done: set[Correction] = set()
    while True:
        request = build(source)
        head = line.send(request)
        if 200 <= head.status < 300:
            return Answered(source, request, head)
        moved = source.redirected(head)
        if moved is not None:
            line.drop()
            source = moved
            continue
        body = line.rest()
        correction = source.corrected(request, head, body, done)
        if correction is None:
            return Answered(source, request, head, _refusal(line, source, head, body))
        done.add(correction)


def finder(pool: ConnectionPool, cancellation: Cancellation) -> Callable[[Source], Source]:
    """What `Source.keep_finding` is given: asks for one byte, over a connection of its own.

    The byte is not looked at: what is fetched from there afterwards is pinned, and so of the same object, or refused.
    """

    def find(source: Source) -> Source:
        with Line(pool, cancellation) as line:
            answered = ask(line, source, lambda at: at.get(span=Span(0, 1)))
        if answered.error is not None:
            raise answered.error
        return answered.source

    return find
