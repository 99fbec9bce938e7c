"""What this process has learned of stores, shared by all of its transfers: probed once, not once per object."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastget.core.store_memory import StoreFacts
from fastget.engine.exchange.gate import Gate
from fastget.engine.exchange.moulding import Moulding
from fastget.engine.exchange.reserve import Reserve
from fastget.records import record
from fastget.sources.stores import is_object_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.messages import Headers
    from fastget.errors import FastgetError
    from fastget.sources.protocol import PlainSource

# Seconds after which a store is asked anew: it may have been upgraded, or a permission granted.
LIFETIME = 15 * 60.0
# A store and its facts take some hundred bytes.
MOST_STORES = 256


class Store:
    """One endpoint and bucket: what is known of it, and the gate that requests for its bytes pass.

    Its retries are those of its endpoint (`reserve`).
    Safe in many threads; facts are replaced as a whole, so that readers need no lock.
    """

    __slots__ = ("_facts", "_lock", "_mouldings", "_reserve", "gate")

    def __init__(self, facts: StoreFacts | None = None, reserve: Reserve | None = None) -> None:
        self.gate = Gate()
        self._reserve = reserve or Reserve()
        self._facts = facts or StoreFacts()
        self._lock = threading.RLock()
        self._mouldings: dict[tuple[type, str], Moulding] = {}

    @property
    def facts(self) -> StoreFacts:
        return self._facts

    def learn(self, **facts: Any) -> None:
        """Fields of StoreFacts that an answer has told; what contradicts an earlier one takes its place."""
        if all(getattr(self._facts, name) == value for name, value in facts.items()):
            return
        with self._lock:
            self._facts = replace(self._facts, **facts)

    def learn_from(self, headers: Headers, waited: float) -> None:
        """What the answer to a plain GET tells, which took so many seconds to come."""
        self.learn(wait=waited, is_object_store=is_object_store(headers))

    def moulding(self, source: PlainSource, method: str = "GET") -> Moulding:
        """What was learned of its answers to a method; another kind of source may judge them otherwise."""
        kind = (type(source), method)
        return self._mouldings.get(kind) or self._mouldings.setdefault(kind, Moulding())

    def may_retry(self, error: FastgetError, retries: int) -> bool:
        """Take one of the endpoint's retries, for a request that may have `retries`; False where none is left."""
        return self._reserve.spend(error, retries, self.gate.most)

    def succeed(self) -> None:
        """Something of it has landed."""
        self._reserve.succeed()

    @property
    def is_ailing(self) -> bool:
        """Whether its endpoint fails more than it serves."""
        return self._reserve.is_low


@record
class _Entry:
    store: Store
    made: float


class Stores:
    """The stores of a process by their names, the latest used 256 of them, each for a quarter of an hour.

    A name is that of an endpoint, a slash, and that of a bucket (`Source.store`).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.forget()

    def of(self, name: str) -> Store:
        """The store of that name, empty where it is new or has been forgotten."""
        now = self._clock()
        with self._lock:
            entry = self._entries.pop(name, None)
            if entry is None or now - entry.made > LIFETIME:
                entry = _Entry(Store(reserve=self._reserve(name.rpartition("/")[0])), now)
            self._entries[name] = entry
            if len(self._entries) > MOST_STORES:
                self._entries.popitem(last=False)
            return entry.store

    def _reserve(self, endpoint: str) -> Reserve:
        reserve = self._reserves.pop(endpoint, None) or Reserve()
        self._reserves[endpoint] = reserve
        if len(self._reserves) > MOST_STORES:
            self._reserves.popitem(last=False)
        return reserve

    def forget(self) -> None:
        """Begin anew, with a new lock: for tests, and for a child process in which nobody would open the old one."""
        self._lock = threading.RLock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._reserves: OrderedDict[str, Reserve] = OrderedDict()
