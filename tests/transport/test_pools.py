"""What the calls of one client share: a pool wherever their options make connections alike."""

from __future__ import annotations

from typing import Any

import pytest

from fastget.config import Config
from fastget.transport.pools import Pools

OWN: list[dict[str, Any]] = [
    {"insecure": True},
    {"ca_bundle": "/other.pem"},
    {"proxy": "http://proxy:1"},
    {"connect_timeout": 7.0},
    {"response_timeout": 7.0},
    {"stall_timeout": 7.0},
    {"limit_rate": 12345},
]


@pytest.fixture
def config() -> Config:
    return Config()


def test_calls_with_the_clients_options_share_a_pool_that_stays(config: Config) -> None:
    pools = Pools(config)
    with pools.lend(config) as first:
        pass
    with pools.lend(config.merged(retries=3)) as second:
        assert second is first


@pytest.mark.parametrize("own", OWN, ids=str)
def test_a_call_with_options_of_its_own_has_one_pool_however_often_it_lends_it(
    config: Config, own: dict[str, Any]
) -> None:
    pools = Pools(config)
    with pools.lend(config) as shared, pools.lend(config.merged(**own)) as outer:
        assert outer is not shared
        with pools.lend(config.merged(**own)) as inner:
            assert inner is outer
        with pools.lend(config.merged(**own)) as again:
            assert again is outer


@pytest.mark.parametrize("own", OWN, ids=str)
def test_it_ends_with_the_last_that_uses_it(config: Config, own: dict[str, Any]) -> None:
    pools = Pools(config)
    first, second = pools.lend(config.merged(**own)), pools.lend(config.merged(**own))
    pool = first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with pools.lend(config.merged(**own)) as still:
        assert still is pool
    second.__exit__(None, None, None)
    with pools.lend(config.merged(**own)) as later:
        assert later is not pool


def test_options_that_differ_share_nothing(config: Config) -> None:
    pools = Pools(config)
    with pools.lend(config.merged(insecure=True)) as one, pools.lend(config.merged(connect_timeout=7.0)) as other:
        assert one is not other


def test_a_bundle_that_is_shared_later_is_still_given_back(config: Config) -> None:
    pools, own = Pools(config), config.merged(ca_bundle="/other.pem")
    with pools.lend(own) as before:
        assert pools.trusting(config, "/other.pem") == config.merged(ca_bundle="/other.pem")
        with pools.lend(own) as after:
            assert after is not before
