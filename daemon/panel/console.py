"""The boundary to a node's websocket: the lines of a server's console come out, or a `ConsoleError`.

What must hold: the panel's key is not known here, and no text holds a token, whatever the node sends back. No redirect
is followed, and certificates and proxies are those of `reach`. How much one message holds, and how many wait to be
read, is bounded. Foreign exceptions are translated in one place; the library is loaded by the first connection.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from daemon.core.addresses import is_clear
from daemon.panel import reach
from daemon.panel.answers import clean, unpaired
from daemon.panel.download import CLEAR_HINT, HostError
from daemon.panel.http import CONNECT_SECONDS
from daemon.panel.proxies import UnusableVariableError
from daemon.panel.server_files import ConsoleAccess

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

CLOSE_SECONDS = 2.0
SILENCE_SECONDS = 20.0
"""After how long without a frame the node is pinged; it has as long again to answer."""

LARGEST_MESSAGE = 2**20
WAITING_MESSAGES = 16
MOST_RENEWALS = 200
"""The most tokens that are asked for over one connection; a node accepts each for ten minutes."""

_PAGES = {"ws": "http", "wss": "https"}
"""Which scheme of a web page has the same encryption."""

_WANTS_TOKEN = frozenset({"token expiring", "token expired", "jwt error"})


class ConsoleError(HostError):
    """The console of a server cannot be watched, or not to the end."""

    default_hint = "look at the node: the panel's own page of the server shows the same console"


GiveAccess = Callable[[], Awaitable[ConsoleAccess]]


class Console:
    """An open connection, to which the node has let us in."""

    def __init__(self, connection: "ClientConnection", host: str, give: GiveAccess) -> None:
        self._connection = connection
        self._host = host
        self._give = give
        self._token = ""
        self._renewals = 0
        self._let_in = False
        self._shown_at: float | None = None
        """When a token was sent that the node has not answered yet."""

        self._lacking = True
        """Whether the console has shown lines that the node did not send, for want of a token that holds."""

    async def let_in(self, token: SecretStr) -> None:
        """Wait until the node has taken the token, and ask it for what the console has shown so far."""
        await self._show(token)
        async with asyncio.timeout(CONNECT_SECONDS):
            while not self._let_in:
                self._heard(*self._read(await self._connection.recv()))
        await self._ask_for_lines()

    async def lines(self) -> AsyncGenerator[str, None]:
        """Yield the lines: first those that the node still has, then each as it comes; ends with the connection.

        If a token ran out before the next one was taken, those that the node still has come once more, with what was
        shown meanwhile. It has none of before the server's last start. Raises ConsoleError, and PanelError where the
        panel gives no new token.
        """
        with _translated(self._host):
            async for message in self._connection:
                event, text = self._read(message)
                if event == "console output":
                    yield text
                elif self._heard(event, text):
                    await self._renew()
                elif event == "auth success" and self._lacking:
                    await self._ask_for_lines()
        raise ConsoleError(f"host {self._host} closes the connection to the console")

    def _heard(self, event: str, text: str) -> bool:
        """Take note of what the node says of the token; return whether it wants a new one."""
        if event == "auth success":
            self._let_in, self._shown_at = True, None
        if event not in _WANTS_TOKEN:
            return False
        self._lacking |= event != "token expiring"
        if self._shown_at is None:
            return True
        # Once a token has run out the node says so in place of each line, also while a new one is on its way.
        if not self._let_in or _now() - self._shown_at > CONNECT_SECONDS:
            raise ConsoleError(f"host {self._host} does not accept the panel's token: {clean(text)}")
        return False

    async def _ask_for_lines(self) -> None:
        """Ask for the lines that the node still has: as many as wings' `websocket_log_count` says, 150 if unset."""
        self._lacking = False
        await self._send("send logs")

    async def _renew(self) -> None:
        if self._renewals >= MOST_RENEWALS:
            raise ConsoleError(f"host {self._host} asks for more than {MOST_RENEWALS} new tokens")
        self._renewals += 1
        await self._show((await self._give()).token)

    async def _show(self, token: SecretStr) -> None:
        self._token, self._shown_at = token.get_secret_value(), _now()
        await self._send("auth", self._token)

    async def _send(self, event: str, *arguments: str) -> None:
        await self._connection.send(json.dumps({"event": event, "args": list(arguments)}))

    def _read(self, message: str | bytes) -> tuple[str, str]:
        """Return a message's event and its text, without the token; ("", "") for what no node sends."""
        try:
            document = json.loads(message)
        except (ValueError, RecursionError):
            return "", ""
        event = document.get("event") if isinstance(document, dict) else None
        arguments = document.get("args") if isinstance(document, dict) else None
        texts = [one for one in arguments if isinstance(one, str)] if isinstance(arguments, list) else []
        text = unpaired(" ".join(texts)).replace(self._token, "[token]")
        return (event, text) if isinstance(event, str) else ("", "")


