"""What `init` needs to know of a panel: from the command line or the environment, else asked for.

Without a terminal nothing is asked: a missing answer is a usage error. The key is never an argument, and never shown.
"""

import getpass
import os
import sys
from pathlib import Path

from pydantic import SecretStr, ValidationError

from daemon.cli.ui.files import STDIN, opened
from daemon.cli.ui.output import say
from daemon.config.errors import ConfigError
from daemon.config.keys import find_key
from daemon.config.kinds import NAME
from daemon.config.models import PanelTable
from daemon.config.translate import refuse_all
from daemon.config.tree import Tree, variable
from daemon.core.addresses import is_clear
from daemon.errors import UsageError

_LONGEST = 64 * 1024  # what a device or a pipe without end may give


def panel_and_key(
    name: str, url: str | None, api_key_file: Path | None, *, allow_http: bool
) -> tuple[PanelTable, SecretStr]:
    """Return the panel and its key, checked by the configuration's own rules; UsageError says what is wrong."""
    if not NAME.fullmatch(name):
        raise UsageError(f'--panel: "{name}" is no name', hint="a name is made of a-z, 0-9 and -")
    tree, path = Tree(Path("what was given")), ("panels", name)
    try:
        table = PanelTable.model_validate(
            {"url": url or _asked("The panel's address: ", "--url"), "allow_http": allow_http}
        )
    except ValidationError as error:
        refuse_all(error, path, tree)
        raise ConfigError(tree.problems) from None
    if is_clear(table.url) and not table.allow_http:
        raise UsageError(f"{table.url} would send the key in the clear", hint="write https, or add --allow-http")
    written = table.model_copy(update={"api_key": SecretStr(_key(name, api_key_file))})
    key = find_key(name, written, {}, tree)
    if key is None:
        raise ConfigError(tree.problems)
    for warning in tree.warnings:
        say(f"warning: {warning}")
    return table, key


def wants_all(mine: int, every: int) -> bool:
    """Ask an administrator whether all servers of the panel are meant; without a terminal, print how to ask."""
    seen = f"the key is an administrator's: it can see {every} servers, {mine} without his rights"
    if not sys.stdin.isatty():
        say(f"{seen}; with --all-servers all of them are taken")
        return False
    return _asked(f"{seen}. Take all of them? [y/N] ", "--all-servers").lower() in {"y", "yes"}


def _key(panel: str, file: Path | None) -> str:
    """Return the key as given, or typed without echo."""
    name = variable(("panels", panel, "api_key"))
    if file is not None:
        return _read(file)
    if given := os.environ.get(name):
        return given
    return _asked("Its client API key (not shown): ", f"--api-key-file FILE, or ${name}", hidden=True)


def _read(file: Path) -> str:
    try:
        with opened(file) as stream:
            return stream.readline(_LONGEST) if file == STDIN else stream.read(_LONGEST)
    except OSError as error:
        raise UsageError(f"--api-key-file: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--api-key-file: {file} does not hold UTF-8 text") from None


def _asked(question: str, option: str, *, hidden: bool = False) -> str:
    """Ask the person at the terminal; raises EOFError if nothing comes."""
    if not sys.stdin.isatty():
        raise UsageError("an answer is needed, and there is no terminal to ask at", hint=f"give {option}")
    if hidden:
        return getpass.getpass(question, sys.stderr).strip()
    sys.stderr.write(question)
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise EOFError
    return answer.strip()
