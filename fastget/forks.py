"""What a fork needs: nothing that is being imported, and children that let go of what only the parent may use."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Protocol
from weakref import WeakValueDictionary

# What the threads of a transfer import when they first need it; the second half only if that has begun.
IMPORTED_LATE = (
    "awscrt.checksums",
    "email.utils",
    "fastget.core.checksums.castagnoli",
    "fastget.core.redaction",
    "fastget.sources.attributes",
    "fastget.sources.refusals",
    "fastget.transport.connection",
    "fastget.transport.proxies",
    "fastget.transport.readiness",
    "fastget.transport.resolver",
    "fastget.transport.route",
    "fastget.transport.tls",
    "hashlib",
    "http",
    "ipaddress",
    "xml.etree.ElementTree",
    "xxhash",
)
# logging is here because it hooks into forks itself: loaded in the middle of one, half of its hooks would be missing.
IMPORTED_SELDOM = (
    "botocore.session",
    "configparser",
    "ctypes",
    "fastget.bulk.processes.company",
    "fastget.bulk.processes.starting",
    "fastget.core.object_moulds",
    "fastget.engine.processes.company",
    "fastget.engine.reading.scattered",
    "fastget.sources.capture",
    "fastget.sources.getobject",
    "fastget.sources.getobject_parameters",
    "fastget.sources.iam",
    "fastget.sources.links",
    "fastget.sources.s3",
    "fastget.sources.trails",
    "fastget.transport.fallback",
    "h11",
    "logging",
    "urllib.request",
)
# What these import, and when, is not counted up here.
_PACKAGES = frozenset({"awscrt", "botocore", "crc32c", "fastget", "h11", "httpcore", "httpx", "urllib3", "xxhash"})


class Forkable(Protocol):
    """What has to be told of forks."""

    @property
    def is_in_use(self) -> bool:
        """Whether threads may be at work for it."""
        ...

    def begin_anew(self) -> None:
        """In a forked child: let go of the parent's sockets and locks.

        At once and not at the next use: until then they would keep connections open that the parent has closed.
        """
        ...


# By their identities: a copy of it is made in one step, whoever adds to it meanwhile, which a WeakSet's is not.
_known: WeakValueDictionary[int, Forkable] = WeakValueDictionary()


def tell(one: Forkable) -> None:
    """From now on, as long as it lives."""
    _known[id(one)] = one


def _told() -> list[Forkable]:
    return [one for reference in _known.valuerefs() if (one := reference()) is not None]


def _finish_imports() -> None:
    """Before a fork: a module that another thread is importing would stay locked in the child, for ever."""
    if any(one.is_in_use for one in _told()):
        for name in (*IMPORTED_LATE, *(name for name in IMPORTED_SELDOM if name in sys.modules)):
            import_module(name)
    waited: set[str] = set()
    while begun := _being_imported() - waited:
        waited |= begun
        for name in begun:
            with suppress(Exception):  # it is told in the thread that imports it
                import_module(name)


def _being_imported() -> set[str]:
    """Modules of fastget, and of what it rests on, that some thread imports: of others it may never end."""
    # CPython's, and no more than a help: it holds a lock for each of them, before it is in sys.modules.
    locks = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    return {name for name in list(locks) if name.partition(".")[0] in _PACKAGES}


def _begin_anew() -> None:
    for one in _told():
        one.begin_anew()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(before=_finish_imports, after_in_child=_begin_anew)