@asynccontextmanager
async def open_console(
    give: GiveAccess, *, panel: str, clear: bool, verify: ssl.SSLContext | None = None
) -> AsyncIterator[Console]:
    """Open the console that `give` gives access to, for the length of a block; raises ConsoleError, PanelError.

    `panel` is the panel's address: nodes take connections of its own pages alone. With `clear`, the connection may be
    unencrypted beyond this machine.
    """
    access = await give()
    address = _checked(access.address, clear=clear)
    host = urlsplit(address).hostname or ""
    with _translated(host):
        connection = await _connected(address, panel, verify)
    try:
        console = Console(connection, host, give)
        with _translated(host):
            await console.let_in(access.token)
        yield console
    finally:
        try:
            await connection.close()
        finally:  # also where that is cancelled
            connection.transport.abort()


def _checked(address: str, *, clear: bool) -> str:
    """Return the address of a websocket as that of a web page; raises ConsoleError, which does not show it."""
    page = host = ""
    with suppress(ValueError, KeyError):
        parts = urlsplit(address)
        host, _port = parts.hostname or "", parts.port
        page = parts._replace(scheme=_PAGES[parts.scheme]).geturl()
    if not (page and host):
        raise ConsoleError("the panel gives no address for the console")
    if not clear and is_clear(page):
        raise ConsoleError(f"the panel is asked by https, and the console at {host} is unencrypted", hint=CLEAR_HINT)
    return page


async def _connected(page: str, panel: str, verify: ssl.SSLContext | None) -> "ClientConnection":
    from websockets.asyncio.client import connect  # noqa: PLC0415 — 1.5 MiB, for those who watch a console
    from websockets.typing import Origin  # noqa: PLC0415 — as above

    proxy = reach.proxy_address(page)
    through: dict[str, Any] = {"proxy_ssl": reach.trusted()} if (proxy or "").startswith("https") else {}
    connecting = connect(
        "ws" + page[4:],
        origin=Origin(_origin(panel)),
        compression=None,
        user_agent_header="ptero-backupd",
        proxy=proxy,
        open_timeout=CONNECT_SECONDS,
        close_timeout=CLOSE_SECONDS,
        ping_interval=SILENCE_SECONDS,
        ping_timeout=SILENCE_SECONDS,
        max_size=LARGEST_MESSAGE,
        max_queue=WAITING_MESSAGES,
        logger=_silent(),
        ssl=(verify or reach.certificates(page)) if page.startswith("https") else None,
        **through,
    )
    vars(connecting)["process_redirect"] = lambda error: error  # as where it is no redirect: none is followed
    return await connecting


def _now() -> float:
    return asyncio.get_running_loop().time()


def _silent() -> logging.Logger:
    """Return a logger for a library that would log each frame, with the token, if all is logged."""
    logger = logging.getLogger(__name__)
    logger.disabled = True
    return logger


def _origin(url: str) -> str:
    """Return what a browser would send as the origin of that page."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@contextmanager
def _translated(host: str) -> Iterator[None]:
    """Raise a ConsoleError for what the library, or the network, raises within the block."""
    from websockets.exceptions import InvalidStatus, WebSocketException  # noqa: PLC0415 — loaded with the connection

    hint = None
    try:
        yield
        return
    except InvalidStatus as error:
        status: Any = error.response.status_code
        words = f"answers {status}"
        if status == HTTPStatus.FORBIDDEN:
            hint = "a node accepts its panel's address only: add the panel's url to the node's `allowed_origins`"
    except UnusableVariableError as error:
        words, hint = f"is not asked: {error}", error.hint
    except OSError as error:
        words = f"cannot be reached ({clean(str(error)) or type(error).__name__})"
    except (WebSocketException, ImportError, UnicodeError, ValueError) as error:
        words = f"ends the connection to the console ({type(error).__name__})"
    raise ConsoleError(f"host {host} {words}", hint=hint)
