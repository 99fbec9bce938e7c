"""A server that repeats every secret which it has been told, wherever it can write: nothing of that comes out again."""

from __future__ import annotations

import json
import os
import re
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import pytest

from fastget.testing import Behaviour, Content, Fault, ObjectServer, StoredObject, faults
from fastget.testing.answer import Answer, document
from fastget.testing.documents import error
from fastget.testing.received import ReceivedRequest

MIB = 1024 * 1024
Serve = Callable[..., ObjectServer]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

_CUSTOMER_KEY = b"MARKEDCUSTOMERKEY-0123456789abcd"
SECRETS = {
    "access key": "AKIAMARKEDACCESS",
    "secret key": "MARKEDSECRETKEY/with+signs=",
    "session token": "MARKEDSESSION//token+with/signs==",
    "customer's key": b64encode(_CUSTOMER_KEY).decode(),
    "header": "MARKEDHEADER-value",
    "password": "MARKEDPASSWORD",
    "query": "MARKEDQUERYSIGNATURE0123456789abcdef",
    "API key": "MARKEDAPIKEY-0123",
    "token": "MARKEDBEARER.token-0123",
}
_FIELDS = (
    "x-amz-request-id", "x-amz-id-2", "x-amz-error-code", "server", "www-authenticate", "x-amz-bucket-region", "etag",
    "content-type",
)  # fmt: skip
_ELEMENTS = (
    "BucketName", "Endpoint", "Region", "Resource", "StringToSign", "AWSAccessKeyId", "VersionId", "Condition",
)  # fmt: skip


def told(request: ReceivedRequest) -> list[str]:
    """What was sent, as it was and as a server sees it, and what nobody sends but a store knows."""
    fields = {name.lower(): value for name, value in request.headers}
    authorization = fields.get("authorization", "")
    scheme, _, credentials = authorization.partition(" ")
    found = [request.target, unquote(request.target), authorization, request.body.decode()]
    found += [value for _, value in request.query]
    if scheme == "Basic":
        found += [b64decode(credentials).decode(), b64decode(credentials).decode().partition(":")[2]]
    names = ("x-amz-security-token", "x-amz-server-side-encryption-customer-key", "x-api-key")
    found += [fields[name] for name in names if name in fields]
    found += [quote(fields[name], safe="") for name in names if name in fields]
    if scheme == "Bearer":
        found.append(credentials)
    if scheme.startswith("AWS4"):
        found += [SECRETS["access key"], SECRETS["secret key"]]
    return [one for one in found if one]


def in_a_document(request: ReceivedRequest) -> Answer:
    whole = " ".join(told(request))
    return error(403, "AccessDenied", whole, dict.fromkeys(_ELEMENTS, whole))


def in_the_code(request: ReceivedRequest) -> Answer:
    return error(400, told(request)[-1], told(request)[-1], dict.fromkeys(_ELEMENTS, told(request)[-1]))


def in_text(request: ReceivedRequest) -> Answer:
    return document(400, " ".join(told(request)).encode(), ("Content-Type", "text/plain"))


def in_fields(request: ReceivedRequest) -> Answer:
    last = told(request)[-1]
    fields = [(name, last) for name in _FIELDS]
    return document(400, b"", *fields, ("Location", request.target))


def in_a_version(request: ReceivedRequest) -> Answer:
    last = told(request)[-1]
    return document(404, b"", ("x-amz-delete-marker", "true"), ("x-amz-version-id", last), ("ETag", f'"{last}"'))


def in_a_redirect(request: ReceivedRequest) -> Answer:
    """To another place, named by the secret, and in the end to one that cannot be."""
    hops = request.target.count("/hop")
    where = f"/hop{hops}/{quote(told(request)[-1], safe='')}?sig={quote(told(request)[-1], safe='')}"
    if hops > 1:
        where = f"http://{told(request)[-1]}:99999/{told(request)[-1]}"
    return document(307, b"", ("Location", where))


ECHOES = {
    echo.__name__.replace("_", " "): echo
    for echo in (in_a_document, in_the_code, in_text, in_fields, in_a_version, in_a_redirect)
}

