"""FASTGET_* variables whose values are only read where they are used: a bad one is told by its name all the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastget.config import Config, environment_names
from fastget.core.checksums.declared import user_digest
from fastget.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def wrong_variables(config: Config, given: Collection[str]) -> dict[str, ConfigError]:
    """By option, what is wrong with the value that a variable gave it in `config`; options in `given` have no such."""
    set_ones = {name: at for name, at in environment_names().items() if name not in given and os.environ.get(at)}
    if not set_ones:
        return {}
    from fastget.sources.parameters import Parameters
    from fastget.transport.proxies import Proxy

    wrong: dict[str, ConfigError] = {}
    for name, variable in set_ones.items():
        alone = Config(**{name: getattr(config, name)})
        try:
            if alone.checksum is not None:
                user_digest(alone.checksum)
            if alone.proxy is not None:
                Proxy.parse(alone.proxy)
            Parameters.of(alone)
        except ConfigError as error:
            wrong[name] = ConfigError(f"{variable}: {error.message}", hint=error.hint)
    return wrong


def merged(config: Config, options: Mapping[str, Any], wrong: Mapping[str, ConfigError]) -> Config:
    """With the options of a call on top. Raises ConfigError for a wrong variable that none of them replaces."""
    for name, error in wrong.items():
        if name not in options:
            raise ConfigError(error.message, hint=error.hint)
    return config.merged(**options)
