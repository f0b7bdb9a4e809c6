"""A file named on the command line, where "-" stands for standard input."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO

STDIN = Path("-")


def opened(file: Path, *, errors: str = "strict") -> AbstractContextManager[TextIO]:
    """Open it for reading as UTF-8 text, with or without a byte order mark; raises OSError.

    Standard input is read as it is, and left open afterwards.
    """
    return nullcontext(sys.stdin) if file == STDIN else file.open(encoding="utf-8-sig", errors=errors)
