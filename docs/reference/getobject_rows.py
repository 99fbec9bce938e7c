"""The rows of docs/getobject.md: what GetObject has, how it looks on the wire, and what fastget does with it.

The numbers are those that tests carry as `@pytest.mark.row(…)`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter, field, refusal or rule. `is_out`: not part of reading an object; fastget leaves it alone."""

    number: int
    name: str
    wire: str
    does: str
    is_out: bool = False


REQUEST = (
    Row(
        1,
        "Bucket",
        "host name, or first segment of the path",
        "virtual-hosted or path style by botocore's rules; ARNs and aliases of access points too",
    ),
    Row(
        2,
        "Key",
        "the rest of the path",
        "UTF-8, escaped but for unreserved characters and `/`; dot segments, double slashes and `+` stay what they are",
    ),
    Row(
        3,
        "IfMatch",
        "`If-Match`",
        "the caller's goes with the first request; every later one carries the ETag that was answered",
    ),
    Row(4, "IfModifiedSince", "`If-Modified-Since`", "first request only; 304 is NotModified"),
    Row(5, "IfNoneMatch", "`If-None-Match`", "first request only; 304 is NotModified"),
    Row(
        6,
        "IfUnmodifiedSince",
        "`If-Unmodified-Since`",
        "first request; later ones carry it only where there is no strong ETag to pin by",
    ),
    Row(
        7,
        "Range",
        "`Range: bytes=a-b`",
        "made by the planner; through `get_object` as given, also where the store answers several ranges with the whole",
    ),
    Row(
        8,
        "PartNumber",
        "`?partNumber=`",
        "made by the planner where the store has proven that it honours it; through `get_object` as given",
    ),
    Row(
        9,
        "VersionId",
        "`?versionId=`",
        "the caller's, or the one that was answered; on 403 once more without the latter, held by If-Match",
    ),
    Row(10, "ResponseCacheControl", "`?response-cache-control=`", "sent with signed requests"),
    Row(11, "ResponseContentDisposition", "`?response-content-disposition=`", "sent with signed requests"),
    Row(
        12,
        "ResponseContentEncoding",
        "`?response-content-encoding=`",
        "sent with signed requests; nothing is decoded because of it",
    ),
    Row(13, "ResponseContentLanguage", "`?response-content-language=`", "sent with signed requests"),
    Row(14, "ResponseContentType", "`?response-content-type=`", "sent with signed requests"),
    Row(15, "ResponseExpires", "`?response-expires=`", "sent with signed requests, as an RFC 822 date"),
    Row(
        16,
        "SSECustomerAlgorithm",
        "`x-amz-server-side-encryption-customer-algorithm`",
        "`AES256`, on HEAD and on every piece",
    ),
    Row(
        17,
        "SSECustomerKey",
        "`x-amz-server-side-encryption-customer-key`",
        "base64 of 32 bytes; never printed, never to another origin, never over plain http but to this machine",
    ),
    Row(18, "SSECustomerKeyMD5", "`x-amz-server-side-encryption-customer-key-MD5`", "computed where it is not given"),
    Row(19, "RequestPayer", "`x-amz-request-payer`", "on every request"),
    Row(20, "ExpectedBucketOwner", "`x-amz-expected-bucket-owner`", "on every request"),
    Row(21, "ChecksumMode", "`x-amz-checksum-mode`", "`ENABLED` on every request"),
    Row(22, "MirrorDestination", "`Mirror-Destination`", "on every request (IBM COS on premises)"),
    Row(23, "x-id", "`?x-id=GetObject`", "not sent; kept where a presigned URL has it"),
)
RESPONSE = (
    Row(24, "Body", "the content", "written where it belongs as it arrives; a verifying stream in `get_object`"),
    Row(25, "DeleteMarker", "`x-amz-delete-marker`", "told; on 404 and 405 it makes the error ObjectDeleted"),
    Row(26, "AcceptRanges", "`accept-ranges`", "`none` means one stream; its absence means nothing"),
    Row(27, "Expiration", "`x-amz-expiration`", "told"),
    Row(28, "Restore", "`x-amz-restore`", "told; an archived object whose restore is under way is RestoreInProgress"),
    Row(29, "LastModified", "`Last-Modified`", "told; pins where there is no strong ETag"),
    Row(30, "ContentLength", "`Content-Length`", "planned by, and compared with what arrives, piece by piece"),
    Row(31, "ETag", "`ETag`", "pins exactly as received; checked as an MD5 where it is one"),
    Row(32, "ChecksumCRC32", "`x-amz-checksum-crc32`", "checked"),
    Row(33, "ChecksumCRC32C", "`x-amz-checksum-crc32c`", "checked"),
    Row(34, "ChecksumCRC64NVME", "`x-amz-checksum-crc64nvme`", "checked"),
    Row(35, "ChecksumSHA1", "`x-amz-checksum-sha1`", "checked"),
    Row(36, "ChecksumSHA256", "`x-amz-checksum-sha256`", "checked"),
    Row(37, "ChecksumSHA512", "`x-amz-checksum-sha512`", "checked"),
    Row(38, "ChecksumMD5", "`x-amz-checksum-md5`", "checked"),
    Row(39, "ChecksumXXHASH64", "`x-amz-checksum-xxhash64`", "checked"),
    Row(40, "ChecksumXXHASH3", "`x-amz-checksum-xxhash3`", "checked"),
    Row(41, "ChecksumXXHASH128", "`x-amz-checksum-xxhash128`", "checked"),
    Row(
        42,
        "ChecksumType",
        "`x-amz-checksum-type`",
        "FULL_OBJECT or COMPOSITE decides how; an unknown type is not checked, and said so",
    ),
    Row(43, "MissingMeta", "`x-amz-missing-meta`", "told"),
    Row(
        44,
        "VersionId",
        "`x-amz-version-id`",
        "told, and pins every later request; another than was asked for is refused",
    ),
    Row(45, "CacheControl", "`Cache-Control`", "told"),
    Row(46, "ContentDisposition", "`Content-Disposition`", "told"),
    Row(47, "ContentEncoding", "`Content-Encoding`", "told; the bytes stay as they are stored"),
    Row(48, "ContentLanguage", "`Content-Language`", "told"),
    Row(49, "ContentRange", "`Content-Range`", "must be what was asked for, and of the same total"),
    Row(50, "ContentType", "`Content-Type`", "told; `multipart/byteranges` is refused"),
    Row(51, "Expires", "`Expires`", "told as a date, and as the text that it was"),
    Row(52, "WebsiteRedirectLocation", "`x-amz-website-redirect-location`", "told, never followed"),
    Row(
        53,
        "ServerSideEncryption",
        "`x-amz-server-side-encryption`",
        "told; another than AES256 means that the ETag is no MD5",
    ),
    Row(54, "Metadata", "`x-amz-meta-*`", "told by lower-case name"),
    Row(55, "SSECustomerAlgorithm", "`…-customer-algorithm`", "told; the ETag is then no MD5"),
    Row(56, "SSECustomerKeyMD5", "`…-customer-key-MD5`", "told; another than the one that was sent is refused"),
    Row(57, "SSEKMSKeyId", "`…-aws-kms-key-id`", "told"),
    Row(58, "BucketKeyEnabled", "`…-bucket-key-enabled`", "told"),
    Row(
        59,
        "StorageClass",
        "`x-amz-storage-class`",
        "told; archive classes (ACCELERATED too) are refused before the transfer unless restored, or served all the same",
    ),
    Row(60, "RequestCharged", "`x-amz-request-charged`", "told"),
    Row(61, "ReplicationStatus", "`x-amz-replication-status`", "told"),
    Row(62, "PartsCount", "`x-amz-mp-parts-count`", "the layout of the stored parts is learned by it"),
    Row(63, "TagCount", "`x-amz-tagging-count`", "told"),
    Row(64, "ObjectLockMode", "`x-amz-object-lock-mode`", "told"),
    Row(65, "ObjectLockRetainUntilDate", "`x-amz-object-lock-retain-until-date`", "told"),
    Row(66, "ObjectLockLegalHoldStatus", "`x-amz-object-lock-legal-hold`", "told"),
    Row(67, "RetentionExpirationDate", "`Retention-Expiration-Date`", "told (IBM COS)"),
    Row(68, "RetentionLegalHoldCount", "`Retention-Legal-Hold-Count`", "told (IBM COS)"),
    Row(69, "RetentionPeriod", "`Retention-Period`", "told (IBM COS)"),
    Row(70, "IbmRestoredCopyStorageClass", "`x-ibm-restored-copy-storage-class`", "told (IBM COS)"),
    Row(71, "IbmTransition", "`x-ibm-transition`", "told (IBM COS)"),
    Row(72, "ObjectLockEventHold…", "`x-amz-object-lock-event-hold…`", "told"),
    Row(73, "ArchiveStatus", "`x-amz-archive-status`", "told; an archived object is refused before the transfer"),
)
REFUSALS = (
    Row(74, "NoSuchKey", "404", "NotFound"),
    Row(75, "InvalidObjectState", "403", "ObjectArchived, with the storage class and how to restore it"),
    Row(76, "missing, to whoever may list", "404", "NotFound"),
    Row(77, "missing, to whoever may not list", "403", "AccessDenied, which says that it may be missing"),
    Row(78, "HEAD is refused", "a status without a body", "a GET, dropped after its head, learns the reason"),
    Row(79, "the current version is a delete marker", "404, `x-amz-delete-marker`", "ObjectDeleted"),
    Row(80, "the version that was asked for is a delete marker", "405, `x-amz-delete-marker`", "ObjectDeleted"),
    Row(81, "NoSuchVersion", "404", "NotFound"),
    Row(82, "If-Match or If-Unmodified-Since does not hold", "412", "SourceChanged; nothing is kept"),
    Row(83, "If-None-Match or If-Modified-Since does not hold", "304", "NotModified"),
    Row(84, "InvalidRange", "416", "an empty object at the start, SourceChanged later"),
    Row(85, "InvalidPartNumber", "416", "RangeNotSupported, or SourceChanged later"),
    Row(86, "Range together with PartNumber", "400", "refused before a request goes out"),
    Row(87, "`x-amz-server-side-encryption` on a GET", "400", "refused before a request goes out"),
    Row(88, "the bucket has another owner", "403", "AccessDenied"),
    Row(89, "the bucket is in another region", "301, 307 or 400", "asked again there, once"),
    Row(90, "Object Lambda without ranges", "501", "one stream"),
    Row(
        91,
        "SlowDown, 429, 5xx",
        "429, 500, 502, 503, 504",
        "asked again later, within the budget; then Throttled or ServerError",
    ),
    Row(92, "ExpiredToken, RequestTimeTooSkewed", "400, 403", "new credentials, or the store's time; asked again once"),
)
RULES = (
    Row(93, "public objects need no signature", "no `Authorization`", "`no_sign_request`"),
    Row(94, "the key is the whole path", "`/key` or `/bucket/key`", "`addressing_style`; by itself it is right"),
    Row(95, "directory buckets", "`…--x-s3`, zonal endpoint", "found by their names"),
    Row(
        96,
        "their sessions",
        "CreateSession, `x-amz-s3session-token`",
        "one for all connections, renewed before its five minutes end",
    ),
    Row(
        97,
        "what they do not have",
        "SSE-C, versions, requester pays",
        "refused before a request goes out; their ETag is never taken for an MD5",
    ),
    Row(98, "archived objects are restored first", "RestoreObject", "said in the error"),
    Row(99, "storage classes of directory buckets", "EXPRESS_ONEZONE, ONEZONE_IA", "read like any other"),
    Row(100, "SSE-S3 and KMS need no request header", "none", "none is sent"),
    Row(101, "SSE-C goes with GET, HEAD and attributes", "the three headers", "on all of them"),
    Row(102, "SSE-C over plain http", "refused by S3", "refused before a request goes out, unless to this machine"),
    Row(103, "KMS needs kms:Decrypt", "403", "AccessDenied with the hint"),
    Row(
        104,
        "a version needs another permission",
        "s3:GetObjectVersion",
        "falls back to the ETag where the version was not the caller's wish",
    ),
    Row(105, "`response-*` needs a signature", "400", "refused before a request goes out"),
    Row(106, "If-Match holds, If-Unmodified-Since does not", "200", "both may be sent"),
    Row(107, "If-None-Match does not hold, If-Modified-Since does", "304", "NotModified"),
    Row(
        108,
        "order of the conditions",
        "If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since",
        "as the store decides",
    ),
    Row(
        109,
        "one range a request",
        "`Range`",
        "the planner asks for one; a whole object in the answer to several is taken as such",
    ),
    Row(110, "a part is a range", "206, Content-Range, the object's ETag", "all three must be there"),
    Row(111, "access points", "ARN, alias", "resolved by botocore"),
    Row(112, "Object Lambda", "ARN", "checksums of the original are not held against what was transformed"),
    Row(113, "Outposts", "ARN, SigV4A", "signed by botocore with awscrt"),
    Row(114, "multi-Region access points", "ARN, SigV4A", "signed by botocore with awscrt"),
    Row(115, "tags", "GetObjectTagging", "another operation; their count is told", is_out=True),
    Row(116, "retention on writing", "400", "fastget only reads", is_out=True),
    Row(117, "HEAD takes `response-*` on AWS, not on IBM COS", "query", "left out of HEAD on IBM COS"),
    Row(118, "IBM COS has no GetObjectAttributes", "-", "not asked there; parts are found by HEAD"),
    Row(119, "request headers have 8 KB", "400", "refused before a request goes out"),
    Row(120, "the documents' examples", "`bytes=0-9` of 43", "answered as they say"),
    Row(121, "related operations", "GetObjectAcl, ListBuckets, RestoreObject", "other operations", is_out=True),
)
SECTIONS = (
    ("Parameters of the request", REQUEST),
    ("Fields of the answer", RESPONSE),
    ("Refusals", REFUSALS),
    ("Rules", RULES),
)
