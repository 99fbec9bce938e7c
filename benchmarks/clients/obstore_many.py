"""obstore: one get for each object, on threads, written to files.

Usage: python -m benchmarks.clients.obstore_many URL DIRECTORY CONNECTIONS NAMES
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store


def store_of(bucket_url: str) -> S3Store:
    """The bucket at this URL, for whoever signs nothing."""
    url = urlsplit(bucket_url)
    return S3Store(
        url.path.strip("/").partition("/")[0],
        endpoint=f"{url.scheme}://{url.netloc}",
        region="us-east-1",
        skip_signature=True,
        virtual_hosted_style_request=False,
        client_options={"allow_http": url.scheme == "http"},
    )


def main() -> None:
    store, directory, connections = store_of(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    names = Path(sys.argv[4]).read_text().split()
    Path(directory).mkdir()

    def fetch(name: str) -> None:
        data = obstore.get(store, name).bytes()
        with open(f"{directory}/{os.path.basename(name)}", "wb") as file:  # noqa: PTH119, PTH123  as fast as can be
            file.write(data)

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(fetch, names))


if __name__ == "__main__":
    main()
