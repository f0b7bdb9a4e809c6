"""Import libraries without the optional libraries that they would load.

httpx loads its own command line, and structlog its coloured tracebacks, if rich and pygments are installed: 6 MiB and a
third of the start-up time, in a daemon that idles in a sidecar and shows neither. Both libraries work without them if
the import fails, as it does here. Where a library insists on what the daemon never uses, it is given a stand-in.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Make these modules unimportable within this block; those that are loaded already stay."""
    missing = [module for module in modules if module not in sys.modules]
    for module in missing:
        sys.modules[module] = None  # type: ignore[assignment]  # what the import system takes for "not there"
    try:
        yield
    finally:
        for module in missing:
            del sys.modules[module]


def missing(module: str) -> None:
    """Make the import of a module that is not installed fail at once: otherwise Python searches its whole path each
    time.
    """
    if module not in sys.modules and importlib.util.find_spec(module) is None:
        sys.modules[module] = None  # type: ignore[assignment]  # as above


class _StandIn(ModuleType):
    """A module in which every name is a class of exceptions: libraries may import it, extend it and catch it."""

    def __getattr__(self, name: str) -> type[Exception]:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {"__class_getitem__": classmethod(lambda made, _: made)})


class _NoPackages(ModuleType):
    """What `importlib.metadata` says where no package is installed; for anything else the real one is loaded."""

    PackageNotFoundError = ModuleNotFoundError

    @staticmethod
    def entry_points(**_: object) -> tuple[()]:
        return ()

    @staticmethod
    def version(name: str) -> str:
        raise ModuleNotFoundError(name)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(self.__name__, None)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def standing_in(*modules: str, by: type[ModuleType] = _StandIn) -> Iterator[None]:
    """Let imports within this block get a stand-in for these modules, of which nobody may call anything afterwards.

    Those that are loaded already stay, and after the block each is imported as always.
    """
    made = {module: by(module) for module in modules if module not in sys.modules}
    sys.modules |= made
    try:
        yield
    finally:
        for module, stand_in in made.items():
            if sys.modules.get(module) is stand_in:
                del sys.modules[module]


def without_plugins() -> AbstractContextManager[None]:
    """Let libraries that are imported within this block look for no packages that extend them, pydantic not later
    either.

    To look for one, they would load what reads the archives of packages, and keep it: 0.7 MiB. Nor shall a package
    that happens to be installed run within the daemon, which holds the panels' keys.
    """
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    return standing_in("importlib.metadata", by=_NoPackages)
