"""From what the first answer said to what is going to be done: the checks, the layout and the plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastget.core.checksums.declared import contradiction, etag_digest, user_digest
from fastget.core.checksums.verification import Check, choose, ladder, reason_for_size_only
from fastget.core.governor import limit_for
from fastget.core.guesses import guessed_layouts
from fastget.core.layout import PartLayout
from fastget.core.planner import SMALLEST_CHUNK, Plan, plan_parts, plan_ranges, plan_stream
from fastget.engine.pieces.task import Task
from fastget.errors import ChecksumMismatch, RangeNotSupported, Unverifiable
from fastget.records import record

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.objectinfo import ObjectInfo
    from fastget.engine.discovery.opening import Opening
    from fastget.engine.exchange.stores import Store
    from fastget.engine.pieces.task import Replan
    from fastget.sinks.protocol import Sink
    from fastget.sources.protocol import StoreTraits

# What a sink that keeps order may have to hold for the workers ahead of its front.
ORDERED_CHUNK = 2 * 1024 * 1024

FindLayout = Callable[[int | None, bool], PartLayout | None]


@record
class Knowledge:
    """What earlier plans of the same transfer have taught about the store."""

    stream_only: bool = False
    no_part_numbers: bool = False
    exact_layout: bool = False
    seen: tuple[bytes, ...] | None = None
    """The digests that an earlier fetch of everything came to, where they were not the declared ones."""

    def after(self, lesson: Replan) -> Knowledge:
        """This, and what a plan that broke off has taught."""
        return Knowledge(
            self.stream_only or lesson.stream,
            self.no_part_numbers or lesson.no_part_numbers,
            self.exact_layout or lesson.exact_layout,
            lesson.seen or self.seen,
        )


@record
class Prepared:
    """The task, the checks that it is held to (best first), and why there is none where there is none."""

    task: Task
    checks: tuple[Check, ...]
    reason: str


def prepare(
    opening: Opening, sink: Sink, config: Config, known: Knowledge, find_layout: FindLayout, store: Store
) -> Prepared:
    """Decide how the opened object is going to be fetched and verified.

    `find_layout` asks the store where its parts lie, given how many there should be and whether they must be fetched by
    number; it is called where that matters. `store` is what is known of the store.
    Raises Unverifiable, RangeNotSupported or ChecksumMismatch where the options, or the store's own words, rule
    every way out.
    """
    info, traits = opening.info, opening.source.traits(opening.info)
    rungs = rungs_of(info, traits, config.checksum)
    if _is_hashed_as_it_comes(sink, choose(rungs, layout_is_known=True)):
        # Then there are no parts to add up.
        rungs = tuple(rung for rung in rungs if rung.parts is None)
    layout = _layout(info, traits, sink, config, rungs, find_layout)
    checks = choose(rungs, layout_is_known=layout is not None)
    if config.require_verified and not checks:
        reason = reason_for(info, rungs)
        raise Unverifiable(
            f"{info.url} cannot be verified: {reason}",
            hint="give its digest as checksum, or leave out require_verified",
            url=info.url,
        )
    can_resume = _can_resume(info, checks) and not known.stream_only
    plan = _plan(info, sink, config, known, layout, checks, limit_for(store.facts), can_resume=can_resume)
    ordered = any(check.is_ordered for check in checks)
    task = Task(
        source=opening.source,
        info=info,
        traits=traits,
        plan=plan,
        sink=sink,
        config=config,
        can_resume=can_resume,
        content_is_checked=bool(checks),
        in_order=ordered or not sink.is_seekable,
        store=store,
    )
    return Prepared(task, checks, reason_for(info, rungs))


def parts_not_served(url: str) -> RangeNotSupported:
    """The error where part numbers are asked for by force."""
    return RangeNotSupported(
        f"{url} cannot be fetched by part number: the store does not serve its parts",
        hint="use --split auto or --split range",
        url=url,
    )


def _layout(
    info: ObjectInfo,
    traits: StoreTraits,
    sink: Sink,
    config: Config,
    rungs: tuple[Check, ...],
    find_layout: FindLayout,
) -> PartLayout | None:
    """Where the parts lie, as far as they matter: as the store tells or, where nothing else would do, by a guess."""
    best = next(iter(choose(rungs, layout_is_known=True)[-1:]), None)
    parts, by_force = best.parts if best else None, config.split == "part"
    if info.size and (traits.part_numbers or traits.object_attributes) and (parts or by_force):
        found = find_layout(parts, by_force)
        if found is not None:
            return found
    # Of nothing, the only part is nothing too, which is no guess.
    may_guess = info.size == 0 or (info.size is not None and sink.is_seekable)
    if not may_guess or not parts or by_force or choose(rungs, layout_is_known=False):
        return None
    return _guess(info.size or 0, parts)


def _guess(size: int, parts: int) -> PartLayout | None:
    """The likeliest layout, where the store tells none. Only where nothing conclusive can be compared is it used."""
    if parts == 1:
        return PartLayout.of_sizes([size], is_served=False)
    return next(iter(guessed_layouts(size, parts)), None)


def rungs_of(info: ObjectInfo, traits: StoreTraits, checksum: str | None = None) -> tuple[Check, ...]:
    """The ladder of a whole object; `checksum` is the user's own.

    Raises ChecksumMismatch for declarations that contradict each other.
    """
    if (line := contradiction(info.declared)) is not None:
        raise ChecksumMismatch(
            f"{info.url} is declared with two digests that contradict each other: {line}",
            hint="the store or something before it is at fault; ask its owner",
            url=info.url,
        )
    user = user_digest(checksum) if checksum else None
    return ladder(info.declared, user, etag_digest(info.etag) if traits.etag_is_md5 else None)


def reason_for(info: ObjectInfo, rungs: tuple[Check, ...]) -> str:
    """Why nothing but the size can be compared, in one line."""
    if info.size is None and not rungs:
        return "the server declared neither a length nor a checksum"
    headers = any(name.lower().startswith("x-amz-checksum-") for name, _ in info.headers)
    return reason_for_size_only(rungs, has_checksum_headers=headers)


def _can_resume(info: ObjectInfo, checks: tuple[Check, ...]) -> bool:
    """Whether ranges of several answers may be put together: the pin, or a digest of the content, must hold them."""
    return info.size is not None and info.accepts_ranges is not False and (info.pin.can_be_combined or bool(checks))


def _is_hashed_as_it_comes(sink: Sink, checks: tuple[Check, ...]) -> bool:
    """Whether it takes one stream in one piece: a sink that keeps order cannot be read back to follow its front."""
    return not sink.is_seekable and any(check.is_ordered for check in checks)


def _plan(
    info: ObjectInfo,
    sink: Sink,
    config: Config,
    known: Knowledge,
    layout: PartLayout | None,
    checks: tuple[Check, ...],
    most_connections: int,
    *,
    can_resume: bool,
) -> Plan:
    composite = any(check.parts is not None for check in checks)
    # What has left through a pipe cannot be fetched by another plan: no part numbers there, which may be ignored.
    trusted = sink.is_seekable or config.split == "part"
    by_number = config.split != "range" and not known.no_part_numbers and can_resume and trusted
    by_number = by_number and layout is not None and layout.is_served
    if config.split == "part" and (layout is None or not by_number):
        raise parts_not_served(info.url)
    is_hashed_as_it_comes = _is_hashed_as_it_comes(sink, checks)
    alone = not can_resume or is_hashed_as_it_comes
    if layout is not None and not is_hashed_as_it_comes and (composite or config.split == "part"):
        whole = config.split == "part" or any(check.needs_whole_parts for check in checks)
        small = layout.size <= SMALLEST_CHUNK and config.part_size is None
        connections = 1 if alone or small else config.connections
        return plan_parts(
            layout,
            by_number=by_number and not alone,
            whole_parts=whole,
            connections=connections,
            chunk_size=config.part_size,
        )
    if info.size is None or alone:
        return plan_stream(info.size)
    return plan_ranges(
        info.size,
        connections=config.connections,
        most_connections=most_connections,
        chunk_size=config.part_size,
        maximum_chunk=None if sink.is_seekable else ORDERED_CHUNK,
    )
