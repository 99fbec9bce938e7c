"""What the body of an answer does not tell about its object is asked for beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.engine.discovery.layouts import Surveyor
from fastget.engine.discovery.opening import Discovery, Opening
from fastget.engine.exchange.line import ConnectionPool, Line
from fastget.errors import NetworkError, SourceError

if TYPE_CHECKING:
    from fastget.core.layout import PartLayout
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.cancellation import Cancellation
    from fastget.engine.exchange.stores import Store


class ObjectSurveys:
    """Questions about the object and its parts, over connections of their own. `retries` are those of a question."""

    def __init__(
        self, opening: Opening, pool: ConnectionPool, cancellation: Cancellation, store: Store, retries: int
    ) -> None:
        self._retries = retries
        self._opening = opening
        self._pool = pool
        self._cancellation = cancellation
        self._store = store

    def layout(self, parts: int | None) -> PartLayout | None:
        """The exact layout: a guess could not be tried again, the bytes have passed by then."""
        surveyor = Surveyor(self._opening.source, self._opening.info, self._pool, self._cancellation, self._store)
        return surveyor.layout(parts, exact=True)

    def length(self) -> int | None:
        """What a HEAD says of a body that may be cut unseen; None where it does not tell."""
        with Line(self._pool, self._cancellation) as line:
            return self._discovery(line).length_of(self._opening)

    def whole_object(self) -> ObjectInfo | None:
        """The facts of the whole object; None where the store does not answer."""
        with Line(self._pool, self._cancellation) as line:
            try:
                return self._discovery(line).head(self._opening.source)
            except (SourceError, NetworkError):
                return None

    def _discovery(self, line: Line) -> Discovery:
        return Discovery(line, self._cancellation, self._retries, lambda _: None)
