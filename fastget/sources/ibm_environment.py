"""What the SDKs of IBM read beside the options: variables, and a file of credentials. It concerns cos:// URLs alone.

The order is that of ibm_botocore: IBM_API_KEY_ID, then AWS_ACCESS_KEY_ID, then the file that IBM Cloud gives out
(COS_CREDENTIALS_FILE, ~/.bluemix/cos_credentials), whose HMAC keys come before its API key; then the files of AWS.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import field
from pathlib import Path
from typing import Any

from fastget.errors import ConfigError
from fastget.records import record

DEFAULT_FILE = "~/.bluemix/cos_credentials"
# us-east-1 and its like are regions of AWS; those of IBM COS (us-south, jp-tok, eu, ams03) end otherwise.
_OF_AWS = re.compile(r"-[0-9]+$")


@record
class IbmCredentials:
    """An API key, or a pair of HMAC keys, or neither."""

    api_key_id: str | None = field(default=None, repr=False)
    auth_endpoint: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)


def ibm_credentials() -> IbmCredentials:
    """Those of the variables or of the file; none where AWS variables come first. Raises ConfigError for the file."""
    if key := os.environ.get("IBM_API_KEY_ID"):
        return IbmCredentials(key, os.environ.get("IBM_AUTH_ENDPOINT") or None)
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return IbmCredentials()
    return _of_file(os.environ.get("COS_CREDENTIALS_FILE") or DEFAULT_FILE)


def ibm_endpoint() -> str | None:
    """The endpoint that the variables of AWS name, which IBM's SDK reads as well."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def ibm_region() -> str | None:
    """The region that the variables name, unless it is one of AWS."""
    region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or None
    return None if region is None or _OF_AWS.search(region) else region


def _of_file(name: str) -> IbmCredentials:
    try:
        path = Path(name).expanduser()
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, RuntimeError):
        return IbmCredentials()  # as ibm_botocore; RuntimeError: there is no home
    except (OSError, ValueError) as error:
        raise _unreadable(name) from error
    try:
        return _of_facts(json.loads(text))
    except (ValueError, AttributeError) as error:
        raise _unreadable(name) from error


def _of_facts(facts: Any) -> IbmCredentials:
    pair = facts.get("cos_hmac_keys") or {}
    if pair.get("access_key_id") and pair.get("secret_access_key"):
        return IbmCredentials(
            access_key_id=str(pair["access_key_id"]), secret_access_key=str(pair["secret_access_key"])
        )
    if facts.get("apikey"):
        return IbmCredentials(str(facts["apikey"]), facts.get("iam_auth_endpoint") or None)
    return IbmCredentials()


def _unreadable(name: str) -> ConfigError:
    return ConfigError(
        f"the IBM credentials in {name} cannot be read", hint="it is JSON, as IBM Cloud shows service credentials"
    )
