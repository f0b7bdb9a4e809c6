"""What commands with a configuration begin with: the configuration, the servers, the log."""

import os
from collections.abc import Sequence

from daemon.cli.arguments import unknown
from daemon.cli.settings import Settings
from daemon.config.load import load
from daemon.config.values import Config, ServerConfig
from daemon.log import configure


def read_config(settings: Settings, *, need_servers: bool = True, need_panels: bool = True) -> Config:
    """Return the configuration that the command line and the environment name, as `load` does; raises ConfigError."""
    return load(settings.config, os.environ, need_servers=need_servers, need_panels=need_panels)


def begin(settings: Settings, *, level: str = "warning", need_servers: bool = True, need_panels: bool = True) -> Config:
    """Configure the log, at `level` unless the command line sets one, and return the configuration."""
    configure(settings.level or level)
    return read_config(settings, need_servers=need_servers, need_panels=need_panels)


def servers_named(config: Config, names: Sequence[str]) -> list[ServerConfig]:
    """Return the servers of these names, each once, or all if none is named; UsageError for an unknown one."""
    return [server_named(config, name) for name in dict.fromkeys(names or config.servers)]


def server_named(config: Config, name: str) -> ServerConfig:
    """Return the server of that name; raises UsageError if there is none."""
    if name not in config.servers:
        raise unknown("server", name, tuple(config.servers))
    return config.servers[name]
