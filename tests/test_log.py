"""Logs: one line an event, fit for who reads it, and never a secret."""

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from daemon import log
from daemon.log import REDACTED, bound, configure, get_logger, redact
from tests.fakes import FakeClock

KEY = "ptlc_EXAMPLEa1B2c3D4e5F6"
TOKEN = "eyJ0eXAiOiJKV1Qi.eyJpc3MiOiJodHRw.c2lnbmF0dXJl"  # made up, of a JSON web token's shape


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What a test configures ends with it."""
    before, level, handlers = structlog.get_config(), logging.root.level, logging.root.handlers[:]
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def lines() -> io.StringIO:
    """Where the lines of a test go, as JSON."""
    stream = io.StringIO()
    configure(stream=stream, clock=FakeClock())
    return stream


def logged(stream: io.StringIO) -> list[dict[str, Any]]:
    """Read back the lines of JSON."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_where_nobody_watches(lines: io.StringIO) -> None:
    """Time, level and event come first, then what is bound or given."""
    get_logger().info("backup created", name="auto-1", bytes=5)
    assert lines.getvalue() == (
        '{"timestamp": "2026-04-01T04:00:00.000Z", "level": "info", "event": "backup created",'
        ' "name": "auto-1", "bytes": 5}\n'
    )


def test_what_is_bound_is_on_every_line_until_its_end(lines: io.StringIO) -> None:
    """Server, policy and rotation are bound once for a rotation."""
    with bound(server="survival", policy="standard", rotation=7):
        get_logger().info("inside")
    get_logger().info("outside")
    inside, outside = logged(lines)
    assert (inside["server"], inside["policy"], inside["rotation"]) == ("survival", "standard", 7)
    assert "server" not in outside


def test_levels_below_the_configured_one_are_not_shown(lines: io.StringIO) -> None:
    """A level can be changed while loggers exist."""
    logger = get_logger()
    logger.debug("too much")
    configure("warning", lines)
    logger.info("too much")
    configure("debug", lines)
    logger.debug("shown")
    assert [line["event"] for line in logged(lines)] == ["shown"]


def test_before_it_is_configured_warnings_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever logs too early never writes among the data on stdout."""
    code = "from daemon.log import get_logger; get_logger().info('quiet'); get_logger().warning('early')"
    ran = subprocess.run(  # noqa: S603 — our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert ran.stdout == ""
    assert json.loads(ran.stderr)["event"] == "early"


def test_stderr_is_looked_up_when_a_line_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream of its own the log follows sys.stderr."""
    configure(form="journal")
    get_logger().info("here")
    assert capsys.readouterr().err == "<6>here\n"


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]
)
def test_the_journal_gets_priorities_and_no_time(level: str, priority: int) -> None:
    """systemd reads the level from the line and adds its own time."""
    stream = io.StringIO()
    configure("debug", stream, "journal")
    getattr(get_logger(), level)("backup created", name="auto 1", size=5, quote='a"b', empty="")
    assert stream.getvalue() == f'<{priority}>backup created name="auto 1" size=5 quote="a\\"b" empty=""\n'


def test_every_line_of_a_traceback_has_its_priority_in_the_journal() -> None:
    """Otherwise the journal would show them as notices."""
    stream = io.StringIO()
    configure(stream=stream, form="journal")
    fail_and_log()
    written = stream.getvalue().splitlines()
    assert written[0] == "<3>a bug"
    assert written[1] == "<3>    Traceback (most recent call last):"
    assert all(line.startswith("<3>") for line in written)


def fail_and_log() -> None:
    """Log an exception from a frame that has a secret in a local variable."""
    local = "a-local-value"
    try:
        raise RuntimeError(f"cannot use {KEY}" + local[:0])  # noqa: TRY301
    except RuntimeError:
        get_logger().exception("a bug")


@pytest.mark.parametrize("form", ["json", "journal", "console"])
def test_an_exception_is_shown_without_locals_and_without_secrets(form: log.Form) -> None:
    """Where and what, but never the values that a frame held."""
    stream = io.StringIO()
    configure(stream=stream, form=form)
    fail_and_log()
    written = stream.getvalue()
    assert "in fail_and_log" in written
    assert f"RuntimeError: cannot use {REDACTED}" in written
    assert "a-local-value" not in written
    assert KEY not in written


def test_systemds_stream_is_recognised_by_device_and_inode(tmp_path: Path) -> None:
    """As systemd.exec(5) says; a JOURNAL_STREAM inherited by a redirected child does not count."""
    with (tmp_path / "stderr").open("w+") as stream:
        status = os.fstat(stream.fileno())
        ours = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        for environ in (ours, {"JOURNAL_STREAM": f"{status.st_dev}:1"}, {}):
            configure(stream=stream, environ=environ, clock=FakeClock())
            get_logger().info("hello")
        stream.seek(0)
        assert [line[:1] for line in stream] == ["<", "{", "{"]


