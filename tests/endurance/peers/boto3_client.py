"""boto3's managed download: parts of 1 MiB on 4 threads, signed, responses validated where they carry a checksum.

Usage: python -m tests.endurance.peers.boto3_client ENDPOINT BUCKET KEY FILE
"""

import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

PART = 2**20


def main() -> None:
    endpoint, bucket, key, path = sys.argv[1:]
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=5,
            read_timeout=5,
            retries={"mode": "standard", "max_attempts": 5},
            response_checksum_validation="when_supported",
            s3={"addressing_style": "path"},
        ),
    )
    transfer = TransferConfig(
        multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4, preferred_transfer_client="classic"
    )
    client.download_file(bucket, key, path, ExtraArgs={"ChecksumMode": "ENABLED"}, Config=transfer)


if __name__ == "__main__":
    main()
