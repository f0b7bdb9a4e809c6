"""What an engine needs and this machine may lack: a library of an extra, or a program."""

import shutil
from importlib.util import find_spec

from daemon.core.words import that_installs
from daemon.stores.errors import StoreUnusableError


def need_library(module: str, extra: str, store: str) -> None:
    """Raise StoreUnusableError, with the command that installs it, if a library is missing."""
    if find_spec(module) is None:
        hint = f"install it: {that_installs(extra)}"
        raise StoreUnusableError(f"{store}: this kind of store needs {module}, which is not installed", hint=hint)


def need_program(name: str, store: str) -> str:
    """Return the path of a program; raises StoreUnusableError, with what installs it, if it is missing."""
    found = shutil.which(name)
    if found is None:
        hint = f"install it, on Debian by: apt-get install {name}"
        raise StoreUnusableError(f"{store}: this kind of store needs the program {name}, which is not found", hint=hint)
    return found
