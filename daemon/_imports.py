"""Import libraries without the optional libraries that they would load.

httpx loads its own command line, and structlog its coloured tracebacks, if rich and pygments are installed: 6 MiB and a
third of the start-up time, in a daemon that idles in a sidecar and shows neither. Both libraries work without them if
the import fails, as it does here.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
