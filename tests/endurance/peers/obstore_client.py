"""obstore: ranges of 1 MiB on 4 threads, each with If-Match and its length compared; the file gets its name at the end.

obstore makes no files. This is the loop that a careful caller would write around it.

Usage: python -m tests.endurance.peers.obstore_client ENDPOINT BUCKET KEY FILE
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import obstore
from obstore.store import S3Store

PART = 2**20


def main() -> None:
    endpoint, bucket, key, path = sys.argv[1:]
    store = S3Store(
        bucket,
        endpoint=endpoint,
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True, "connect_timeout": "5s", "read_timeout": "5s", "timeout": "30s"},
    )
    known = obstore.head(store, key)
    size, etag = known["size"], known["e_tag"]
    part_file = f"{path}.part"
    file = os.open(part_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def fetch(start: int) -> None:
        stop = min(start + PART, size)
        data = obstore.get(store, key, options={"range": (start, stop), "if_match": etag}).bytes()
        if len(data) != stop - start:
            raise OSError(f"{len(data)} bytes instead of {stop - start}")
        os.pwrite(file, data, start)

    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(fetch, range(0, size, PART)))
    except BaseException:
        os.unlink(part_file)  # noqa: PTH108
        raise
    os.close(file)
    os.replace(part_file, path)  # noqa: PTH105


if __name__ == "__main__":
    main()
