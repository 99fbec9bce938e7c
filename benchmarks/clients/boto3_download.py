"""boto3's managed download, with threads.

Usage: python -m benchmarks.clients.boto3_download URL FILE CONNECTIONS
"""

import sys
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config


def main() -> None:
    url, path, connections = urlsplit(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    bucket, _, key = url.path.lstrip("/").partition("/")
    client = boto3.client(
        "s3",
        endpoint_url=f"{url.scheme}://{url.netloc}",
        region_name="us-east-1",
        config=Config(
            signature_version=UNSIGNED,
            s3={"addressing_style": "path"},
            max_pool_connections=connections,
        ),
    )
    transfer = TransferConfig(max_concurrency=connections, preferred_transfer_client="classic")
    client.download_file(bucket, key, path, Config=transfer)


if __name__ == "__main__":
    main()
