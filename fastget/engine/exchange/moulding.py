"""What was learned of a store's answers about whole objects: see `ObjectMould`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.messages import Request
from fastget.records import record
from fastget.sources.stores import is_transcoded
from fastget.transport.heads import HeadExchange

if TYPE_CHECKING:
    from fastget.core.messages import ResponseHead
    from fastget.core.object_moulds import ObjectMould
    from fastget.core.objectinfo import ObjectInfo
    from fastget.sources.protocol import PlainSource, StoreTraits

# Answers of a store before the first mould is made, which costs what it spares in three or four.
FIRST_DUE = 4


@record
class _Made:
    """A mould, and what its store does."""

    mould: ObjectMould
    traits: StoreTraits


class Moulding:
    """One store, asked by one method and one kind of source, and the mould of its answers once there is one.

    Safe in many threads; of answers that are learned from at the same moment some may not be counted.
    """

    __slots__ = ("_answers", "_due", "_made")

    def __init__(self) -> None:
        self._made: _Made | None = None
        self._answers = 0
        self._due = FIRST_DUE

    def cast(self, request: Request) -> Request:
        """A plain request, with the mould that may recognise its answer."""
        if (made := self._made) is None:
            return request
        return Request(request.method, request.url, request.headers, request.public_only, made.mould)

    def traits(self, source: PlainSource, info: ObjectInfo, head: ResponseHead) -> StoreTraits:
        """What the store does: where the answer was recognised, and repeats no secret, as the mould's own said."""
        made, like = self._made, head.reading.like if head.reading is not None else None
        if made is not None and made.mould.like is like and info.headers is head.headers:
            return made.traits
        return source.traits(info)

    def learn(self, source: PlainSource, request: Request, head: ResponseHead) -> None:
        """From an answer that was taken, and had not been recognised.

        The more of them there are, the more seldom a mould is made: answers may have nothing in common.
        """
        self._answers += 1
        if self._answers < self._due:
            return
        self._due *= 2
        info = source.describe(head)
        self._made = None
        # What depends on how it was asked for, or repeats a secret, says nothing of others.
        if not is_transcoded(head.headers) and info.headers is head.headers:
            # Most commands fetch too few objects for one.
            from fastget.core.object_moulds import ObjectMould

            mould = ObjectMould.of(request, HeadExchange().encode(request), head, info)
            self._made = _Made(mould, source.traits(info)) if mould is not None else None
