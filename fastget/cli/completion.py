"""`fastget completion`: the script that teaches a shell to complete fastget's flags, as click writes it."""

from __future__ import annotations

import sys

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from fastget.cli.app import VARIABLE
from fastget.cli.exit_codes import ExitCode
from fastget.cli.options import Verb

_KINDS = {"bash": BashComplete, "fish": FishComplete, "zsh": ZshComplete}


_HELP = """Print the script that lets a shell complete fastget's verbs and flags.

\b
Examples:
  1. bash, in ~/.bashrc
     eval "$(fastget completion bash)"
  2. zsh, in ~/.zshrc
     eval "$(fastget completion zsh)"
  3. fish
     fastget completion fish > ~/.config/fish/completions/fastget.fish
"""


def completion(shell: str) -> int:
    """Run the verb; the exit status."""
    root = click.get_current_context().find_root().command
    sys.stdout.write(f"{_KINDS[shell](root, {}, 'fastget', VARIABLE).source()}\n")
    return ExitCode.DONE


command = Verb(
    "completion",
    callback=completion,
    help=_HELP,
    short_help="Print a completion script for a shell.",
    params=[click.Argument(["shell"], type=click.Choice(list(_KINDS)))],
)
