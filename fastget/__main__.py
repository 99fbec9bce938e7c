"""The `fastget` command, and `python -m fastget`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process and return its exit status."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        # Before anything else is loaded: the answer is in the package itself.
        from fastget import __version__

        sys.stdout.write(f"fastget {__version__}\n")
        return 0
    from fastget.cli.app import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
