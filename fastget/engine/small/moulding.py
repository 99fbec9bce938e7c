"""What one thread has learned of the answers that bring small objects of a store: see `ObjectMould`."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from fastget.core.messages import Request
from fastget.sources.stores import is_transcoded
from fastget.transport.heads import HeadExchange

if TYPE_CHECKING:
    from fastget.core.messages import ResponseHead
    from fastget.core.object_moulds import ObjectMould
    from fastget.core.objectinfo import ObjectInfo
    from fastget.sources.protocol import PlainSource, StoreTraits

# The stores that were asked last.
MOST_STORES = 8
# Answers of a store before the first mould is made, which costs what it spares in three or four.
FIRST_DUE = 4


class Moulding:
    """One store, asked by one kind of source, and the mould of its answers once there is one."""

    __slots__ = ("_answers", "_due", "_mould", "_traits")

    def __init__(self) -> None:
        self._mould: ObjectMould | None = None
        self._traits: StoreTraits | None = None
        self._answers = 0
        self._due = FIRST_DUE

    def cast(self, request: Request) -> Request:
        """A plain request, with the mould that may recognise its answer."""
        if self._mould is None:
            return request
        return Request(request.method, request.url, request.headers, request.public_only, self._mould)

    def traits(self, source: PlainSource, info: ObjectInfo, head: ResponseHead) -> StoreTraits:
        """What the store does: where the answer was recognised, and repeats no secret, as the mould's own said."""
        if self._traits is not None and head.reading is not None and info.headers is head.headers:
            return self._traits
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
        self._mould = self._traits = None
        # What depends on how it was asked for, or repeats a secret, says nothing of others.
        if not is_transcoded(head.headers) and info.headers is head.headers:
            # Most commands fetch too few objects for one.
            from fastget.core.object_moulds import ObjectMould

            self._mould = ObjectMould.of(request, HeadExchange().encode(request), head, info)
            self._traits = source.traits(info)


class Mouldings:
    """For one thread."""

    def __init__(self) -> None:
        self._latest: OrderedDict[tuple[str, type], Moulding] = OrderedDict()

    def of(self, store: str, source: PlainSource) -> Moulding:
        """That of a store's name; another kind of source may judge its answers otherwise."""
        place = store, type(source)
        if (found := self._latest.get(place)) is not None:
            self._latest.move_to_end(place)
            return found
        made = self._latest[place] = Moulding()
        if len(self._latest) > MOST_STORES:
            self._latest.popitem(last=False)
        return made
