"""Where requests go and who signs them, where that is plain to see: botocore's answer, without the loading of it.

botocore takes 200 ms to load and to make a client. The tests hold every answer that is given here to that of botocore;
whatever could change it (another partition, access points, directory buckets, dual-stack, ...) is left to it.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING

from fastget.records import record
from fastget.sources.aws_environment import plain_environment
from fastget.sources.signing import Credentials

if TYPE_CHECKING:
    from fastget.sources.aws_environment import AwsEnvironment
    from fastget.sources.settings import S3Settings

DEFAULT_REGION = "us-east-1"

# Regions of the partition "aws": other partitions have other domains (cn-north-1), or more words (us-gov-west-1).
_AWS_REGION = re.compile(r"(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]")
# Of anyone else's store, a region is just a word in the signature.
_OTHER_REGION = re.compile(r"(?!aws-|s3-|.*fips)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_ENDPOINT = re.compile(r"https?://[a-z0-9]+(?:[.-][a-z0-9]+)*(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?/?")
# Names that look like no alias of an access point, and like no bucket of another kind.
_BUCKET = re.compile(r"(?!.*--)(?!.*-s3alias$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LABEL = re.compile(r"[a-z0-9-]+")


@record
class PlainRoute:
    """The URL of a bucket's objects up to the key, the region, and the keys (None: requests go unsigned)."""

    root: str
    region: str
    keys: Credentials | None = field(default=None, repr=False)


def plain_route(settings: S3Settings, bucket: str) -> PlainRoute | None:
    """What botocore would answer; None where it has to be asked. Reads the AWS variables and files."""
    if settings.use_dualstack_endpoint or settings.use_fips_endpoint or settings.use_accelerate_endpoint:
        return None
    found = plain_environment(settings.profile) if _BUCKET.fullmatch(bucket) else None
    if found is None:
        return None
    keys = None if settings.is_unsigned else _keys(settings, found)
    if keys is None and not settings.is_unsigned:
        return None
    region = settings.region or found.region or DEFAULT_REGION
    style = settings.addressing_style if settings.addressing_style != "auto" else found.addressing_style
    endpoint = found.endpoint_url if settings.endpoint_url is None else settings.endpoint_url
    root = _of_aws(region, style, bucket) if endpoint is None else _of_another(endpoint, region, style, bucket)
    return None if root is None else PlainRoute(root, region, keys)


def _keys(settings: S3Settings, found: AwsEnvironment) -> Credentials | None:
    if settings.access_key_id is None:
        return found.keys
    return Credentials(settings.access_key_id, settings.secret_access_key or "", settings.session_token)


def _of_aws(region: str, style: str, bucket: str) -> str | None:
    if style not in ("auto", "virtual", "path") or not _AWS_REGION.fullmatch(region):
        return None
    host = "s3.amazonaws.com" if region == "us-east-1" else f"s3.{region}.amazonaws.com"
    # A certificate for *.s3.amazonaws.com is not good for names with dots.
    return f"https://{bucket}.{host}/" if style != "path" and _LABEL.fullmatch(bucket) else f"https://{host}/{bucket}/"


def _of_another(endpoint: str, region: str, style: str, bucket: str) -> str | None:
    """A store's own endpoint, with the bucket in the path."""
    if style not in ("auto", "path") or not _OTHER_REGION.fullmatch(region) or len(region) > 63:
        return None
    if not _ENDPOINT.fullmatch(endpoint) or "amazonaws" in endpoint:
        return None
    return f"{endpoint.rstrip('/')}/{bucket}/"
