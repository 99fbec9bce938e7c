"""What the process of a pull and its children tell each other. Payload is never in it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from fastget.records import record

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.engine.children.messages import Failure
    from fastget.events import Result
    from fastget.sources.lent import LentSource


@record
class Commission:
    """To a child, first of all: how objects are fetched, and below which directory.

    `config` has no secrets but the proxy's. `is_new`: the directory was empty when the pull began. `jobs` are the
    threads of this child, None: found by measuring; `processes` share the machine.
    """

    config: Config = field(repr=False)
    directory: str
    is_new: bool
    jobs: int | None
    processes: int


@record
class Errand:
    """An object to be fetched to `path`, below the directory; `size` as the listing says, in bytes."""

    source: LentSource
    path: str
    size: int | None
    checksum: str | None


@record
class Lot:
    """To a child: fetch these."""

    errands: tuple[Errand, ...]


@record
class Finish:
    """To a child, once it holds nothing: bring the names to the disk, and end."""


@record
class Report:
    """From a child, some fifty times a second while there is news, ten times where there is none.

    `landed` are here now; `returned` are paths of errands that the process of the pull has to fetch itself. So many
    errands are `due` in all since the beginning; `threads` work.
    """

    landed: tuple[Result, ...] = ()
    returned: tuple[str, ...] = ()
    due: int = 0
    threads: int = 0


@record
class Finished:
    """From a child: the names of all that it has fetched are on the disk, as far as they can be."""


@record
class Broken:
    """From a child: an error that ends the pull."""

    failure: Failure
