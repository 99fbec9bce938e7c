"""A bucket whose keys are to be listed, in the place of an object: the same signatures and corrections."""

from __future__ import annotations

from dataclasses import field, fields, replace
from typing import TYPE_CHECKING, Self

from fastget.core.messages import Headers
from fastget.errors import InvalidURL
from fastget.records import record
from fastget.sources.endpoints import ObjectRequest
from fastget.sources.listing import Selection
from fastget.sources.listing_pages import PageReader
from fastget.sources.requests import plain_headers, with_user_headers
from fastget.sources.resolve import resolve
from fastget.sources.s3 import DIRECTORY_BUCKETS, S3Source, parse_s3_url

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.core.messages import Request
    from fastget.core.objectinfo import Pin
    from fastget.sources.endpoints import S3Endpoints
    from fastget.sources.listing import Query

# Put after a URL that may end with its bucket, so that it names a key for certain.
_SOME_KEY = "/k"


@record
class ListingSource(S3Source):
    """The keys of a bucket that begin with `key`. `listing_headers` are those of every page's request.

    `bucket_url` is what the keys come after: `s3://bucket/`.
    """

    bucket_url: str = ""
    listing_headers: Headers = field(default_factory=Headers, repr=False)

    @classmethod
    def at(cls, url: str, config: Config, endpoints: S3Endpoints) -> Self:
        """The listing that `s3://bucket` or `s3://bucket/prefix` names.

        Raises InvalidURL for a URL of another kind, and what `resolve` does.
        """
        found = resolve(url + _SOME_KEY, config, endpoints)
        if not isinstance(found, S3Source):
            raise InvalidURL(
                "a web server lists nothing that can be relied on, so http and https URLs cannot be listed",
                hint="name the bucket as s3://bucket/prefix, with endpoint_url for a store that is not AWS; what a web "
                "server has is pulled as a list of URLs",
            )
        facts = {item.name: getattr(found, item.name) for item in fields(S3Source)}
        facts["key"] = _without_some_key(found.key)
        said = (
            ("x-amz-request-payer", config.request_payer),
            ("x-amz-expected-bucket-owner", config.expected_bucket_owner),
        )
        own = [*plain_headers(), *((name, value) for name, value in said if value is not None)]
        headers = Headers(with_user_headers(own, tuple(config.headers.items()), None))
        bucket_url = f"{url.partition('://')[0].lower()}://{found.bucket}/"
        return cls(**facts, bucket_url=bucket_url, listing_headers=headers)

    @property
    def is_ordered(self) -> bool:
        """Whether the store promises the order of UTF-8 bytes; directory buckets alone do not."""
        return not self.bucket.endswith(DIRECTORY_BUCKETS)

    def reader(self) -> PageReader:
        """What reads the answer to one page."""
        return PageReader(self.bucket_url, self.display_url, self._secrets())

    def page(self, query: Query) -> Request:
        """The request for one page, signed for this moment. Raises what `BucketRoute.request` does."""
        route = self._route()
        # A bucket in the path is named without the slash behind it.
        at = replace(route, root=replace(route.root, path=route.root.path.rstrip("/") or "/"))
        asked = ObjectRequest("GET", "", query, self.listing_headers)
        return at.request(asked, self.display_url, self.endpoints.skew(self.settings))

    def head(self, part_number: int | None = None, pin: Pin | None = None) -> Request:
        """There is no object: corrections are told by where a request goes, and in whose name."""
        del part_number, pin
        return self.page(Selection(self.key).first_query())


def listed_prefix(url: str) -> str:
    """What the keys that such a URL lists begin with. Raises InvalidURL where it names no bucket."""
    return _without_some_key(parse_s3_url(url + _SOME_KEY)[1])


def _without_some_key(key: str) -> str:
    return key.removesuffix(_SOME_KEY) if key.endswith(_SOME_KEY) else ""
