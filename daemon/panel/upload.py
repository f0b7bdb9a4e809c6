"""The other direction of `download`: a file goes to the host that a signed link leads to, or a `HostError` comes out.

What must hold: the panel's key is not known here, no text holds a link, and no redirect is followed.
"""

import io
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
from pydantic import SecretStr

from daemon.core.addresses import is_clear
from daemon.panel import reach
from daemon.panel.answers import clean
from daemon.panel.download import (
    CLEAR_HINT,
    UNANSWERED,
    HostError,
    LinkRefusedError,
    StrangeHostError,
    address_of,
)
from daemon.panel.http import CONNECT_SECONDS
from daemon.panel.proxies import UnusableVariableError

SILENCE_SECONDS = 120.0  # a node writes all of a large file to its place before it answers


class UploadRefusedError(LinkRefusedError):
    """The node does not take this file: mostly since it is larger than the node's limit for uploads."""

    default_hint = "the node's limit for uploads is `upload_limit` in its configuration, by default 100 MiB"


class _Watched(io.FileIO):
    """A file that tells how far it was read."""

    def __init__(self, path: Path, moved: Callable[[int], None]) -> None:
        super().__init__(path)
        self._moved = moved

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(-1 if size is None else size)
        self._moved(self.tell())
        return piece or b""


def upload(
    link: SecretStr,
    path: Path,
    folder: str,
    name: str,
    *,
    clear: bool,
    moved: Callable[[int], None],
    verify: ssl.SSLContext | None = None,
) -> None:
    """Send a file into a folder of the server that the link is for, under that name; raises HostError.

    With `clear`, the link may be plain http beyond this machine. After an error the file may be there all the same; if
    `moved` raises, which hears of each piece before that is sent, the node has no file.
    """
    url = address_of(link.get_secret_value())
    if not clear and is_clear(str(url)):
        raise StrangeHostError(f"the panel is asked by https, and its link to {url.host} is http", hint=CLEAR_HINT)
    try:
        with (
            _Watched(path, moved) as file,
            httpx.Client(
                auth=httpx.Auth(),  # an explicit one, so that neither ~/.netrc nor the address itself makes one
                headers={"User-Agent": "ptero-backupd"},
                timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
                follow_redirects=False,
                trust_env=False,
                proxy=reach.proxy(str(url)),
                verify=verify or reach.certificates(str(url)),
            ) as client,
        ):
            answer = client.post(url.copy_merge_params({"directory": folder}), files={"files": (name, file)})
    except UnusableVariableError as error:
        failure: HostError = StrangeHostError(f"host {url.host} is not asked: {error}", hint=error.hint)
    except UNANSWERED as error:
        words = clean(str(error)) if isinstance(error, httpx.ConnectError) else ""
        failure = HostError(f"host {url.host} does not accept the file ({words or type(error).__name__})")
    else:
        if answer.is_success:
            return
        refused = answer.is_client_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS
        failure = (UploadRefusedError if refused else HostError)(f"host {url.host} answers {answer.status_code}")
    raise failure
