"""The flags of verbs that transfer, derived from the fields of Config: no option is said twice.

A field with no entry in the tables below gets `--its-name` and stands under "Transfer"; a test compares the
lists.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any

import click

from fastget.config import CHOICES, KINDS, SIZES, Config, environment_names, parse_size
from fastget.core.checksums.declared import user_digest
from fastget.errors import ConfigError
from fastget.variables import wrong_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from click.shell_completion import CompletionItem

    from fastget.events import EventHandler

# In the order of the help. Each verb is a module of this package with a `command` in it.
VERBS = ("get", "pull", "ls", "stat", "bench", "demo", "completion")
# Short flags and other names, from fingers that know aria2, curl and s5cmd.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "connections": ("-x", "--connections"),
    "jobs": ("-j", "--jobs"),
    "part_size": ("-k", "--part-size"),
    "headers": ("-H", "--header"),
    "overwrite": ("-n", "--no-clobber"),
}
# What a shell looks for in the place of a value, by how the help calls it.
_COMPLETED: Mapping[str, str] = {"FILE": "file", "PATH": "file", "DIR": "dir"}
# What a flag that turns something off does, where the field says what the option does when it is on.
_NEGATED: Mapping[str, str] = {
    "overwrite": "fail where a file is already there, and leave it alone",
    "resume": "begin anew, whatever is already here, and keep nothing of a download that is interrupted",
    "fsync": "do not flush to disk: faster, but a power cut may lose the file",
}
_SECTIONS: Mapping[str, frozenset[str]] = {
    "Files": frozenset({"overwrite", "resume", "fsync"}),
    "Checking": frozenset({"checksum", "require_verified"}),
    "Network": frozenset(
        {
            "headers",
            "proxy",
            "ca_bundle",
            "insecure",
            "retries",
            "connect_timeout",
            "response_timeout",
            "stall_timeout",
        }
    ),
    "S3": frozenset(
        {
            "endpoint_url",
            "region",
            "profile",
            "no_sign_request",
            "request_payer",
            "version_id",
            "expected_bucket_owner",
            "addressing_style",
            "access_key_id",
            "secret_access_key",
            "session_token",
            "ibm_api_key_id",
            "ibm_auth_endpoint",
            "use_dualstack_endpoint",
            "use_fips_endpoint",
            "use_accelerate_endpoint",
            "sse_c_key",
            "mirror_destination",
            "response_cache_control",
            "response_content_disposition",
            "response_content_encoding",
            "response_content_language",
            "response_content_type",
            "response_expires",
        }
    ),
    "Conditions": frozenset({"if_match", "if_none_match", "if_modified_since", "if_unmodified_since"}),
}
_OTHERWISE = "Transfer"
_WIDTH = 26
_ORDER = ("Measurement", "Listing", "Files", _OTHERWISE, "Checking", "Conditions", "Network", "S3", "Output")
_METAVARS: Mapping[str, str] = {
    "part_size": "SIZE",
    "limit_rate": "SIZE",
    "max_memory": "SIZE",
    "checksum": "DIGEST",
    "headers": "HEADER",
    "proxy": "URL",
    "endpoint_url": "URL",
    "ca_bundle": "FILE",
    "profile": "NAME",
    "region": "NAME",
    "request_payer": "WHO",
    "version_id": "ID",
    "expected_bucket_owner": "ACCOUNT",
    "access_key_id": "KEY",
    "secret_access_key": "SECRET",
    "session_token": "TOKEN",
    "ibm_api_key_id": "KEY",
    "ibm_auth_endpoint": "URL",
    "sse_c_key": "KEY",
    "mirror_destination": "VAULT",
    "if_match": "ETAG",
    "if_none_match": "ETAG",
    "if_modified_since": "DATE",
    "if_unmodified_since": "DATE",
    "response_cache_control": "VALUE",
    "response_content_disposition": "VALUE",
    "response_content_encoding": "VALUE",
    "response_content_language": "VALUE",
    "response_content_type": "VALUE",
    "response_expires": "DATE",
}
# Options of a pull, and options that name one object.
OF_MANY = frozenset({"jobs"})
OF_ONE = frozenset({"checksum", "version_id"})
# A function cannot be given at a shell.
_NO_FLAG = frozenset({"on_event", "refresh_url"})


def read_size(text: str) -> int:
    """Bytes from a size such as 16M, as `config.parse_size` reads it. Raises BadParameter."""
    try:
        return parse_size(text)
    except ConfigError as error:
        raise click.BadParameter(f"{error.message}: {error.hint}") from None


def read_header(text: str) -> tuple[str, str]:
    """A header field as curl takes it, NAME: VALUE. Raises BadParameter, which keeps the value secret."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter("give a header as 'NAME: VALUE'")
    return name.strip(), value.strip()


class Flag(click.Option):
    """An option that knows under which heading of the help it stands."""

    def __init__(self, names: Sequence[str], *, section: str, **settings: Any) -> None:
        super().__init__(names, **settings)
        self.section = section

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What names a file or a directory is completed by the shell itself; click offers nothing for text."""
        kind = _COMPLETED.get(str(self.metavar))
        if kind is None:
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type=kind)]


class Verb(click.Command):
    """A command whose help lists its options under headings, `-h` among them, and ends with the variables."""

    def __init__(self, name: str, *, params: list[click.Parameter], **settings: Any) -> None:
        epilog = environment_help(params)
        super().__init__(name, params=[*params, help_flag()], add_help_option=False, epilog=epilog, **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Say of every mistake in which command it was made; of some, such as a value that lacks, click does not."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options for each heading."""
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in _ORDER}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections[parameter.section if isinstance(parameter, Flag) else "Output"].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    # The same width everywhere, so that the texts of all lists stand in one column.
                    formatter.write_dl([(names.ljust(_WIDTH), text) for names, text in records], col_max=_WIDTH)


