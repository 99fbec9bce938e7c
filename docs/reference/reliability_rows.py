"""The rows of docs/reliability.md: what can go wrong, and what fastget does about it.

The numbers are those that tests carry as `@pytest.mark.fault(…)`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `untested`: why it cannot be brought about in a test, or what it waits for."""

    number: str
    fault: str
    does: str
    untested: str = ""


NETWORK = (
    Row(
        "N1", "connection reset in mid-body", "keeps what has come, asks for the rest with If-Match on a new connection"
    ),
    Row("N2", "connection ends before the declared length", "a short body is an error; the rest is asked for"),
    Row("N3", "body that only the connection's end delimits, cut", "whole only if its length is the expected one"),
    Row("N4", "chunked body without its last chunk", "an error; asked for again"),
    Row("N5", "silence after the head", "cut after `stall_timeout`, asked for again on a new connection"),
    Row("N6", "silence before the head", "cut after `response_timeout`, which is a limit of its own"),
    Row(
        "N7", "one byte a second", "cut as a straggler, or below a floor; its piece is asked for on another connection"
    ),
    Row("N8", "slow at first, then fast", "waited for: a slow start is no failure"),
    Row(
        "N9",
        "one slow connection among fast ones",
        "the others take all other pieces, then its rest; a pipe waits for no such front",
    ),
    Row("N10", "connection refused", "said at once with host and port; bounded retries with random waits"),
    Row("N11", "connection accepted by nobody", "cut after `connect_timeout`, also within a TLS handshake"),
    Row("N12", "server or middlebox that drops the connection without a word", "as silence: cut and asked for again"),
    Row("N13", "name that does not exist", "one clear error that names the host; asked once"),
    Row("N14", "name server that does not answer", "tried again with growing waits"),
    Row(
        "N15",
        "several addresses, some dead, silent or damaging",
        "the others are tried within a quarter of a second, and go first",
    ),
    Row(
        "N16",
        "name that leads elsewhere midway",
        "the other server's ETag has to be the pinned one, or its answer is refused; another address may have it",
    ),
    Row("N17", "kept-alive connection closed as it is used", "replaced silently, once; costs no retry"),
    Row("N18", "every so-manieth connection reset", "completes; the retries are counted"),
    Row("N19", "certificate self-signed, expired, not yet valid, or of another host", "refused; never http instead"),
    Row("N20", "TLS cut without close_notify", "a body that has no length is then not whole"),
    Row("N21", "TLS handshake that ends, or is garbage", "a typed error, after bounded retries"),
    Row("N22", "TLS objects used by several threads", "a connection belongs to one thread at a time"),
    Row("N23", "proxy that asks for a password, resets, or refuses", "the error names the proxy, never its password"),
    Row("N24", "IPv6 broken, IPv4 fine", "passed over at once"),
    Row(
        "N25",
        "large packets lost on the way (path MTU)",
        "as silence: cut after `stall_timeout`",
        "needs a kernel that can lose packets by size; what the client sees is the silence of N5 and N12",
    ),
    Row("N26", "server that speaks first, HTTP/0.9, unknown versions, noise", "refused as not HTTP/1.1"),
    Row("N27", "ports or descriptors exhausted", "few connections, used again; where none can be had, waits and fewer"),
)
PROTOCOL = (
    Row(
        "H1",
        "200 with the whole object to a range",
        "never written at an offset; the first stream goes on alone. Where that breaks, the whole is asked for again: a "
        "file begins anew, a pipe passes over what has left, if the ETag is strong",
    ),
    Row("H2", "200 with an exact Content-Range", "accepted of S3 stores only, where servers are known to do it"),
    Row("H3", "206 with another start", "discarded, asked for again"),
    Row(
        "H4",
        "right header, shifted body",
        "found by any digest; without one the result says that only the size was compared",
    ),
    Row("H5", "206 shorter than asked, honestly", "taken, and the rest asked for"),
    Row("H6", "206 whose length is less than its Content-Range", "refused"),
    Row("H7", "206 with more bytes than asked for", "refused; nothing is written past the piece"),
    Row("H8", "206 without Content-Range", "refused: it does not prove which bytes it holds"),
    Row(
        "H9",
        "206 with another total",
        "refused. Under the strong ETag or the version that was asked for it contradicts itself: asked for again, of "
        "another address first, and an error once the retries are spent. Otherwise the object has changed: the "
        "download ends",
    ),
    Row("H10", "206 with the total `*`", "used where the size is known"),
    Row("H11", "multipart/byteranges for one range", "refused"),
    Row("H12", "Content-Range that is malformed, negative, doubled, or past 2^63", "refused"),
    Row(
        "H13",
        "416 with the total",
        "to the first request a refusal as any other: fastget never asks for a range past a known end. To what goes on "
        "with a body of unknown length in a pipe, a stream or `get_object`: all of it, where the total is what has come "
        "and a strong ETag was asked for",
    ),
    Row(
        "H14",
        "416 midway",
        "the object has become smaller: the download ends, without a loop; as H35 where no range was served before and "
        "a HEAD finds it unchanged",
    ),
    Row("H15", "412", "the object has changed: the download ends, nothing is mixed"),
    Row("H16", "304 to an unconditional request", "an error"),
    Row(
        "H17",
        "gzip though identity was asked for",
        "refused for a piece; a first answer is judged by its length and digests",
    ),
    Row("H18", "object stored as gzip", "written as it is stored, so that its checksum holds"),
    Row("H19", "206 in chunked coding", "accepted if the decoded length is exact"),
    Row("H20", "Transfer-Encoding beside Content-Length", "the coding wins; the connection is not used again"),
    Row("H21", "two different Content-Lengths", "refused"),
    Row("H22", "Content-Length that is negative, no number, or has 20 digits", "refused before anything is reserved"),
    Row("H23", "interim answers (1xx), also without end", "passed over, at most 16"),
    Row("H24", "100 KiB in a field, 5,000 fields, 300 KiB of head", "bounded; refused beyond"),
    Row("H25", "NUL, bare CR, folded or nameless header lines", "refused"),
    Row(
        "H26",
        "line breaks in key, bucket or header",
        "escaped in the target, refused in a header before anything is sent",
    ),
    Row("H27", "redirects in a circle", "ends after 10"),
    Row("H28", "redirect to another origin", "secrets and everything said to S3 stay behind"),
    Row("H29", "redirect to `file:`, `ftp:`, `data:`", "refused"),
    Row("H30", "redirect from a public host to a private address", "refused after the name was resolved, at every hop"),
    Row("H31", "redirect from https to http", "refused"),
    Row("H32", "several Locations", "refused if they differ"),
    Row("H33", "301 or 307 with the bucket's region", "asked again there, signed for it, once; remembered"),
    Row("H34", "400 AuthorizationHeaderMalformed with the region", "the same"),
    Row(
        "H35",
        "403 AccessDenied",
        "fails at once; where every range is refused so, with this or another status, the first stream goes on alone",
    ),
    Row("H36", "expired credentials, or an IBM Cloud token", "taken anew once for all, then the refusal counts"),
    Row("H37", "clock that is off", "corrected once by the server's date; every attempt is signed anew"),
    Row(
        "H38",
        "presigned URL that expires on the way",
        "`refresh_url` is asked for a new one, or the redirect that has named it is followed again, once for all",
    ),
    Row(
        "H39",
        "object deleted midway",
        "the download ends; nothing stands under the name; as H35 where no range was served before and a HEAD finds it "
        "unchanged",
    ),
    Row(
        "H40", "Retry-After as seconds, date, date in the past, 10^9, noise", "honoured up to two minutes, else ignored"
    ),
    Row(
        "H41",
        "500 among many objects",
        "tried again, out of one budget for all requests to an endpoint; others are unaffected, and the exit status tells; "
        "where every range fails so, the first answer is read to its end",
    ),
    Row("H42", "S3 error document as the body of a range", "caught by length and checksum; never written as content"),
    Row("H43", "object that is an error document", "fetched as it is"),
    Row(
        "H44",
        "half of all answers 503",
        "completes; waits are shared by chance, retries by a common budget. Where every range is refused, the first answer "
        "is read to its end",
    ),
    Row("H45", "HEAD that differs from GET", "only GET is believed"),
    Row("H46", "HEAD forbidden, GET allowed", "nothing needs HEAD"),
    Row("H47", "part number ignored", "seen by status and Content-Range; ranges instead"),
    Row("H48", "part number past the last", "no such part, whichever way it is said"),
    Row("H49", "part numbers with gaps", "parts are placed by Content-Range, else ranges"),
    Row("H50", "HEAD of a part without Content-Range", "the part cannot be placed by it; ranges"),
    Row("H51", "`bytes 0--1/0` for an empty object", "an empty file"),
    Row("H52", "range of an empty object: 416, 200 or 206", "an empty file"),
    Row("H53", "If-Match ignored", "every answer's ETag is compared"),
    Row("H54", "`If-Match: *` refused", "never sent"),
    Row("H55", "412 whose body is cut", "the status decides"),
    Row(
        "H56",
        "ETag unquoted, weak, missing, or with a wrong `-N`",
        "opaque; weak or missing: one stream, or a digest that tells",
    ),
    Row("H57", "listing that loops, repeats or drops keys", "an error, never a silent gap"),
    Row("H58", "control characters in listed keys", "asked for URL-encoded, decoded once"),
    Row("H59", "bytes behind a body", "not read; the connection ends"),
)
CONTENT = (
    Row("C1", "a bit flipped, with a checksum", "found; the part alone is fetched again where parts have digests"),
    Row("C2", "the same without a checksum", "cannot be seen; an ETag that is an MD5 serves, else the result says so"),
    Row("C3", "replaced midway, If-Match honoured", "the object has changed: the download ends"),
    Row("C4", "replaced midway, If-Match ignored", "the same, by the ETag"),
    Row("C5", "replaced under the same ETag", "found by a checksum of the whole"),
    Row("C6", "two pieces swapped", "found: the checksum of the whole depends on the order"),
    Row(
        "C7", "a piece written twice, or one byte off", "pieces tile the object; the checksum is over the final layout"
    ),
    Row("C8", "wrong checksum header", "a mismatch with both values"),
    Row("C9", "algorithm and type without a value", "counts as absent"),
    Row("C10", "composite with another count of parts", "cannot be compared, and is never taken for a match"),
    Row("C11", "composite that lost its `-N`", "never compared as a checksum of the whole"),
    Row("C12", "algorithm that is not known", "passed over; what was compared is in the result"),
    Row("C13", "checksum that is no base64, or of the wrong length", "counts as absent"),
    Row("C14", "two checksums that cannot both hold", "the download ends with both"),
    Row("C15", "0, 1, and sizes around the piece size", "exact"),
    Row("C16", "4 GiB, parts of 5 GiB, 48.8 TiB, 10,000 parts", "planned in whole numbers without a limit"),
    Row("C17", "declared sizes of 2^63 and more", "refused before room is made"),
    Row("C18", "parts that do not add up to the size", "the layout is not used"),
    Row("C19", "empty last part", "nothing is asked for it; its digest counts"),
    Row("C20", "checksums combined with empty pieces, or a single one", "the identity"),
    Row(
        "C21",
        "disk that returns other bytes than were written",
        "digests are of what was received; order-dependent ones and repairs read back what was written",
        "needs a disk that lies; what a damaged file would be found by is the digest beside it",
    ),
)
LOCAL = (
    Row(
        "X1",
        "disk full at any call",
        "one clear error with path and cause, the old file untouched, no part file of a finished run",
    ),
    Row("X2", "quota, or limit on file size", "the same; the signal that goes with it kills nobody"),
    Row("X3", "input/output error while writing", "fails; not written again"),
    Row("X4", "input/output error while flushing", "fails for good: a second flush proves nothing"),
    Row("X5", "short writes, interrupted calls", "written on"),
    Row("X6", "no inodes left", "an error before anything is fetched"),
    Row(
        "X7",
        "directory that cannot be written, or is not there",
        "said before the first request; before the first byte, where a file there cannot be replaced (immutable, or "
        "another's with the sticky bit)",
    ),
    Row("X8", "destination is a directory", "refused, with the way to write into it"),
    Row("X9", "destination is a symbolic link", "the link is replaced, never written through"),
    Row("X10", "destination is a pipe, a device, standard output", "written in order, never replaced"),
    Row("X11", "destination has other names or readers", "they keep the old bytes"),
    Row("X12", "name of 255 bytes", "the part file gets a short name of its own"),
    Row("X13", "path of more than 4,096 bytes", "refused with its cause; relative to a directory it works"),
    Row("X14", "several processes, one destination", "one of them writes, the others are told; one whole file stays"),
    Row("X15", "flock that does nothing", "nothing depends on it"),
    Row(
        "X16",
        "a writer still at work when the name appears",
        "all writers have ended and the file is closed before the rename",
    ),
    Row("X17", "kill -9 at any call, then again", "right bytes; what had landed is kept"),
    Row("X18", "kill -9 while resuming", "the same"),
    Row("X19", "power loss", "data, then journal; flush, rename, flush the directory"),
    Row("X20", "zeros of reserved space after a crash", "a piece counts only if its bytes have the journal's hash"),
    Row("X21", "journal cut, damaged, huge, or of the future", "refused record by record, in bounded memory"),
    Row("X22", "journal of another object", "not used"),
    Row("X23", "journal that others may write", "private, never through a link, plain records only"),
    Row("X24", "part file shorter, or changed since", "its bytes are hashed again"),
    Row("X25", "object changed between two runs", "begins again, and says so"),
    Row("X26", "clock that jumps", "time is measured by a clock that cannot; the wall clock is for signatures only"),
    Row("X27", "32 descriptors", "fewer connections; the download completes"),
    Row("X28", "fork during a download", "the child lets go of what is its parent's"),
    Row("X29", "signals", "stops cleanly with 128 + n; goes on after a pause"),
    Row("X30", "a handler that fails, a closed standard error", "the download is not harmed"),
    Row("X31", "disk slower than the network", "the network waits; memory stays bounded"),
    Row("X32", "no memory", "a clean failure"),
    Row("X33", "interpreter ends while threads work", "ends"),
    Row("X34", "temporary directory on another file system", "the part file always lies beside the destination"),
)
SECURITY = (
    Row("S1", "keys with `..`", "never a path: the last component names the file, and `..` is refused"),
    Row("S2", "absolute keys, drives, shares, backslashes", "refused as names on every system"),
    Row("S3", "control characters in keys", "refused in file names, escaped in print"),
    Row("S4", "reserved names of Windows", "refused there"),
    Row("S5", "keys that a file system folds into one", "the second is refused"),
    Row("S6", "`a` and `a/b`", "reported; neither overwrites the other"),
    Row("S7", "symbolic link planted inside of the destination", "not followed"),
    Row("S8", "key of 1,024 bytes, or 500 deep", "an error of that key"),
    Row("S9", "listing outside of the prefix that was asked for", "refused"),
    Row("S10", "terminal escapes in anything that a server says", "printed as `\\x1b`, never sent to the terminal"),
    Row("S11", "line breaks in it", "the same, in logs too"),
    Row("S12", "secrets in output, logs, tracebacks, reprs, pickles", "never"),
    Row("S13", "permissions of part files", "0600 until the end, then as the umask says"),
    Row("S14", "decompression bomb", "nothing is ever decoded"),
    Row("S15", "credentials after a redirect", "stay with their origin"),
    Row("S16", "numbers and bodies that a server may claim", "bounded memory, at most 64 KiB of an error's body"),
    Row("S17", "DTDs and entities in XML", "refused"),
    Row("S18", "file name that the server sends", "ignored"),
    Row("S19", "credentials over http to another host than this one", "a warning"),
    Row("S20", "proxies and `.netrc` of the environment", "proxies as documented; `.netrc` is never read"),
    Row("S21", "deserialising what others wrote", "plain records only, nothing that runs"),
    Row(
        "S22",
        "only a weak digest where a strong one was required",
        "the caller's digest counts, whatever the store has",
    ),
    Row("S23", "the caller's digest does not hold", "the file does not appear"),
    Row("S24", "file that appears where none may be replaced", "stays: the name is taken by a link, not by a look"),
)
SECTIONS = (
    ("Network", NETWORK),
    ("HTTP and S3", PROTOCOL),
    ("Content", CONTENT),
    ("This machine", LOCAL),
    ("Security", SECURITY),
)
