"""Importing libraries without what they bring along for others, if it happens to be installed.

httpx loads its own command line, and structlog its coloured tracebacks: rich and pygments both, 6 MiB and a third of
the start, in a daemon that idles in a sidecar and shows neither. Both do without where the import fails, as here.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Let these modules be missing for the imports of this block; those that are loaded already stay."""
    missing = [module for module in modules if module not in sys.modules]
    for module in missing:
        sys.modules[module] = None  # type: ignore[assignment]  # what the import system takes for "not there"
    try:
        yield
    finally:
        for module in missing:
            del sys.modules[module]


def missing(module: str) -> None:
    """Let a module that is not installed be missed at once: Python searches its whole path for it each time else."""
    if module not in sys.modules and importlib.util.find_spec(module) is None:
        sys.modules[module] = None  # type: ignore[assignment]  # as above
