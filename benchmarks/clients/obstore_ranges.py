"""obstore's get_ranges, all in one call; it has no setting for how many go out at once.

Usage: python -m benchmarks.clients.obstore_ranges URL FILE IGNORED COUNT LENGTH
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

from benchmarks.objects import Ranges, digest_of


def main() -> None:
    url, path = urlsplit(sys.argv[1]), sys.argv[2]
    count, length = map(int, sys.argv[4:])
    bucket, _, key = url.path.lstrip("/").partition("/")
    store = S3Store(
        bucket,
        endpoint=f"{url.scheme}://{url.netloc}",
        region="us-east-1",
        skip_signature=True,
        virtual_hosted_style_request=False,
        client_options={"allow_http": url.scheme == "http"},
    )
    starts = [start for start, _ in Ranges(count, length).spans()]
    found = obstore.get_ranges(store, key, starts=starts, lengths=[length] * count)
    Path(path).write_text(digest_of(memoryview(one) for one in found))


if __name__ == "__main__":
    main()
