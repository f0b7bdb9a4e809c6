"""Where output goes: data on stdout, whole and at the end; all else on stderr.

A reader that went away (`… | head`) is no error. What a panel wrote cannot move the cursor of a terminal.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from daemon.errors import BackupdError, Exit

SCHEMA = 1


class OutputError(BackupdError):
    """The data could not be written to stdout."""

    exit_code = Exit.FAILED
    code = "output"


def write(text: str) -> None:
    """Write data to stdout; a reader that went away is none the wiser, and no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would fail once more at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise OutputError(f"the output cannot be written: {error.strerror}") from error


def write_json(document: Mapping[str, Any]) -> None:
    """Write one document, with the number of the schema that its keys follow."""
    write(json.dumps({"schema": SCHEMA, **document}, indent=2) + "\n")


def say(text: str) -> None:
    """Tell the person at the terminal something that is no data."""
    with suppress(OSError):  # nobody reads it
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()


def say_error(error: BackupdError, about: str = "") -> None:
    """Say what went wrong and what can be done, each on a line of its own."""
    say_trouble(f"{about}: {error.text}" if about else error.text, error.hint)


def say_trouble(text: str, hint: str = "", kind: str = "error") -> None:
    """Say that something went wrong, and what can be done where that is known."""
    say(f"{kind}: {text}")
    if hint:
        say(f"hint: {hint}")


def printable(text: str) -> str:
    """The text with every character that is none, but for line feeds, replaced."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)