# Every command in one process, with whatever the library, botocore and their libraries log.
_COMMANDS = """
    import json, logging, sys
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)
    from fastget.cli.app import run
    for command in json.loads(sys.argv[1]):
        print(run(command), command[0], flush=True)
"""


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return {
        "FASTGET_ACCESS_KEY_ID": SECRETS["access key"],
        "FASTGET_SECRET_ACCESS_KEY": SECRETS["secret key"],
        "FASTGET_SESSION_TOKEN": SECRETS["session token"],
        "FASTGET_ADDRESSING_STYLE": "path",
        "FASTGET_RETRIES": "1",
    }


def assert_silent(where: str, data: bytes) -> None:
    for name, secret in SECRETS.items():
        plain = {secret, quote(secret, safe=""), quote(secret), secret.replace("+", " ")}
        for way in plain | {json.dumps(one)[1:-1] for one in plain}:
            at = data.find(way.encode())
            assert at < 0, f"{name} in {where}: {data[max(0, at - 80) : at + 80]!r}"
    at = data.find(b"MARKED")
    assert at < 0, f"a secret in {where}: {data[max(0, at - 80) : at + 80]!r}"


def leftovers(directory: Path) -> Iterator[tuple[str, bytes]]:
    """The bytes, names and extended attributes of all files of a run."""
    for path in directory.rglob("*"):
        if path.name == "script.py":
            continue
        yield "a name", str(path.relative_to(directory)).encode()
        if path.is_file():
            yield path.name, path.read_bytes()
            for name in os.listxattr(path) if hasattr(os, "listxattr") else ():
                yield f"{path.name}: {name}", os.getxattr(path, name)


@pytest.mark.fault("S12")
@pytest.mark.parametrize("echo", list(ECHOES))
def test_what_a_refusal_repeats_comes_out_nowhere(
    serve: Serve, script: Run, tmp_path: Path, settings: dict[str, str], echo: str
) -> None:
    server = serve({}, operations=[ECHOES[echo]])
    host = server.base_url.removeprefix("http://")
    signed = f"?X-Amz-Signature={SECRETS['query']}&X-Amz-Credential={SECRETS['access key']}%2Fa"
    urls = [
        "s3://b/k",
        f"http://{host}/k{signed}",
        f"http://me:{SECRETS['password']}@{host}/k?token={SECRETS['query']}",
    ]
    header = ["--header", f"X-Api-Key: {SECRETS['header']}", "--endpoint-url", server.base_url]
    commands = [
        [verb, url, *flags, *header, *(["--sse-c-key", SECRETS["customer's key"]] if url.startswith("s3:") else [])]
        for url in urls
        for verb, flags in (
            ("get", ["-o", "k"]), ("get", ["-v"]), ("get", ["--json"]),
            ("stat", []), ("stat", ["--json"]), ("bench", []),
        )
    ]  # fmt: skip
    commands += [["ls", "s3://b/", *more, *header] for more in ([], ["--json"])]
    commands += [["pull", url, "-d", "d", *more, *header] for url in ("s3://b/",) for more in ([], ["--json"], ["-v"])]
    done = script(_COMMANDS, json.dumps(commands), **settings)
    assert done.returncode == 0, done.stderr
    statuses = [line.split() for line in done.stdout.decode().splitlines() if re.fullmatch(r"[0-9]+ [a-z]+", line)]
    assert len(statuses) == len(commands)
    assert not [words for words in zip(statuses, commands, strict=True) if words[0][0] in "02"]
    for name, data in (("stdout", done.stdout), ("stderr", done.stderr), *leftovers(tmp_path)):
        assert_silent(name, data)


def described(request: ReceivedRequest, answer: Answer) -> Answer:
    """What describes an object says what was asked: its version, types, dates, ids."""
    last = told(request)[-1].replace('"', "")
    named = ("x-amz-version-id", "Content-Type", "Server", "Last-Modified", "x-amz-meta-a", "Content-Disposition",
             "x-amz-request-id", "Cache-Control", "x-amz-expiration", "x-amz-storage-class")  # fmt: skip
    kept = [item for item in answer.fields if item[0].lower() not in set(map(str.lower, named))]
    return replace(answer, fields=(*kept, *((name, last) for name in named)))


def tagged(request: ReceivedRequest, answer: Answer) -> Answer:
    """The ETag does, too."""
    answer = described(request, answer)
    kept = [item for item in answer.fields if item[0].lower() != "etag"]
    return replace(answer, fields=(*kept, ("ETag", f'"{told(request)[-1]}"')))


