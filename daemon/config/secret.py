"""A secret that a table needs and no configuration file holds: found in the first of three places, kept as a SecretStr.

The places, in order: the variable PTERO_BACKUPD_SECTION__NAME__KEY, the systemd credential "section.NAME.key", and the
file that the key with the suffix `_file` names. No message shows their content.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from daemon.config.disk import REPLACED, is_replaced, is_there, read_text
from daemon.config.quotes import UNQUOTE, in_quotes
from daemon.config.tree import KeyPath, Tree, dotted, variable

_LONGEST_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret belongs: `path` is its key, `noun` what to call it, `lack` what to say if it is missing.

    With `of_lines` it may have more than one line, as a private key has.
    """

    path: KeyPath
    noun: str
    lack: str
    of_lines: bool = False

    @property
    def file_path(self) -> KeyPath:
        """The key that names the secret's file."""
        return (*self.path[:-1], f"{self.path[-1]}_file")


def find_secret(
    place: Place, direct: SecretStr | None, file: str | None, environ: Mapping[str, str], tree: Tree
) -> tuple[str, KeyPath] | None:
    """Return a secret without surrounding blanks, and the key that gave it; None, with a problem, if there is none.

    `direct` is what the environment set, `file` the value of the key for the file.
    """
    if tree.refused(place.path):
        return None
    if direct is not None:
        return direct.get_secret_value().strip(), place.path
    credential = credential_file(place.path, environ)
    if credential is not None:
        return _from_file(credential, place, place.path, tree)
    if file is None:
        tree.refuse(place.file_path, place.lack, f"name a file that holds it, or set {variable(place.path)}")
        return None
    try:
        named = tree.resolved(place.file_path, file)
    except ValueError as error:
        tree.refuse(place.file_path, str(error))
        return None
    _warn_of_readers(named, place.file_path, tree)
    return _from_file(named, place, place.file_path, tree)


def credential_file(path: KeyPath, environ: Mapping[str, str]) -> Path | None:
    """Return the file in which systemd passes the credential of that name; None if there is none.

    One that cannot be read exists all the same: to ignore it would silently use an older key.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder, dotted(path)) if folder else None
    return file if file and is_there(file) else None


def _from_file(file: Path, place: Place, path: KeyPath, tree: Tree) -> tuple[str, KeyPath] | None:
    """Return the secret that is alone in a file: of two, or of a secret and a note, nobody knows which is meant."""
    try:
        secret = read_text(tree.look_at(file), _LONGEST_FILE).strip()
    except OSError as error:
        tree.refuse(path, f"the {place.noun} file {file} cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        tree.refuse(path, f"the {place.noun} file {file} does not hold UTF-8 text")
    else:
        if is_replaced(file):
            tree.warn(path, f"{file} {REPLACED}")
        if "\n" in secret and not place.of_lines:
            reason = f"the {place.noun} file {file} holds more than one line"
            tree.refuse(path, reason, f"leave the {place.noun} alone in it")
        elif in_quotes(secret) is not None:
            tree.refuse(path, f"the {place.noun} file {file} holds quotes, which are a part of it", UNQUOTE)
        else:
            return secret, path
    return None


def _warn_of_readers(file: Path, path: KeyPath, tree: Tree) -> None:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return  # reading it will say so
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        tree.warn(path, f"others can read or change {file} (mode {mode:04o}); chmod 600 it")
