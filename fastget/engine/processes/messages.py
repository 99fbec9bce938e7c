"""What the process of a download and its children tell each other. All of it is small; payload is never in it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from fastget.records import record

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.addresses import Address
    from fastget.core.checksums.algorithms import Algorithm
    from fastget.core.objectinfo import ObjectInfo, Pin
    from fastget.core.planner import Chunk, Plan
    from fastget.core.ranges import Span
    from fastget.core.store_memory import StoreFacts
    from fastget.engine.children.messages import Failure
    from fastget.sources.protocol import StoreTraits


@record
class Assignment:
    """To a child, first of all: what is fetched and how. `config` has no secrets but the proxy's.

    `plan` comes without the layout of parts, `info` without its headers. `block` is the size of a claim of the
    journal, 0 where none is kept. `processes` share the machine. `home` is the host, its port and the address that have
    answered first, None behind what hides it.
    """

    config: Config = field(repr=False)
    display_url: str
    path: str
    info: ObjectInfo
    traits: StoreTraits
    facts: StoreFacts
    plan: Plan
    can_resume: bool
    content_is_checked: bool
    algorithms: tuple[Algorithm, ...]
    block: int
    processes: int
    home: tuple[str, int, Address] | None


@record
class Given:
    """To a child that asked with `Wanted`: fetch this chunk, of the object that is pinned like this."""

    chunk: Chunk
    pin: Pin


@record
class Answer:
    """To a child: what its call has come to. `failure` as of `packed`."""

    number: int
    value: Any = field(default=None, repr=False)
    failure: Failure | None = None


@record
class Ready:
    """From a child: it has come up."""


@record
class Wanted:
    """From a child: one more of its workers has nothing to do."""


@record
class Call:
    """From a child, which waits for the answer to this number."""

    number: int
    name: str
    arguments: tuple[Any, ...] = field(default=(), repr=False)


@record
class Left:
    """From a child: a request that had entered the gate has ended. `failure` where the store refused it (503)."""

    failure: Failure | None = None
    is_served: bool = True


@record
class Progressed:
    """From a child: a failing attempt at a chunk has brought a good deal."""

    index: int


@record
class Claimed:
    """These bytes have been written, and this is their xxh3-64; None where nothing of them holds any more."""

    span: Span
    digest: bytes | None


@record
class Report:
    """From a child, about ten times a second and after every chunk: totals since it began, and claims since the last.

    `received` and `discarded` are bytes, `unanswered` the seconds that its oldest request has been waiting, where none
    was ever answered. A report with nothing new says that the child lives.
    """

    received: int = 0
    discarded: int = 0
    requests: int = 0
    rescues: int = 0
    connections: int = 0
    unanswered: float = 0.0
    claims: tuple[Claimed, ...] = ()


@record
class Failed:
    """From a child: an error that ends the download."""

    failure: Failure
