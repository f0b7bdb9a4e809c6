"""`init`: a first configuration from what a key can see.

What is missing is asked for on a terminal, and is an error elsewhere. The key is never an argument, is never shown,
and ends in a file of its own that only its owner can read. Nothing that exists is replaced.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import typer
from pydantic import SecretStr, ValidationError

from daemon.cli.app import PROGRAM
from daemon.cli.options import Settings
from daemon.cli.output import say
from daemon.clock import SystemClock
from daemon.config.environment import FILE_VARIABLE
from daemon.config.errors import ConfigError
from daemon.config.first import FirstPanel, first_config, write_new
from daemon.config.keys import find_key
from daemon.config.models import NAME, PanelTable, is_clear
from daemon.config.sources import DEFAULT_FILE
from daemon.config.translate import refuse_all
from daemon.config.tree import Tree, variable
from daemon.core.model import Server
from daemon.errors import Exit, UsageError
from daemon.panel.client import PanelClient

SYSTEM_STATE = Path("/var/lib/ptero-backupd")
"""Where the system's daemon keeps its state; by hand the same must be used, or locks would exclude nobody."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was said on the command line."""

    url: str | None
    api_key_file: Path | None
    panel: str
    servers: tuple[str, ...]
    output: Path | None
    allow_http: bool


def write_first(settings: Settings, wishes: Wishes) -> int:
    """Write the configuration and the key file, and say what comes next."""
    target = _target(settings, wishes)
    panel, key = _panel(wishes)
    servers = _chosen(asyncio.run(_visible(wishes.panel, panel, key)), wishes.servers)
    key_file = _keep_key(target, wishes, key)
    named = key_file.absolute() if wishes.api_key_file and not _is_stdin(wishes) else Path(key_file.name)
    first = FirstPanel(wishes.panel, panel.url, servers, named, panel.allow_http)
    state_dir = SYSTEM_STATE if target.is_relative_to(DEFAULT_FILE.parent) else None
    try:
        write_new(target, first_config([first], state_dir=state_dir))
    except UsageError:
        if not named.is_absolute():
            key_file.unlink(missing_ok=True)
        raise
    _say_what_next(target, servers)
    return Exit.DONE


def _target(settings: Settings, wishes: Wishes) -> Path:
    """The file to write; one that exists is refused before anything is asked."""
    variable_file = os.environ.get(FILE_VARIABLE)
    target = wishes.output or settings.config or (Path(variable_file) if variable_file else DEFAULT_FILE)
    if os.path.lexists(target):
        raise UsageError(f"{target} exists already", hint="it is left as it is; name another file with --output")
    return target


def _panel(wishes: Wishes) -> tuple[PanelTable, SecretStr]:
    """The panel's address and key, looked at by the configuration's own rules; asked for where they are missing."""
    if not NAME.fullmatch(wishes.panel):
        raise UsageError(f'--panel: "{wishes.panel}" is no name: a-z, 0-9 and -')
    url = wishes.url or _asked("The panel's address: ", "--url")
    tree = Tree(Path("what was given"))
    path = ("panels", wishes.panel)
    try:
        table = PanelTable.model_validate({"url": url, "allow_http": wishes.allow_http})
    except ValidationError as error:
        refuse_all(error, path, tree)
        raise ConfigError(tree.problems) from None
    if is_clear(table.url) and not table.allow_http:
        raise UsageError(f"{table.url} would send the key in the clear", hint="write https, or add --allow-http")
    key = find_key(wishes.panel, table.model_copy(update={"api_key": SecretStr(_key(wishes))}), {}, tree)
    if key is None:
        raise ConfigError(tree.problems)
    for warning in tree.warnings:
        say(f"warning: {warning}")
    return table, key


def _key(wishes: Wishes) -> str:
    """The key, from a file, from the environment, or typed unseen."""
    name = variable(("panels", wishes.panel, "api_key"))
    if wishes.api_key_file is not None:
        return _read_key(wishes)
    if given := os.environ.get(name):
        return given
    return _asked("Its client API key (not shown): ", f"--api-key-file FILE, or ${name}", hidden=True)


def _read_key(wishes: Wishes) -> str:
    try:
        text = sys.stdin.readline() if _is_stdin(wishes) else (wishes.api_key_file or Path()).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it does not hold UTF-8 text"
        raise UsageError(f"--api-key-file: {wishes.api_key_file} cannot be read: {why}") from None
    return text.strip().partition("\n")[0].strip()


def _is_stdin(wishes: Wishes) -> bool:
    return str(wishes.api_key_file) == "-"


def _asked(question: str, option: str, *, hidden: bool = False) -> str:
    """Ask the person at the terminal; where there is none the answer had to be given."""
    if not sys.stdin.isatty():
        raise UsageError("an answer is needed, and there is no terminal to ask at", hint=f"give {option}")
    answer: str = typer.prompt(question, prompt_suffix="", hide_input=hidden, err=True)
    return answer.strip()


async def _visible(name: str, panel: PanelTable, key: SecretStr) -> tuple[Server, ...]:
    async with PanelClient(name, panel.url, key, clock=SystemClock()) as client:
        return await client.servers()


def _chosen(visible: Sequence[Server], wanted: Sequence[str]) -> Sequence[Server]:
    """The servers to configure: those wanted, by identifier, uuid or name, else all."""
    if not visible:
        raise UsageError("the key sees no server", hint="it sees those of its user and those shared with that user")
    return [_one(visible, word) for word in dict.fromkeys(wanted)] or visible


def _one(visible: Sequence[Server], word: str) -> Server:
    words = {word.lower(): one for one in visible for word in (one.name, one.uuid, one.identifier)}
    if word.lower() in words:
        return words[word.lower()]
    near = get_close_matches(word.lower(), words, n=1)
    known = ", ".join(f"{one.identifier} ({one.name})" for one in visible)
    raise UsageError(f"--server: the key sees no server '{word}'", hint=f"did you mean {near[0]}?" if near else known)


def _keep_key(target: Path, wishes: Wishes, key: SecretStr) -> Path:
    """The file that holds the key: the one that was named, or a new one beside the configuration."""
    if wishes.api_key_file is not None and not _is_stdin(wishes):
        return wishes.api_key_file
    file = target.with_name(f"{wishes.panel}.key")
    write_new(file, key.get_secret_value() + "\n")
    return file


def _say_what_next(target: Path, servers: Sequence[Server]) -> None:
    before = PROGRAM if target == DEFAULT_FILE else f"{PROGRAM} --config {target}"
    say(f"wrote {target}, with {len(servers)} server{'' if len(servers) == 1 else 's'}; look at it, then:")
    say(f"  {before} check       is everything right?")
    say(f"  {before} plan        what would be kept and deleted now?")
    say(f"  {before} run         the daemon")
