"""hf_transfer, with the piece size that huggingface_hub gives it.

Usage: python -m benchmarks.clients.hf_transfer_download URL FILE CONNECTIONS
"""

import sys

import hf_transfer

_PIECE = 10 * 1024 * 1024


def main() -> None:
    hf_transfer.download(sys.argv[1], sys.argv[2], max_files=int(sys.argv[3]), chunk_size=_PIECE)


if __name__ == "__main__":
    main()
