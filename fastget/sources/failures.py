"""botocore's exceptions, by meaning; none of them leaves this package."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastget.core.messages import Framing, Headers, ResponseHead
from fastget.errors import ConfigError, CredentialsError, FastgetError, InvalidURL, NetworkError, ServerReply
from fastget.sources.refusals import error_of_reply
from fastget.sources.replies import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_CREDENTIALS_HINT = (
    "for a public bucket use no_sign_request (--no-sign-request), else give a profile (--profile), or keys in "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
NO_IBM_CREDENTIALS_HINT = (
    "give an API key in IBM_API_KEY_ID (ibm_api_key_id), or HMAC keys as access_key_id and secret_access_key; for a "
    "public bucket use no_sign_request (--no-sign-request)"
)
_SIGN_IN_HINT = "sign in again, with the same profile: `aws sso login`, or `aws login`"
_UNREADABLE_HINT = "look at what gives the credentials: the program, the file or the service that the AWS settings name"
_SETTINGS_HINT = "check endpoint_url (https://host[:port]), region, profile and the AWS config file"
# What botocore lets out where an answer or a file is not as it expects, or where there is none.
_UNFORESEEN = (EOFError, OSError, LookupError, TypeError, AttributeError, AssertionError)


@contextmanager
def botocore_failures(display_url: str, otherwise: type[FastgetError] = ConfigError) -> Iterator[None]:
    """Raises, for what botocore raises inside: CredentialsError, ConfigError, InvalidURL, NetworkError.

    `otherwise` is the meaning of an exception that has none of its own: it depends on what was being done.
    The original is not chained: its text and its frames may hold secrets.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _refused(error.response, display_url) from None
    except (BotoCoreError, ValueError, RuntimeError, *_UNFORESEEN) as error:
        if isinstance(error, FastgetError):
            raise
        raise _translated(error, display_url, otherwise) from None


def _translated(error: Exception, display_url: str, otherwise: type[FastgetError]) -> FastgetError:
    from botocore import exceptions as boto

    known: tuple[tuple[type[Exception], type[FastgetError], str], ...] = (
        (boto.NoCredentialsError, CredentialsError, NO_CREDENTIALS_HINT),
        (boto.PartialCredentialsError, CredentialsError, "give what is missing as well, or nothing of it"),
        (boto.CredentialRetrievalError, CredentialsError, "check the profile's credential settings"),
        (boto.SSOError, CredentialsError, _SIGN_IN_HINT),
        (boto.TokenRetrievalError, CredentialsError, _SIGN_IN_HINT),
        # Only the newer ones know `aws login`.
        (getattr(boto, "LoginError", boto.SSOError), CredentialsError, _SIGN_IN_HINT),
        # What botocore raises for credentials that are expired on arrival: those of a session, with a wrong clock.
        (RuntimeError, CredentialsError, "set the clock of this machine, or look at what gives the credentials"),
        (boto.ConfigParseError, ConfigError, _SETTINGS_HINT),
        (boto.InvalidRegionError, ConfigError, _SETTINGS_HINT),
        (boto.ProfileNotFound, ConfigError, "`aws configure list-profiles` shows the ones there are"),
        (boto.ParamValidationError, InvalidURL, "write it as s3://bucket/key"),
        (boto.HTTPClientError, NetworkError, "check the network and endpoint_url"),
        (boto.ConnectionError, NetworkError, "check the network and endpoint_url"),
        (EOFError, CredentialsError, "run it at a terminal, or give a profile that needs no code"),
        *((kind, CredentialsError, _UNREADABLE_HINT) for kind in _UNFORESEEN),
        (Exception, otherwise, _UNREADABLE_HINT if otherwise is CredentialsError else _SETTINGS_HINT),
    )
    kind, hint = next((kind, hint) for source, kind, hint in known if isinstance(error, source))
    words = _words(error)
    if kind is CredentialsError and isinstance(error, ValueError) and not isinstance(error, boto.BotoCoreError):
        # A date, or a command that cannot be taken apart: what it is of, Python does not say.
        words = f"the AWS credentials cannot be read ({words})"
    return kind(f"{display_url}: {safe_text(words)}", hint=hint, url=display_url)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"the AWS settings name {error.filename}, which cannot be used ({error.strerror})"
    if isinstance(error, EOFError):  # of botocore's prompt: it reads nothing else
        return "the AWS settings want a code (MFA), and nobody is there to type it"
    if isinstance(error, _UNFORESEEN):
        return f"the AWS settings or credentials cannot be read ({type(error).__name__}: {error})"
    return str(error)


def _refused(response: Any, display_url: str) -> FastgetError:
    """What a request of botocore's own (a session, a role) was answered."""
    error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    reply = ServerReply(
        status=int(metadata.get("HTTPStatusCode", 500)),
        code=safe_text(str(error.get("Code", ""))) or None,
        message=safe_text(str(error.get("Message", ""))) or None,
        request_id=safe_text(str(metadata.get("RequestId", ""))) or None,
        host_id=safe_text(str(metadata.get("HostId", ""))) or None,
    )
    return error_of_reply(ResponseHead(reply.status, Headers(), Framing.NONE), reply, display_url)