@pytest.mark.fault("S12")
@pytest.mark.parametrize("edit", [described, tagged])
@pytest.mark.parametrize("kind", ["s3", "signed", "password"])
def test_what_an_answer_repeats_is_in_nothing_that_an_interrupted_run_leaves(
    serve: Serve,
    script: Run,
    tmp_path: Path,
    settings: dict[str, str],
    kind: str,
    edit: Callable[[ReceivedRequest, Answer], Answer],
) -> None:
    objects = {name: StoredObject(Content.generated(16 * MIB, seed=1)) for name in ("/k", "/b/k")}
    cut = faults.reset(after=100).on(request=12).always()
    server = serve(objects, faults=[Fault(name="told", edit=edit).always(), cut])
    host = server.base_url.removeprefix("http://")
    url = {
        "s3": "s3://b/k",
        "signed": f"http://{host}/k?X-Amz-Signature={SECRETS['query']}",
        "password": f"http://me:{SECRETS['password']}@{host}/k",
    }[kind]
    common = ["--endpoint-url", server.base_url, "--header", f"X-Api-Key: {SECRETS['header']}"]
    options = ["--part-size", "1M", "--connections", "2", "--retries", "0"]
    commands = [["get", url, "-o", "first", *common, *options]]
    commands += [["stat", url, *flags, *common] for flags in ([], ["--json"])]
    commands += [
        ["get", url, "-o", name, *flags, *common, *options]
        for name, flags in (("first", ["-v"]), ("second", ["--json"]), ("second", []), ("third", ["-q"]))
    ]
    done = script(_COMMANDS, json.dumps(commands), **settings)
    assert done.returncode == 0, done.stderr
    for name, data in (("stdout", done.stdout), ("stderr", done.stderr), *leftovers(tmp_path)):
        assert_silent(name, data)
    statuses = re.findall(r"^([0-9]+) (get|stat)$", done.stdout.decode(), re.MULTILINE)
    assert len(statuses) == len(commands)
    # Without an ETag it comes in one stream, and nothing tells later that the object is still the same.
    assert (("5", "get") in statuses) == (edit is described)
    kept = [path.name for path in tmp_path.iterdir() if path.name not in ("script.py", "first", "second", "third")]
    assert bool(kept) == (edit is described), done.stderr


# What a listing says ------------------------------------------------------------------------------------------------

_ENTRY = ("ETag", "VersionId", "StorageClass", "LastModified", "ChecksumAlgorithm", "ChecksumType", "Owner")


def listed(inner: str) -> Answer:
    xml = f"<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>{inner}</ListBucketResult>"
    return document(200, xml.encode(), ("Content-Type", "application/xml"))


def in_entries(secret: str) -> Answer:
    said = escape(secret)
    owner = f"<Owner><ID>{said}</ID><DisplayName>{said}</DisplayName></Owner>"
    told_of = "".join(f"<{name}>{said}</{name}>" for name in _ENTRY if name != "Owner")
    return listed(f"<Contents><Key>k</Key><Size>1</Size>{told_of}{owner}</Contents>")


def in_the_middle(secret: str) -> Answer:
    xml = f"<Error><Code>{escape(secret)}</Code><Message>no {escape(secret)}</Message></Error>"
    return document(200, xml.encode(), ("Content-Type", "application/xml"))


def in_the_root(secret: str) -> Answer:
    return document(200, f"<{re.sub('[^A-Za-z]', '', secret)} {secret}/>".encode())


def in_the_name_of_the_root(secret: str) -> Answer:
    return document(200, f"<{secret}/>".encode())


def in_an_entity(secret: str) -> Answer:
    return listed(f"<Contents><Key>k</Key><ETag>&{secret};</ETag></Contents>")


LISTINGS = {
    page.__name__.replace("_", " "): page
    for page in (in_entries, in_the_middle, in_the_root, in_the_name_of_the_root, in_an_entity)
}


