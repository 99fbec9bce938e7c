"""The options of S3 and IBM COS that decide about sessions, endpoints and signatures, taken together."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from fastget.errors import ConfigError
from fastget.records import record

if TYPE_CHECKING:
    from fastget.config import Config
    from fastget.sources.iam import TokenEndpoint

# The endpoints of IBM Cloud Object Storage: s3.eu-de.cloud-object-storage.appdomain.cloud and its like, and older ones.
_IBM_HOSTS = re.compile(r"(?:^|\.)(?:cloud-object-storage\.[a-z]+\.cloud|objectstorage\.softlayer\.net)$")
# How regions are called, whosever they are: each becomes a label of a host name, which has 63 letters at most.
REGION = re.compile(r"(?!.{64})[a-z][a-z0-9]+(?:-[a-z0-9]+){0,5}", re.ASCII)


@record
class S3Settings:
    """The options that decide about sessions, endpoints and signatures."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    anonymous: bool = False
    addressing_style: str = "auto"
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    insecure: bool = False
    connect_timeout: float = 10.0
    response_timeout: float = 60.0
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    use_dualstack_endpoint: bool = False
    use_fips_endpoint: bool = False
    use_accelerate_endpoint: bool = False
    store: str = "s3"
    ibm_api_key_id: str | None = field(default=None, repr=False)
    ibm_auth_endpoint: str | None = None

    @classmethod
    def of(cls, config: Config, store: str = "s3") -> Self:
        """The settings in `config`, for a URL of the scheme `store`: s3 or cos.

        An Authorization header of the user takes the place of a signature.
        Raises ConfigError for an endpoint with user info in it, half a key, or a region that IBM COS cannot have.
        """
        _check_keys(config)
        brings_its_own = any(name.lower() == "authorization" for name in config.headers)
        if store == "cos":
            config = _as_ibm_has_it(config, wants_keys=not brings_its_own)
        if "@" in urlsplit(config.endpoint_url or "").netloc:
            raise ConfigError("endpoint_url holds a user name or password", hint="S3 takes keys: give a profile")
        return cls(
            endpoint_url=config.endpoint_url,
            region=config.region,
            profile=config.profile,
            anonymous=config.no_sign_request or brings_its_own,
            addressing_style=config.addressing_style,
            proxy=config.proxy,
            ca_bundle=config.ca_bundle,
            insecure=config.insecure,
            connect_timeout=config.connect_timeout,
            response_timeout=config.response_timeout,
            access_key_id=config.access_key_id,
            secret_access_key=config.secret_access_key,
            session_token=config.session_token,
            use_dualstack_endpoint=config.use_dualstack_endpoint,
            use_fips_endpoint=config.use_fips_endpoint,
            use_accelerate_endpoint=config.use_accelerate_endpoint,
            store=store,
            ibm_api_key_id=None if brings_its_own else config.ibm_api_key_id,
            ibm_auth_endpoint=config.ibm_auth_endpoint,
        )

    @property
    def token_endpoint(self) -> TokenEndpoint | None:
        """Where the token comes from that takes the place of a signature. Raises ConfigError for plain http."""
        if self.ibm_api_key_id is None:
            return None
        from fastget.sources.iam import TOKEN_ENDPOINT, TokenEndpoint

        return TokenEndpoint(
            api_key=self.ibm_api_key_id,
            url=self.ibm_auth_endpoint or TOKEN_ENDPOINT,
            proxy=self.proxy,
            ca_bundle=self.ca_bundle,
            insecure=self.insecure,
            connect_timeout=self.connect_timeout,
            response_timeout=self.response_timeout,
        )

    @property
    def is_unsigned(self) -> bool:
        """Whether requests carry no signature: nothing at all, or a token."""
        return self.anonymous or self.ibm_api_key_id is not None

    @property
    def is_ibm(self) -> bool:
        """Whether the endpoint is IBM Cloud Object Storage's."""
        if self.store == "cos" or self.ibm_api_key_id is not None:
            return True
        return _IBM_HOSTS.search(urlsplit(self.endpoint_url or "").hostname or "") is not None


def _as_ibm_has_it(config: Config, *, wants_keys: bool) -> Config:
    """The options with what IBM's SDK reads beside them, for a cos:// URL: keys, and where the bucket is."""
    from fastget.sources import ibm_environment as ibm

    found: dict[str, Any] = {}
    names_keys = config.access_key_id is not None or config.ibm_api_key_id is not None or config.profile is not None
    if wants_keys and not names_keys and not config.no_sign_request:
        keys = ibm.ibm_credentials()
        found = {
            "ibm_api_key_id": keys.api_key_id,
            "ibm_auth_endpoint": config.ibm_auth_endpoint or keys.auth_endpoint,
            "access_key_id": keys.access_key_id,
            "secret_access_key": keys.secret_access_key,
        }
    found["region"] = config.region or ibm.ibm_region()
    if config.endpoint_url is None:
        # A region that was asked for by name comes before an endpoint that was not.
        asked = ibm.ibm_endpoint() if config.region is None else None
        found["endpoint_url"] = asked or _ibm_endpoint(found["region"])
    return config.merged(**found)


def _ibm_endpoint(region: str | None) -> str | None:
    """The public endpoint of a region (us-south) or of a group of them (us, eu, ap), where one is given."""
    if region is None:
        return None
    if not REGION.fullmatch(region):
        raise ConfigError(f"there is no region {region!r} of IBM COS", hint="they look like us-south, eu-de, us, eu")
    return f"https://s3.{region}.cloud-object-storage.appdomain.cloud"


def _check_keys(config: Config) -> None:
    if config.ibm_api_key_id is not None and (config.access_key_id is not None or config.no_sign_request):
        raise ConfigError(
            "ibm_api_key_id takes the place of a signature", hint="leave out access_key_id and no_sign_request"
        )
    if (config.access_key_id is None) != (config.secret_access_key is None):
        raise ConfigError("access_key_id and secret_access_key go together", hint="give both, or neither")
    if config.access_key_id is None:
        if config.session_token is not None:
            raise ConfigError("session_token goes with access_key_id and secret_access_key", hint="give all three")
        return
    if config.no_sign_request:
        raise ConfigError("no_sign_request and an access key contradict each other", hint="give one of them")
