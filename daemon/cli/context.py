"""What commands that use the configuration begin with: the configuration, the servers meant, the log."""

import os
from collections.abc import Sequence

from daemon.cli.arguments import unknown
from daemon.cli.options import Settings
from daemon.config.load import load
from daemon.config.values import Config, ServerConfig
from daemon.log import configure


def read_config(settings: Settings, *, need_servers: bool = True) -> Config:
    """Return the configuration that the command line and the environment name; raises ConfigError."""
    return load(settings.config, os.environ, need_servers=need_servers)


def begin(settings: Settings, *, level: str = "warning", need_servers: bool = True) -> Config:
    """Let the log speak, from `level` on unless the command line says otherwise, and return the configuration."""
    configure(settings.level or level)
    return read_config(settings, need_servers=need_servers)


def servers_named(config: Config, names: Sequence[str]) -> list[ServerConfig]:
    """Return the servers of these names, each once, or all where none is named; UsageError for an unknown one."""
    return [server_named(config, name) for name in dict.fromkeys(names or config.servers)]


def server_named(config: Config, name: str) -> ServerConfig:
    """Return the server of that name; UsageError where there is none."""
    if name not in config.servers:
        raise unknown("server", name, tuple(config.servers))
    return config.servers[name]
