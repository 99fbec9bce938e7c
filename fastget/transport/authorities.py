"""Which CA certificates the environment names for web servers, in requests' order: REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE.

As there, an empty variable names nothing. SSL_CERT_FILE and SSL_CERT_DIR are OpenSSL's own, read where nothing else is
named. Stores have an order of their own: see sources/ca_bundles.py.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastget.config import Config

OF_REQUESTS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OF_OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_OF_STORES = "AWS_CA_BUNDLE"


def bundle_for_servers(config: Config) -> str | None:
    """The file or directory to trust, where no option says it. It is opened when there is a certificate to check."""
    if config.ca_bundle is not None or config.insecure:
        return None
    return next(filter(None, map(os.environ.get, OF_REQUESTS)), None)


def name_of(ca_bundle: str | None) -> str | None:
    """The variable that names this bundle; None where it is an option's."""
    named = (name for name in (*OF_REQUESTS, _OF_STORES) if ca_bundle and os.environ.get(name) == ca_bundle)
    return next(named, None)


def what_counts() -> str:
    """What whoever meets a certificate that is not trusted should know of the variables that are set; often nothing."""
    found = next(((name, path) for name in OF_REQUESTS if (path := os.environ.get(name))), None)
    if found is not None:
        return f"{found[0]} names those that are trusted where no option does"
    if os.environ.get(_OF_STORES):
        return f"{_OF_STORES} is read for s3:// alone"
    # A Path would raise for what may not be looked at.
    said = ((name, os.environ.get(name)) for name in _OF_OPENSSL)
    missing = ((name, path) for name, path in said if path and not os.path.exists(path))  # noqa: PTH110
    return next((f"{name} names {path}, which is not there" for name, path in missing), "")
