"""What the answers of one store have taught about it, so that what it cannot do is asked of it once, not per object.

wire-spec.md §3: probe once per endpoint and bucket. A fact is None until an answer has told it; whoever keeps facts
lets them go after a while, because stores are upgraded and permissions granted.
"""

from __future__ import annotations

from enum import StrEnum

from fastget.records import record


class MatchForm(StrEnum):
    """How the pinned ETag goes into If-Match (wire-spec.md §4)."""

    AS_RECEIVED = "as-received"
    UNQUOTED = "unquoted"
    """DigitalOcean Spaces matches an ETag only without its quotes."""
    NONE = "none"
    """The store refuses its own ETag (SeaweedFS 3.97): answers are compared with it instead."""

    @property
    def next(self) -> MatchForm | None:
        """What to try where the store refuses this form; None after the last one."""
        forms = list(MatchForm)
        place = forms.index(self) + 1
        return forms[place] if place < len(forms) else None


@record
class StoreFacts:
    """What is known of one endpoint and bucket. None: not told yet.

    `part_heads` and `part_gets`: whether HEAD, or GET, with `?partNumber=` proves that it is honoured. `part_lengths`:
    whether such a HEAD tells at least a part's length (Ceph). `attributes`: whether GetObjectAttributes is answered.
    `match_form`: the If-Match that it accepts. `wait`: seconds until its last answer. `is_object_store`: whether its
    answers are those of S3 and its kin. `connections`: how many of them paid for the last object that was large enough
    to tell. `bears`: how many of them it serves at once, where it has left more without an answer.
    """

    part_heads: bool | None = None
    part_gets: bool | None = None
    part_lengths: bool | None = None
    attributes: bool | None = None
    match_form: MatchForm | None = None
    wait: float | None = None
    is_object_store: bool = False
    connections: int | None = None
    bears: int | None = None
