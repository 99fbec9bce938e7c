"""obstore: ranges of 8 MiB on threads, written in place.

Usage: python -m benchmarks.clients.obstore_download URL FILE CONNECTIONS
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig

_PART = 8 * 1024 * 1024


def main() -> None:
    url, path, connections = urlsplit(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    bucket, _, key = url.path.lstrip("/").partition("/")
    options: ClientConfig = {"allow_http": url.scheme == "http"}
    authority = os.environ.get("SSL_CERT_FILE")
    if url.scheme == "https" and authority:
        options["root_certificate"] = Path(authority).read_text()
    store = S3Store(
        bucket,
        endpoint=f"{url.scheme}://{url.netloc}",
        region="us-east-1",
        skip_signature=True,
        virtual_hosted_style_request=False,
        client_options=options,
    )
    size = obstore.head(store, key)["size"]
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def fetch(start: int) -> None:
        os.pwrite(file, obstore.get_range(store, key, start=start, end=min(start + _PART, size)), start)

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(fetch, range(0, size, _PART)))
    os.close(file)


if __name__ == "__main__":
    main()
