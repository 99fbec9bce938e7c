"""The `fastget` command: finds the verb, runs it, and turns every way it can end into an exit status."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from fastget.cli.exit_codes import ExitCode, of_signal
from fastget.cli.options import VERBS, help_flag
from fastget.cli.signals import Interrupted, clean_stop
from fastget.cli.streams import OutputLost, prepare_streams, silence_output
from fastget.cli.terminal import printable
from fastget.cli.warnings import hear_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from click.shell_completion import CompletionItem

# A URL in a sentence, in quotes or brackets.
_URL = r"[A-Za-z][A-Za-z0-9+.-]*://\S*?(?=[)']*(?:\s|$))"
# By this variable a shell asks for completions.
VARIABLE = "_FASTGET_COMPLETE"
_HELP = """Parallel, verified downloads from S3, S3-compatible stores and HTTP(S).

`fastget URL` is short for `fastget get URL`.

\b
Examples:
  1. Download a file
     fastget https://example.com/data/model.bin
  2. Download everything below a prefix
     fastget pull s3://bucket/images/ -d images
  3. See what a store knows of an object
     fastget stat s3://bucket/model.bin
  4. See fastget at work, without a network
     fastget demo
"""
_EPILOG = """\b
Exit status:
  0 done               1 some objects failed   2 usage
  3 not found          4 no access             5 network or server
  6 source changed     7 checksum              8 disk
  129, 130 ended by a closed terminal, Ctrl-C
  141, 143 ended by a closed pipe, SIGTERM
"""


class Verbs(click.Group):
    """The verbs, each loaded when it is called. Without one, what looks like a URL or a flag is for `get`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  the signature is click's
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module: Any = import_module(f"fastget.cli.{cmd_name}")
        found: click.Command = module.command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = _verb_meant_by(args[0])
            if near is None:
                raise
            raise click.UsageError(f"{error.message.removesuffix('.')} (did you mean {near}?)", ctx) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = super().shell_complete(ctx, incomplete)
        get = self.get_command(ctx, "get") if incomplete.startswith("-") else None
        if get is not None:
            known = {item.value for item in found}
            flags = get.shell_complete(click.Context(get, parent=ctx), incomplete)
            found += [item for item in flags if item.value not in known]
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and _is_for_get(args[0]):
            args = ["get", *args]
        return super().parse_args(ctx, args)


def _verb_meant_by(given: str) -> str | None:
    from difflib import get_close_matches

    from fastget.cli import habits

    return habits.VERBS.get(given) or next(iter(get_close_matches(given, VERBS, 1)), None)


def group() -> click.Group:
    """The command with all its verbs."""
    version = click.Option(
        ["-V", "--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="show the version",
    )
    return Verbs(
        "fastget",
        params=[version, help_flag()],
        add_help_option=False,
        help=_HELP,
        epilog=_EPILOG,
        no_args_is_help=False,
    )


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status."""
    prepare_streams()
    hear_warnings()
    sys.excepthook = _show_defect
    root = group()
    if os.environ.get(VARIABLE):
        import_module("fastget.cli.completion")
        root.main(prog_name="fastget", complete_var=VARIABLE)
    try:
        with clean_stop():
            status = _run(root, arguments)
            sys.stdout.flush()
    except Interrupted as stop:
        sys.stderr.write("fastget: interrupted\n")
        status = of_signal(stop.signal_number)
    except BrokenPipeError:
        status = ExitCode.BROKEN_PIPE
    except OutputLost as error:
        sys.stderr.write(f"fastget: standard output cannot be written: {error.strerror}\n")
        status = ExitCode.DISK
    _flush()
    return status


def _flush() -> None:
    """Write out what is left, as far as that goes."""
    try:
        sys.stdout.flush()
    except (BrokenPipeError, OutputLost):
        silence_output()


def _run(root: click.Group, arguments: Sequence[str]) -> int:
    try:
        with root.make_context("fastget", list(arguments)) as context:
            if not arguments:
                sys.stderr.write(f"{root.get_help(context)}\n")
                return ExitCode.USAGE
            outcome = root.invoke(context)
            return outcome if isinstance(outcome, int) else ExitCode.DONE
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        _show_usage_error(error)
        return ExitCode.USAGE


def _show_usage_error(error: click.ClickException) -> None:
    from fastget.cli.names import display_url

    # click quotes what it does not understand, and that may be a signed URL.
    said = " ".join(error.format_message().split()).removesuffix(".")
    message = re.sub(_URL, lambda url: display_url(url[0]), said)
    context = error.ctx if isinstance(error, click.UsageError) else None
    sys.stderr.write(f"fastget: {printable(message)}\n")
    from fastget.cli.habits import hint_for

    hint = hint_for(error) or f"see {context.command_path if context else 'fastget'} --help"
    sys.stderr.write(f"hint: {hint}\n")


def _is_for_get(first: str) -> bool:
    if first.startswith("-"):
        return first not in ("-h", "--help", "-V", "--version")
    return any(character in first for character in ":/.")


def _show_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from fastget import __version__

        sys.stdout.write(f"fastget {__version__}\n")
        context.exit()


def _show_defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An exception that nothing here expected is a defect, and looks like any failure."""
    if {"-v", "--verbose"} & set(sys.argv):
        import traceback

        traceback.print_exception(kind, error, trace)
    sys.stderr.write(f"fastget: defect in fastget: {printable(f'{kind.__name__}: {error}')}\n")
    sys.stderr.write("hint: please report it, with what the same command says under --verbose\n")
