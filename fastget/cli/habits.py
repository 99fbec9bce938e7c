"""What fingers type that know other tools, and what does that here. Loaded only for a command that cannot be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Verbs of aws, s5cmd, rclone, pip and other tools, with those that do the same.
VERBS: Mapping[str, str] = {
    **dict.fromkeys(("download", "fetch", "cp", "copy", "wget", "curl", "cat"), "get"),
    **dict.fromkeys(("sync", "mirror", "rsync", "batch"), "pull"),
    **dict.fromkeys(("head", "info", "show"), "stat"),
    **dict.fromkeys(("list", "dir", "lsf"), "ls"),
    **dict.fromkeys(("benchmark", "speedtest"), "bench"),
    "completions": "completion",
}
_PULLS = "fastget pull takes all that is below a prefix, or a list: fastget pull --help"
_PASSWORDS = "write https://USER:PASSWORD@host/path, or give the field: -H 'Authorization: …'"
_FILTERS = "there are no filters: fastget ls -r URL --json tells what is there, fastget pull -i FILE takes a list of it"
_FLAGS: Mapping[tuple[str, ...], str] = {
    ("-c", "--continue", "-C", "--continue-at"): "to go on is the default; --no-resume turns it off",
    ("-O", "--output-document", "--out", "--remote-name"): "-o FILE names the file; without it the URL does",
    ("-P", "--directory-prefix", "--output-dir"): "-d DIR names the directory",
    ("-s", "--max-connection-per-server", "--concurrency"): "-x N is the number of connections, -q is quiet",
    ("-p", "--min-split-size", "--chunk-size"): "-k SIZE is the size of a piece",
    ("-j", "--jobs", "-Z", "--parallel", "--numworkers"): "-x N is the number of connections for one object; " + _PULLS,
    ("-i", "--input-file", "-r", "--recursive", "-R"): _PULLS,
    ("-L", "--location", "--max-redirect"): "redirects are followed without a flag",
    ("-f", "--fail"): "a refusal is an error without a flag",
    ("-u", "--user", "--http-user", "--http-passwd", "--http-password"): _PASSWORDS,
    ("-A", "-U", "--user-agent"): "-H 'User-Agent: NAME' sets it",
    ("-e", "--referer"): "-H 'Referer: URL' sets it",
    ("-b", "--cookie", "--load-cookies"): "-H 'Cookie: NAME=VALUE' sends one",
    ("-t", "--tries", "-m", "--max-tries", "--retry", "--retry-count"): "--retries N does that, for each piece",
    ("-T", "--timeout", "--max-time", "--read-timeout"): "see --connect-timeout, --response-timeout, --stall-timeout",
    ("--no-check-certificate", "--check-certificate", "--no-verify-ssl"): "--insecure does that",
    ("--cacert", "--ca-certificate"): "--ca-bundle FILE names the CA certificates",
    ("--max-overall-download-limit", "--max-download-limit", "--bwlimit", "--rate"): "--limit-rate SIZE does that",
    ("--silent", "--no-progress", "--only-show-errors", "--no-verbose"): "-q says nothing but errors",
    ("--allow-overwrite", "--overwrite", "--force"): "a file is replaced without a flag; -n leaves it alone",
    ("--include", "--exclude", "--accept", "--reject"): _FILTERS,
    ("-I", "--head", "--spider"): "fastget stat URL shows what a server says of an object, and fetches nothing",
    ("--endpoint", "--s3-endpoint"): "--endpoint-url URL names the store",
}


def hint_for(error: click.ClickException) -> str | None:
    """What does here what a flag, or the order of words, of another tool does there; None for those of none."""
    if isinstance(error, click.NoSuchOption):
        given = error.option_name
        return next((hint for names, hint in _FLAGS.items() if given in names), None)
    if not isinstance(error, click.UsageError) or error.ctx is None or error.ctx.command.name != "pull":
        return None
    if isinstance(error, click.MissingParameter):
        return "-d DIR names the directory that the files go to"
    is_surplus = "unexpected extra argument" in error.message
    return "a pull takes one prefix; several URLs are a list, -i FILE" if is_surplus else None


def flags() -> Iterator[tuple[str, str]]:
    """Each flag that is known of other tools, with what is said of it."""
    return ((name, hint) for names, hint in _FLAGS.items() for name in names)