def transfer_flags() -> list[click.Parameter]:
    """A flag for every field of Config that a shell can give, in the order of the fields."""
    return list(_flags())


def object_flags() -> list[click.Parameter]:
    """Those of them that concern one object at a time."""
    return [flag for flag in _flags() if flag.name not in OF_MANY]


def pull_flags() -> list[click.Parameter]:
    """Those of them that concern many objects."""
    return [flag for flag in _flags() if flag.name not in OF_ONE]


def request_flags() -> list[click.Parameter]:
    """The flags among them that also concern a request without a download."""
    return [flag for flag in _flags() if flag.section in {"Network", "S3", "Conditions"}]


def output_flags(quiet: bool = True) -> list[click.Parameter]:
    """What is said about it all, and how."""
    shown: list[click.Parameter] = [
        Flag(
            ["-v", "--verbose"],
            section="Output",
            is_flag=True,
            help="say more: retries, repairs, causes of errors",
        ),
        Flag(["--json", "as_json"], section="Output", is_flag=True, help="write JSON lines to standard output"),
    ]
    if quiet:
        shown.insert(0, Flag(["-q", "--quiet"], section="Output", is_flag=True, help="say nothing but errors"))
    return shown


def help_flag() -> Flag:
    """`-h`, worded as the others are."""
    return Flag(
        ["-h", "--help"],
        section="Output",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_help,
        help="show this text",
    )


def read_config(values: Mapping[str, Any], on_event: EventHandler | None = None) -> Config:
    """The Config of a command line: its flags on top of the FASTGET_* variables.

    Raises ConfigError for a value, of either, that its option cannot have.
    """
    names = {field.name for field in fields(Config)}
    given = {name: value for name, value in values.items() if name in names and value not in (None, ())}
    if "headers" in given:
        given["headers"] = dict(given["headers"])
    config = Config.from_environment(**given, on_event=on_event)
    for error in wrong_variables(config, given).values():
        raise error
    if config.checksum is not None:
        user_digest(config.checksum)  # a digest that cannot be read is told before the first request
    return config


def environment_help(params: Sequence[click.Parameter]) -> str | None:
    """The variables, for the end of the help of a command with these parameters; None for one that reads none."""
    names = environment_names()
    flags = [each for each in params if isinstance(each, click.Option)]
    if not any(flag.name in names for flag in flags):
        return None
    unread = [flag.opts[0] for flag in flags if flag.name not in names and not (flag.is_flag or flag.multiple)]
    but = f", but for {', '.join(unread[:-1])} and {unread[-1]}," if unread else ""
    return (
        f"Every option with one value{but} is also read from a variable of its name, such as "
        f"{names['retries']}=8. "
        f"Others on this machine can read a command line: give keys and tokens as variables ({names['sse_c_key']}, "
        f"{names['secret_access_key']}). Of other tools' variables it heeds HTTP_PROXY, HTTPS_PROXY, "
        "ALL_PROXY and NO_PROXY; REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR; and those of AWS "
        "for s3:// URLs."
    )


def _show_help(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(context.get_help(), color=context.color)
        context.exit()


def _flags() -> Iterator[Flag]:
    for field in fields(Config):
        if field.name not in _NO_FLAG:
            yield _flag(field)


def _flag(field: Field[Any]) -> Flag:
    section = next((name for name, members in _SECTIONS.items() if field.name in members), _OTHERWISE)
    long_name = "--" + field.name.replace("_", "-")
    if KINDS[field.name] == ("bool",):
        turns_on = not field.default
        names = _NAMES.get(field.name, (long_name if turns_on else f"--no-{long_name[2:]}",))
        meaning = field.metadata["meaning"] if turns_on else _NEGATED[field.name]
        return Flag(
            [*names, field.name],
            section=section,
            is_flag=True,
            flag_value=turns_on,
            default=None,
            help=meaning,
        )
    return Flag(
        [*_NAMES.get(field.name, (long_name,)), field.name],
        section=section,
        type=_value_type(field.name),
        metavar=_METAVARS.get(field.name) or _metavar(field.name),
        multiple=field.name == "headers",
        default=None,
        help=_meaning(field),
    )


def _value_type(name: str) -> Any:
    if name in SIZES:
        return read_size
    if name == "headers":
        return read_header
    if not KINDS[name]:
        return click.Choice(CHOICES[name])
    if "int" in KINDS[name]:
        return click.INT
    return click.FLOAT if "float" in KINDS[name] else click.STRING


def _metavar(name: str) -> str | None:
    if "int" in KINDS[name]:
        return "N"
    return "SECONDS" if "float" in KINDS[name] else None


def _meaning(field: Field[Any]) -> str:
    """The meaning, with the default where the text does not name one already."""
    text = str(field.metadata["meaning"])
    if field.default in (None, MISSING) or "default:" in text:
        return text
    shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
    return f"{text} (default: {shown})"
