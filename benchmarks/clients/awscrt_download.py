"""The AWS Common Runtime's S3 client, writing the file itself; part size left to it.

Usage: python -m benchmarks.clients.awscrt_download URL FILE GIGABITS
"""

import os
import sys
from urllib.parse import urlsplit

from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import (
    ClientBootstrap,
    ClientTlsContext,
    DefaultHostResolver,
    EventLoopGroup,
    TlsConnectionOptions,
    TlsContextOptions,
)
from awscrt.s3 import S3Client, S3RequestTlsMode, S3RequestType


def main() -> None:
    url, path, gigabits = urlsplit(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    events = EventLoopGroup()
    client = S3Client(
        bootstrap=ClientBootstrap(events, DefaultHostResolver(events)),
        region="us-east-1",
        tls_mode=S3RequestTlsMode.ENABLED if url.scheme == "https" else S3RequestTlsMode.DISABLED,
        tls_connection_options=_tls() if url.scheme == "https" else None,
        throughput_target_gbps=gigabits,
    )
    request = HttpRequest("GET", url.path, HttpHeaders([("host", url.netloc)]))
    # With no credentials and no signing configuration it sends its requests unsigned.
    download = client.make_request(type=S3RequestType.GET_OBJECT, request=request, recv_filepath=path)
    download.finished_future.result()


def _tls() -> TlsConnectionOptions:
    options = TlsContextOptions()
    authority = os.environ.get("SSL_CERT_FILE")
    if authority:
        options.override_default_trust_store_from_path(None, authority)
    return TlsConnectionOptions(ClientTlsContext(options))


if __name__ == "__main__":
    main()
