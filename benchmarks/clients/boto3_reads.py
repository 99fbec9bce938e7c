"""boto3's get_object of one object after the other, in each thread.

Usage: python -m benchmarks.clients.boto3_reads URL FILE THREADS NAMES
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from benchmarks.clients.reads import read_all

if TYPE_CHECKING:
    from collections.abc import Callable


def reader(url: str) -> Callable[[str], bytes]:
    place = urlsplit(url)
    client = boto3.client(
        "s3",
        endpoint_url=f"{place.scheme}://{place.netloc}",
        region_name="us-east-1",
        config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}, max_pool_connections=64),
    )
    bucket = place.path.strip("/")
    return lambda name: bytes(client.get_object(Bucket=bucket, Key=name)["Body"].read())


if __name__ == "__main__":
    read_all(reader)
