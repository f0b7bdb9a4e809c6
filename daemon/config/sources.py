"""The sources in their order: the environment takes precedence over the files.

pydantic-settings merges them. By itself it would silently ignore a missing file, and merge a table such as `keep` with
the one below. Here the first is a problem, and a higher source replaces a key's whole value.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon._imports import standing_in
from daemon.config.discover import discovers
from daemon.config.environment import FILE_VARIABLE, read_environment
from daemon.config.errors import ConfigIssue
from daemon.config.files import read_files
from daemon.config.quotes import QUOTED, UNQUOTE, in_quotes
from daemon.config.tree import Tree

with standing_in("pydantic_settings.sources.providers.cli", "argparse", "dotenv"):  # other sources than ours
    from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

DEFAULT_FILE = Path("/etc/ptero-backupd/config.toml")
_KEY_DEPTH = 3  # section, name, key


class _Layer(InitSettingsSource):
    """One source, which gives way to those above it, key by key."""

    def __call__(self) -> dict[str, Any]:
        return _without(super().__call__(), self.current_state, _KEY_DEPTH)


def _without(lower: dict[str, Any], upper: dict[str, Any], depth: int) -> dict[str, Any]:
    """Return the lower tree without the keys that the upper one sets."""
    rest = {}
    for key, value in lower.items():
        if key not in upper:
            rest[key] = value
        elif depth > 1 and isinstance(value, dict):
            rest[key] = _without(value, upper[key], depth - 1)
    return rest


class _Sources(BaseSettings):
    """Both sources in one. Nothing is checked yet: that is done table by table, so that no mistake hides another."""

    state_dir: Any = None
    spool: Any = None
    panels: dict[str, Any] = {}
    policies: dict[str, Any] = {}
    servers: dict[str, Any] = {}
    alerts: dict[str, Any] = {}
    stores: dict[str, Any] = {}
    drills: dict[str, Any] = {}
    http: dict[str, Any] = {}
    proof: dict[str, Any] = {}
    cluster: dict[str, Any] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 — these would read the process's own environment
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        layers = init_settings()
        return (_Layer(settings_cls, layers["environment"]), _Layer(settings_cls, layers["files"]))


def read_sources(
    path: Path | None, environ: Mapping[str, str], *, need_servers: bool, need_panels: bool = True
) -> Tree:
    """Given the file from the command line, if any, and the environment, return all that was written.

    The main file is `path`, else $PTERO_BACKUPD_CONFIG, else /etc/ptero-backupd/config.toml. Only the last may be
    missing, and only if the environment alone configures what is needed, as in a sidecar.
    """
    named = _named(path, environ)
    tree = Tree(main_file(path, environ))
    files = read_files(tree)
    environment = read_environment(environ, tree)
    enough = "servers" in environment or discovers(environment.get("panels", {})) or not need_servers
    sidecar = named is None and ("panels" if need_panels else "stores") in environment and enough
    unread = tree.main not in tree.files and not any(problem.file == str(tree.main) for problem in tree.problems)
    if unread and not sidecar:
        tree.problems.append(_missing(tree.main))
    tree.values = _Sources(environment=environment, files=files).model_dump()  # type: ignore[call-arg]  # for its layers
    return tree


def main_file(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the main file, whether it exists or not."""
    return _named(path, environ) or DEFAULT_FILE


def _named(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    variable = environ.get(FILE_VARIABLE)
    return path or (Path(variable) if variable else None)


def _missing(file: Path) -> ConfigIssue:
    quoted = in_quotes(str(file)) is not None
    advice = f"{QUOTED}: {UNQUOTE}" if quoted else "`ptero-backupd init` writes a first one"
    return ConfigIssue(str(file), "", None, "there is no such file", advice)
