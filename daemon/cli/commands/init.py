"""`init`: a first configuration for the servers that a key can see. It replaces no existing file."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from pydantic import SecretStr

from daemon.cli.settings import PROGRAM, Settings
from daemon.cli.ui.files import STDIN
from daemon.cli.ui.init_prompts import panel_and_key, wants_all
from daemon.cli.ui.output import say
from daemon.clock import SystemClock
from daemon.config.environment import FILE_VARIABLE
from daemon.config.first import FirstPanel, first_config, first_stores, rotates, write_new
from daemon.config.models import PanelTable
from daemon.config.sources import DEFAULT_FILE
from daemon.core.model import Server
from daemon.errors import Exit, UsageError
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError

SYSTEM_STATE = Path("/var/lib/ptero-backupd")
"""Where the system's daemon keeps its state; by hand the same must be used, or locks would exclude nobody."""


@dataclass(frozen=True, slots=True)
class InitOptions:
    """Options from the command line."""

    url: str | None
    api_key_file: Path | None
    panel: str
    servers: tuple[str, ...]
    output: Path | None
    allow_http: bool
    all_servers: bool = False
    stores: tuple[str, ...] = ()


def write_first(settings: Settings, options: InitOptions) -> int:
    """Write the configuration and the key file, and print what to do next."""
    target = _target(settings, options)
    first_stores(options.stores)
    panel, key = panel_and_key(options.panel, options.url, options.api_key_file, allow_http=options.allow_http)
    return asyncio.run(_write(target, options, panel, key))


async def _write(target: Path, options: InitOptions, panel: PanelTable, key: SecretStr) -> int:
    visible, every = await _visible(options, panel, key)
    servers = _chosen(visible, options.servers)
    first = FirstPanel(options.panel, panel.url, servers, allow_http=panel.allow_http, all_servers=every)
    _write_files(target, options, first, key)
    for store in first_stores(options.stores):
        if store.secrets:
            say(f"store {store.name} needs more before it can be used: see [stores.{store.name}]")
    _say_what_next(target, servers)
    return Exit.DONE


async def _visible(options: InitOptions, panel: PanelTable, key: SecretStr) -> tuple[Sequence[Server], bool]:
    """Return the servers to choose from, and whether they are all of the panel's; ask an administrator about that."""
    if options.all_servers:
        return await _seen(options, panel, key, all_servers=True), True
    mine = await _seen(options, panel, key, all_servers=False)
    try:
        every = await _seen(options, panel, key, all_servers=True)
    except PanelError:
        return mine, False  # it is no administrator's
    if len(every) > len(mine) and wants_all(len(mine), len(every)):
        return every, True
    return mine, False


async def _seen(options: InitOptions, panel: PanelTable, key: SecretStr, *, all_servers: bool) -> Sequence[Server]:
    async with PanelClient(options.panel, panel.url, key, clock=SystemClock(), all_servers=all_servers) as client:
        return await client.servers()


def _write_files(target: Path, options: InitOptions, panel: FirstPanel, key: SecretStr) -> None:
    """Write the configuration and, unless a file with the key was named, a file with the key beside it."""
    named = None if options.api_key_file == STDIN else options.api_key_file
    key_file = Path(f"{options.panel}.key") if named is None else Path(os.path.abspath(named))  # noqa: PTH100 — follows no link
    # Elsewhere the state lies beside the file, so that what is tried out mixes with nothing else.
    state_dir = SYSTEM_STATE if target.is_relative_to(DEFAULT_FILE.parent) else Path("state")
    text = first_config([replace(panel, key_file=key_file)], first_stores(options.stores), state_dir=state_dir)
    if named is None:
        _write_both(target, text, target.with_name(key_file.name), key)
    else:
        write_new(target, text)


def _target(settings: Settings, options: InitOptions) -> Path:
    """Return the file to write; refuse an existing one before anything is asked."""
    variable_file = os.environ.get(FILE_VARIABLE)
    target = options.output or settings.config or (Path(variable_file) if variable_file else DEFAULT_FILE)
    if os.path.lexists(target):
        raise UsageError(f"{target} exists already", hint="it is left as it is; name another file with --output")
    return target


def _chosen(visible: Sequence[Server], wanted: Sequence[str]) -> Sequence[Server]:
    """Return the servers to configure: those given, by identifier, uuid or name, else all."""
    if not visible:
        raise UsageError("the key sees no server", hint="it sees those of its user and those shared with that user")
    return list(dict.fromkeys(_one(visible, word) for word in wanted)) or visible


def _one(visible: Sequence[Server], word: str) -> Server:
    words = {word.lower(): one for one in visible for word in (one.name, one.uuid, one.identifier)}
    if word.lower() in words:
        return words[word.lower()]
    near = get_close_matches(word.lower(), words, n=1)
    known = ", ".join(f"{one.identifier} ({one.name})" for one in visible)
    raise UsageError(f"--server: the key sees no server '{word}'", hint=f"did you mean {near[0]}?" if near else known)


def _write_both(target: Path, text: str, key_file: Path, key: SecretStr) -> None:
    """Write the key first, since a configuration without it would not work; never leave the key alone."""
    write_new(key_file, key.get_secret_value() + "\n")
    try:
        write_new(target, text)
    except UsageError:
        key_file.unlink()
        raise


def _say_what_next(target: Path, servers: Sequence[Server]) -> None:
    before = PROGRAM if target == DEFAULT_FILE else f"{PROGRAM} --config {target}"
    written = sum(map(rotates, servers))
    others = len(servers) - written
    more = f", and {others} more as {'a comment' if others == 1 else 'comments'}" if others else ""
    say(f"wrote {target}, with {written} server{'' if written == 1 else 's'}{more}; look at it, then:")
    say(f"  {before} check       is everything right?")
    say(f"  {before} plan        what would be kept and deleted now?")
    say(f"  {before} run         the daemon")
