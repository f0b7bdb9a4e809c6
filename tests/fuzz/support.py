"""The command line in this process, thousands of times, and what must hold of whatever it answers.

How many examples a test plays is told by the hypothesis profile: `pytest tests/fuzz --hypothesis-profile=long
--timeout=0` plays fifty times as many as the default one.
"""

import io
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings

from daemon.__main__ import main
from daemon.errors import Exit
from daemon.log import configure

KEY = "ptlc_EXAMPLE0000000000000000000000000000000000000"
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a terminal's cursor, begins a line, turns text around, or cannot be written at all."""


def examples(number: int) -> settings:
    """So many examples, or as many times more as the profile in force plays than the default one."""
    factor = settings().max_examples / settings.get_profile("default").max_examples
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=round(number * factor), deadline=None, suppress_health_check=checks)


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


def run(*words: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> Ran:
    """Run the command line as a process of its own would be run, with streams that hold UTF-8."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    given = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    surroundings = mock.patch.dict(os.environ, {"HOME": "/nonexistent", **(environ or {})}, clear=True)
    with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "stdin", given), surroundings:
        try:
            code = main(words)
        finally:
            configure("warning", None)
    return Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def sound(ran: Ran) -> Ran:
    """The answer, where it is a right result or a clear refusal; else AssertionError."""
    assert ran.code in set(Exit) - {Exit.BUG, Exit.INTERRUPTED}, ran
    assert "Traceback" not in ran.err
    assert harmless(ran.out), ran
    assert harmless(ran.err), ran
    assert KEY not in ran.out + ran.err
    if ran.code == Exit.USAGE and not ran.out.startswith("{"):
        assert ran.out == ""
        assert re.search(r"^(error|Usage): \S", ran.err, re.MULTILINE), ran
    return ran


def harmless(text: str) -> bool:
    """Whether no terminal obeys anything in it."""
    return not OBEYED.search(text)


def document(ran: Ran) -> Any:
    """Stdout as JSON that any reader takes; AssertionError where it is none."""

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(ran.out, parse_constant=refuse)
