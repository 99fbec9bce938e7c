"""An object's plain request, made ahead for another process: that one can send it, and make no other.

Keys, tokens and callbacks stay where they are; what travels is what the server would have been sent.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Self

from fastget.core.messages import is_secret
from fastget.records import record
from fastget.sources.descriptions import object_info
from fastget.sources.s3 import S3Source
from fastget.sources.stores import is_transcoded, traits_of

if TYPE_CHECKING:
    from fastget.core.messages import Request, ResponseHead
    from fastget.core.objectinfo import ObjectInfo
    from fastget.sources.protocol import Source, StoreTraits


@record
class LentSource:
    """Implements `PlainSource`. `ca_bundle` is the file of CAs that its connection trusts, None for the system's."""

    request: Request = field(repr=False)
    display_url: str
    store: str
    selection: str = field(repr=False)
    ca_bundle: str | None

    def get(self) -> Request:
        return self.request

    def as_stored(self, head: ResponseHead) -> Self | None:
        return self if is_transcoded(head.headers) else None

    def describe(self, head: ResponseHead) -> ObjectInfo:
        return object_info(head, self.display_url, self._secrets())

    def traits(self, info: ObjectInfo) -> StoreTraits:
        return traits_of(info.headers, part_numbers=False)

    def refusal(self, head: ResponseHead, body: bytes) -> None:
        """What a refusal means is for the process that has lent it: it asks again, and its gate is that of all."""
        del head, body

    def _secrets(self) -> tuple[str, ...]:
        """What a server could repeat: it has seen nothing but the request."""
        fields = tuple(value for name, value in self.request.headers if is_secret(name))
        if not self.request.url.query:
            return fields
        from fastget.core.redaction import secret_parameters

        return (*fields, *secret_parameters(self.request.url.query))


def lend(source: Source, ca_bundle: str | None) -> LentSource | None:
    """The plain request of `source`, as it would be sent now; None where its answer takes more than that to be judged.

    `ca_bundle`: what its connections trust. Raises what `Source.get` does.
    """
    if isinstance(source, S3Source) and not source.is_plain:
        return None
    return LentSource(source.get(), source.display_url, source.store, source.selection, ca_bundle)
