"""A panel that does not even speak HTTP rightly, over a real socket; and the command line as a real process."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from daemon.core.model import Listing
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError
from tests import captures
from tests.fakes import SkippingClock
from tests.fuzz.host import Host
from tests.fuzz.mutate import damaged
from tests.fuzz.support import KEY, Ran, examples, harmless, sound
from tests.panel.stand_in import SERVER

BODY = captures.load("015_list_empty").body.encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
RIGHT = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def asked(host: Host, says: bytes) -> Listing | PanelError:
    """What the client makes of a list that is answered so."""
    host.says = (says,)

    async def ask() -> Listing:
        async with PanelClient("main", host.url, SecretStr(KEY), clock=SkippingClock()) as client:
            return await client.backups(SERVER)

    try:
        return asyncio.run(ask())
    except PanelError as error:
        return error


@examples(30)
@given(says=st.binary() | damaged(RIGHT) | damaged(CHUNKED))
@example(b"")
@example(HEAD + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY)
@example(HEAD + b"Content-Length: -1\r\n\r\n" + BODY)
@example(HEAD + b"Content-Length: 1\r\nContent-Length: 9\r\n\r\n" + BODY)
@example(HEAD + b"Content-Length: 1\r\n\r\n" + BODY)
@example(HEAD + b"Content-Encoding: gzip\r\n\r\n" + BODY)
@example(HEAD + b"X-Long: " + b"x" * 2**20 + b"\r\n\r\n" + BODY)
@example(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + RIGHT)
@example(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + BODY)
def test_any_bytes_instead_of_an_answer(host: Host, says: bytes) -> None:
    """A list, or an error that can be printed; never without end."""
    result = asked(host, says)
    if isinstance(result, PanelError):
        assert harmless(result.text)
        assert KEY not in result.text
    else:
        assert result.backups == ()


@pytest.mark.parametrize("says", [RIGHT, CHUNKED])
def test_a_right_answer_is_right(host: Host, says: bytes) -> None:
    """So that the others are wrong for the reason that is meant."""
    assert isinstance(asked(host, says), Listing)


@pytest.mark.parametrize(
    "says", [b"\x1b[2J\x1b]0;owned\x07", RIGHT.replace(BODY, BODY[::-1]), HEAD + b"\r\n<title>\x1b[2J\xff</title>"]
)
def test_a_real_process_says_what_is_wrong(host: Host, tmp_path: Path, says: bytes) -> None:
    """`servers`, before a panel of that kind: exit 4, a sentence, and nothing that a terminal obeys."""
    host.says = (says,)
    file = tmp_path / "config.toml"
    file.write_text(f'state_dir = "none"\n[panels.main]\nurl = "{host.url}"\n')
    environ = {"HOME": str(tmp_path), "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "daemon", "--config", str(file), "servers"]
    done = subprocess.run(command, env=environ, capture_output=True, check=False, timeout=50)  # noqa: S603 — our own
    assert sound(Ran(done.returncode, done.stdout.decode(), done.stderr.decode())).code == 4


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[" * 100_000, b"a = \x1b[2J", b"[panels.main]\nurl = 'x'\nurl = 'y'"]
)
def test_a_real_process_refuses_a_configuration(tmp_path: Path, content: bytes) -> None:
    """`run` does not begin: exit 2, the file, and why."""
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    command = [sys.executable, "-m", "daemon", "--config", str(file), "run"]
    done = subprocess.run(command, env={"HOME": "/"}, capture_output=True, check=False, timeout=50)  # noqa: S603 — see above
    ran = sound(Ran(done.returncode, done.stdout.decode(), done.stderr.decode()))
    assert ran.code == 2
    assert str(file) in ran.err