@pytest.mark.parametrize(
    ("environ", "colourful"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_gets_readable_lines(environ: dict[str, str], colourful: bool) -> None:
    """In colour only where there is one and nobody minds."""
    ours, theirs = pty.openpty()
    with open(theirs, "w") as terminal:  # noqa: PTH123 — a descriptor
        configure(stream=terminal, environ=environ, clock=FakeClock())
        get_logger().info("backup created", name="auto-1")
        written = os.read(ours, 4096).decode()
    os.close(ours)
    assert ("\x1b[" in written) is colourful
    if not colourful:
        assert written == "2026-04-01T04:00:00.000Z [info     ] backup created name=auto-1\r\n"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"key {KEY}.", f"key {REDACTED}."),
        ("pacc_EXAMPLEabc ptla_EXAMPLEabc papp_EXAMPLEabc", f"{REDACTED} {REDACTED} {REDACTED}"),
        ("https://n:8080/download/backup?token=abc.def&x=1", f"https://n:8080/download/backup?token={REDACTED}&x=1"),
        (f"GET /download?unique={TOKEN}", f"GET /download?unique={REDACTED}"),
        ("https://s3/b?X-Amz-Credential=a%2Fb&X-Amz-Signature=0af", "https://s3/b?X-Amz-Credential={0}&X-Amz-Signature={0}"),
        ("redirect=https%3A%2F%2Fn%2F%3Ftoken%3Dabc", f"redirect=https%3A%2F%2Fn%2F%3Ftoken%3D{REDACTED}"),
        ("Authorization: Bearer anything", "Authorization: Bearer {0}"),
        ("authorization=Basic dXNlcg==", "authorization=Basic {0}"),
        ("{'Authorization': 'odd'}", "{{'Authorization': '{0}'}}"),
        (r'{\"authorization\": \"odd\"}', r'{{\"authorization\": \"{0}\"}}'),
        ("(b'Authorization', b'Bearer odd')", "(b'Authorization', b'Bearer {0}')"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_replaced(text: str, redacted: str) -> None:
    """Keys of both panels, tokens, signatures and credentials, wherever in a text they are."""
    assert redact(text) == redacted.format(REDACTED)
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "keys begin with ptlc_… or pacc_…",
        "the token could not be read",
        "auto-survival-20260401T040000Z-0a1b2c3d",
        "1a7ce997-259b-452e-8b4e-cecc464142ca",
        "sha1:adc83b19e793491b1c6ea0fd8b46cd9f32e592fc",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Hints, names, identifiers and checksums are what a log is read for."""
    assert redact(text) == text


@pytest.mark.parametrize("form", ["json", "journal", "console"])
def test_no_value_leaks_however_deep_it_is(form: log.Form) -> None:
    """By its type, by its key, by its look; in lists, mappings, reprs and the event itself."""
    stream = io.StringIO()
    configure(stream=stream, form=form)
    get_logger().warning(
        f"event with {KEY}",
        value=SecretStr("plain-secret-1"),
        api_key="plain-secret-2",
        headers={"Cookie": "plain-secret-3", "authorization": ["plain-secret-4"]},
        deep=[{"a": (SecretStr("plain-secret-5"), f"https://n/?token={TOKEN}")}],
        error=ValueError(f"bad {KEY}"),
        path=Path(f"/{KEY}"),
    )
    written = stream.getvalue()
    assert written.count(REDACTED) == 9
    assert "plain-secret" not in written
    assert KEY not in written
    assert TOKEN not in written


def test_plain_values_keep_their_types(lines: io.StringIO) -> None:
    """Numbers, truth values, nothing and lists are for machines as they are; a set becomes a list."""
    get_logger().info("values", a=1, b=1.5, c=True, d=None, e=[1, "x"], f=frozenset({2}), g={"h": {1: 2}})
    (line,) = logged(lines)
    del line["timestamp"], line["level"], line["event"]
    assert line == {"a": 1, "b": 1.5, "c": True, "d": None, "e": [1, "x"], "f": [2], "g": {"h": {"1": 2}}}


@pytest.mark.parametrize("form", ["json", "journal", "console"])
def test_a_name_from_the_panel_cannot_play_with_the_terminal(form: log.Form) -> None:
    """No escape sequence and no turned text comes from a value, an event or an error's text."""
    stream = io.StringIO()
    configure(stream=stream, form=form)
    nasty = "a\x1b[2J\r\n<0>b\u202ec\x9b"
    get_logger().info(nasty, name=nasty, inner=[nasty, {"deep": nasty}])
    try:
        raise RuntimeError(nasty)  # noqa: TRY301
    except RuntimeError:
        get_logger().exception("a bug")
    assert not set(stream.getvalue()) & set("\x1b\r\u202e\x9b")


@pytest.mark.parametrize(("form", "edge"), [("journal", r"<[36]>"), ("console", "")])
def test_no_line_of_a_text_looks_like_one_of_the_log(form: log.Form, edge: str) -> None:
    """Only the two lines that were logged stand at the edge, whatever a name, an event or an error's text holds."""
    stream = io.StringIO()
    configure(stream=stream, form=form)
    forged = "a\n<6>2026-04-01T04:00:00.000Z [info     ] backup deleted\n<0>b"
    get_logger().info(forged, name=forged, inner=[forged])
    try:
        raise RuntimeError(forged)  # noqa: TRY301
    except RuntimeError:
        get_logger().exception("a bug")
    at_the_edge = [line for line in stream.getvalue().splitlines() if not re.match(f"{edge}    ", line)]
    assert len(at_the_edge) == 2
    assert "name=a" in at_the_edge[0]
    assert "a bug" in at_the_edge[1]


REFUSED = "the configuration is refused: 1 problem\n/etc/c.toml\n  servers.a.id: is missing"


def test_a_line_feed_in_json_is_one(lines: io.StringIO) -> None:
    """One line an event all the same; whoever reads it back has the text as it was."""
    get_logger().warning("reload_failed", text=REFUSED, inner=[REFUSED], then="last")
    (line,) = logged(lines)
    assert (line["text"], line["inner"]) == (REFUSED, [REFUSED])


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("journal", '<4>reload_failed text="{}" then=last\n<4>    {}\n<4>    {}\n'),
        ("console", "2026-04-01T04:00:00.000Z [warning  ] reload_failed text='{}' then=last\n    {}\n    {}\n"),
    ],
)
def test_a_text_of_several_lines_is_readable(form: log.Form, written: str) -> None:
    """Its first line in the line of the event, the others below it, as they are laid out."""
    stream = io.StringIO()
    configure(stream=stream, form=form, clock=FakeClock())
    get_logger().warning("reload_failed", text=REFUSED, then="last")
    assert stream.getvalue() == written.format(*REFUSED.splitlines())