@pytest.mark.fault("S12")
@pytest.mark.parametrize("page", list(LISTINGS))
def test_what_a_listing_repeats_comes_out_nowhere(
    serve: Serve, script: Run, tmp_path: Path, settings: dict[str, str], page: str
) -> None:
    commands = []
    for name in ("access key", "secret key", "session token"):
        secret = SECRETS[name]

        def answer(request: ReceivedRequest, secret: str = secret) -> Answer | None:
            return LISTINGS[page](secret) if "list-type" in request.target or "versions" in request.target else None

        server = serve({}, operations=[answer])
        at = ["--endpoint-url", server.base_url]
        commands += [["ls", "s3://b/", *more, *at] for more in ([], ["--json"], ["--versions", "--json"], ["-v"])]
        commands += [["pull", "s3://b/", "-d", "d", *more, *at] for more in (["-v"], ["--json"])]
    done = script(_COMMANDS, json.dumps(commands), **settings)
    assert done.returncode == 0, done.stderr
    for where, data in (("stdout", done.stdout), ("stderr", done.stderr), *leftovers(tmp_path)):
        assert_silent(where, data)
    statuses = re.findall(r"^([0-9]+) ([a-z]+)$", done.stdout.decode(), re.MULTILINE)
    assert len(statuses) == len(commands)
    assert (("0", "ls") in statuses) == (page == "in entries")


# What an answer says midway --------------------------------------------------------------------------------------

# What the answers to ranges are judged and described by, each in a form that is quoted where it does not fit.
MIDWAY = {
    "ETag": '"{}"',
    "x-amz-version-id": "{}",
    "Last-Modified": "{}",
    "Content-Range": "bytes {}",
    "Content-Encoding": "{}",
    "Content-Type": "multipart/byteranges; boundary={}",
    "x-amz-checksum-type": "{}",
    "x-amz-checksum-sha256": "{}",
}


def changed_midway(request: ReceivedRequest, answer: Answer) -> Answer:
    """The field that the object is called by repeats what was asked, from the second request on."""
    name = request.path.rpartition("/")[2]
    kept = [item for item in answer.fields if item[0].lower() != name.lower()]
    said = f"{told(request)[-1]} {' '.join(told(request))}".replace('"', "")
    return replace(answer, fields=(*kept, (name, MIDWAY[name].format(said))))


@pytest.mark.fault("S12")
@pytest.mark.parametrize("kind", ["s3", "signed", "password"])
def test_what_changes_midway_into_a_secret_comes_out_nowhere(
    serve: Serve, script: Run, tmp_path: Path, settings: dict[str, str], kind: str
) -> None:
    stored = StoredObject(Content.generated(4 * MIB, seed=1), version_id="one")
    objects = {f"{start}/{name}": stored for name in MIDWAY for start in ("", "/b")}
    midway = [
        Fault(name="told", edit=changed_midway).on(path=path, request=2, ranged=True).always() for path in objects
    ]
    # Slow enough that further requests are made before the first stream has brought it all.
    server = serve(objects, behaviour=Behaviour(rate_per_connection=8 * MIB), faults=midway)
    host = server.base_url.removeprefix("http://")
    common = ["--endpoint-url", server.base_url, "--header", f"X-Api-Key: {SECRETS['header']}", "--retries", "0"]
    commands = []
    for name in MIDWAY:
        url = {
            "s3": f"s3://b/{name}",
            "signed": f"http://{host}/{name}?X-Amz-Signature={SECRETS['query']}",
            "password": f"http://me:{SECRETS['password']}@{host}/{name}",
        }[kind]
        (tmp_path / f"{name}.list").write_text(f"{url}\n")
        options = ["--part-size", "1M", "--connections", "2", *common]
        commands += [
            ["get", url, "-o", name, *options, "-v"],
            ["get", url, "-o", name, *options, "--json"],
            *([["bench", url, *common]] if name in ("ETag", "Content-Range") else []),
            ["pull", "-i", f"{name}.list", "-d", "d", *options, "--json"],
        ]
    done = script(_COMMANDS, json.dumps(commands), **settings)
    assert done.returncode == 0, done.stderr
    statuses = re.findall(r"^([0-9]+) ([a-z]+)$", done.stdout.decode(), re.MULTILINE)
    assert len(statuses) == len(commands)
    assert ("6", "get") in statuses
    said = [("stdout", done.stdout), ("stderr", done.stderr)]
    for name, data in (*said, *((name, data) for name, data in leftovers(tmp_path) if not name.endswith(".list"))):
        assert_silent(name, data)
