"""The AWS Common Runtime's S3 client, signed, with its validation of the whole object; it writes the file itself.

Usage: python -m tests.endurance.peers.awscrt_client ENDPOINT BUCKET KEY FILE
"""

import sys
from urllib.parse import urlsplit

from awscrt.auth import AwsCredentialsProvider
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup
from awscrt.s3 import (
    S3ChecksumConfig,
    S3Client,
    S3RequestTlsMode,
    S3RequestType,
    create_default_s3_signing_config,
)


def main() -> None:
    endpoint, bucket, key, path = sys.argv[1:]
    events = EventLoopGroup()
    bootstrap = ClientBootstrap(events, DefaultHostResolver(events))
    credentials = AwsCredentialsProvider.new_environment()
    client = S3Client(
        bootstrap=bootstrap,
        region="us-east-1",
        tls_mode=S3RequestTlsMode.DISABLED,
        signing_config=create_default_s3_signing_config(region="us-east-1", credential_provider=credentials),
        part_size=2**20,
        max_active_connections_override=4,
    )
    request = HttpRequest("GET", f"/{bucket}/{key}", HttpHeaders([("host", urlsplit(endpoint).netloc)]))
    download = client.make_request(
        type=S3RequestType.GET_OBJECT,
        request=request,
        recv_filepath=path,
        checksum_config=S3ChecksumConfig(validate_response=True),
    )
    download.finished_future.result()


if __name__ == "__main__":
    main()