def test_libraries_speak_from_warning_on(lines: io.StringIO) -> None:
    """Their records come in the same form; httpx's INFO lines, which hold whole URLs, never do."""
    configure("debug", lines)
    logging.getLogger("httpx").info("HTTP Request: GET https://panel/?token=abc")
    logging.getLogger("apscheduler.scheduler").info("Adding job tentatively")
    logging.getLogger("apscheduler.scheduler").warning("Run time of job %r was missed", "x")
    logging.getLogger("uvicorn.error").log(35, "between")
    try:
        raise RuntimeError("inside")  # noqa: TRY301
    except RuntimeError:
        logging.getLogger("asyncio").exception("Task failed")
    missed, between, failed = logged(lines)
    assert (missed["event"], missed["level"]) == ("Run time of job 'x' was missed", "warning")
    assert missed["logger"] == "apscheduler.scheduler"
    assert between["level"] == "warning"
    assert "RuntimeError: inside" in failed["exception"]


def test_a_library_that_fails_in_a_loop_does_not_fill_the_disk(lines: io.StringIO) -> None:
    """Of each kind of record five a minute are told; how many were left out is told with the next."""
    clock = FakeClock()
    configure("info", lines, clock=clock)
    for number in range(1000):
        failed = f"socket.accept() out of system resource\nsocket: <fd={number}>"
        logging.getLogger("asyncio").error(failed)
        logging.getLogger("asyncio").error("Exception in callback at %s", f"{number:#x}")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert len(logged(lines)) == 11
    clock.elapsed += 60
    logging.getLogger("asyncio").error("socket.accept() out of system resource\nsocket: <fd=1>")
    assert logged(lines)[-1]["left_out"] == 995
    for number in range(1000):
        get_logger().warning("ours", number=number)
    assert len(logged(lines)) == 1012


def test_what_the_stream_cannot_encode_is_escaped(tmp_path: Path) -> None:
    """A system without UTF-8, or half a surrogate pair from a panel, costs no line."""
    path = tmp_path / "log"
    with path.open("w", encoding="ascii") as stream:
        configure(stream=stream, form="journal")
        get_logger().info("größe", name="\ud800")
    assert path.read_text() == "<6>gr\\xf6\\xdfe name=\\ud800\n"


def test_a_stream_that_is_gone_stops_nothing() -> None:
    """A closed terminal or a full disk must not fail a rotation."""

    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        configure(stream=stream)
        get_logger().info("unheard")
