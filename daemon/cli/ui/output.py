"""Where output goes: data on stdout, whole and at the end; all else on stderr.

A reader that went away (`… | head`) is no error. What a panel wrote cannot move the cursor of a terminal.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from daemon.cli.streams import write
from daemon.errors import BackupdError

__all__ = ["one_line", "printable", "say", "say_error", "say_trouble", "write", "write_json"]

SCHEMA = 1


def write_json(document: Mapping[str, Any]) -> None:
    """Write one document, with the number of the schema that its keys follow."""
    write(json.dumps({"schema": SCHEMA, **document}, indent=2) + "\n")


def say(text: str) -> None:
    """Print a note for the person at the terminal on stderr; it is not data."""
    with suppress(OSError):  # nobody reads it
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()


def say_error(error: BackupdError, about: str = "") -> None:
    """Print what went wrong and what can be done, each on its own line."""
    say_trouble(f"{about}: {error.text}" if about else error.text, error.hint)


def say_trouble(text: str, hint: str = "", kind: str = "error") -> None:
    """Print that something went wrong, and what can be done if that is known."""
    say(f"{kind}: {text}")
    if hint:
        say(f"hint: {hint}")


def printable(text: str) -> str:
    """Return the text with every unprintable character replaced, except line feeds."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)


def one_line(text: str) -> str:
    """As `printable`, for text that must not begin a new line, such as a name in a question."""
    return printable(text).replace("\n", "\ufffd")
