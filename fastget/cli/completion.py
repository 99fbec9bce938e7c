"""`fastget completion`: the script that teaches a shell to complete fastget's flags, as click writes it."""

from __future__ import annotations

import os
import sys

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete, add_completion_class, split_arg_string

from fastget.cli.app import VARIABLE
from fastget.cli.exit_codes import ExitCode
from fastget.cli.options import Verb


@add_completion_class
class Bash(BashComplete):
    """bash cuts words at every `:` and `=`, and so every URL; the line up to the cursor tells them as they are."""

    source_template = BashComplete.source_template.replace(
        'COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD', 'COMP_LINE="${COMP_LINE:0:COMP_POINT}"'
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is being written, and what there is of that one."""
        *words, last = split_arg_string(f"{os.environ['COMP_LINE']}|")[1:] or ["|"]
        return words, last.removesuffix("|")


_KINDS = {"bash": Bash, "fish": FishComplete, "zsh": ZshComplete}

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
