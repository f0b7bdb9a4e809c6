"""Who may ask, and which headers protect the answers. It stands before every address, and covers answers it did not
make.

A host name that is none of ours is refused: a foreign page could otherwise point its own name here and read the answer
in a visitor's browser (DNS rebinding). A plain IP address cannot be pointed elsewhere, so it is always right. Health
and readiness reveal nothing of value, and orchestrators ask for them by any name, or by none.
"""

import hmac
import ipaddress
from base64 import b64decode
from collections.abc import Callable

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.config.values import HttpConfig

OPEN = frozenset({"/healthz", "/readyz"})
"""What is answered to everybody, by any name and without a token: it says no more than that the daemon is there."""

UNKNOWN_NAME = """\
Asked by a name that is not among http.hosts in the configuration. To let it in, add it there and reload:
  [http]
  hosts = ["NAME"]
or PTERO_BACKUPD_HTTP__HOSTS='["NAME"]'. A plain address needs no entry.
"""


class AccessGuard:
    """The app behind it is asked only by those whom the configuration, as it is at that moment, admits."""

    def __init__(self, app: ASGIApp, config: Callable[[], HttpConfig], headers: dict[str, str]) -> None:
        self._app = app
        self._config = config
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def fenced(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        app = self._refusal(Headers(scope=scope), scope["path"]) or self._app
        await app(scope, receive, fenced)

    def _refusal(self, headers: Headers, path: str) -> ASGIApp | None:
        if path in OPEN:
            return None
        config = self._config()
        if not is_ours(headers.get("host", ""), config.hosts):
            return PlainTextResponse(UNKNOWN_NAME, 421)
        if config.token is None or shows(headers.get("authorization", ""), config.token):
            return None
        challenge = {"WWW-Authenticate": 'Basic realm="ptero-backupd", charset="UTF-8", Bearer realm="ptero-backupd"'}
        return PlainTextResponse("A token is needed; in a browser it is the password, of any user.\n", 401, challenge)


def is_ours(host: str, hosts: frozenset[str]) -> bool:
    """Given a request's Host, return whether it is a name of ours or a plain IP address."""
    name = host.lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0].removesuffix(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost") or name in hosts
    return True


def shows(authorization: str, token: SecretStr) -> bool:
    """Return whether the header has the token: as a bearer's, or as the password of any user, as browsers send it."""
    scheme, _, rest = authorization.partition(" ")
    shown = rest.strip().encode("utf-8", "replace")
    if scheme.lower() == "basic":
        try:
            shown = b64decode(shown, validate=True).partition(b":")[2]
        except ValueError:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(shown, token.get_secret_value().encode())
