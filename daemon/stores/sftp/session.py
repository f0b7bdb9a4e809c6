"""One connection to an SSH host: made when it is needed, made anew when it broke.

The host's key must be in known_hosts, and nothing of the user's own SSH configuration, keys or agent is used: what is
configured for the store is all that holds.
"""

import asyncio

import asyncssh

from daemon.stores.errors import StoreUnusableError
from daemon.stores.values import SftpLocation, StoreSettings

CONNECT_SECONDS = 30.0
KEEPALIVE_SECONDS = 15  # a connection that is silent four times as long is lost


class Session:
    """The connection of one store."""

    def __init__(self, settings: StoreSettings, location: SftpLocation) -> None:
        """Read keys and known hosts; raises StoreUnusableError if they cannot be used."""
        self._location = location
        self._options = _options(settings)
        self._connecting = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None

    async def client(self) -> asyncssh.SFTPClient:
        """Return the open SFTP session; raises what asyncssh raises."""
        async with self._connecting:
            if self._client is None or self._connection is None or self._connection.is_closed():
                self._client = await self._connected()
            return self._client

    async def renew(self) -> None:
        """Drop the connection, even if it may only be silent; the next call makes a new one."""
        async with self._connecting:
            connection, self._connection, self._client = self._connection, None, None
            if connection is not None:
                connection.abort()

    async def aclose(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.abort()
            await self._connection.wait_closed()

    async def _connected(self) -> asyncssh.SFTPClient:
        await self.aclose()
        place = self._location
        self._connection = await asyncssh.connect(place.host, place.port, username=place.user, **self._options)
        return await self._connection.start_sftp_client()


def _options(settings: StoreSettings) -> dict[str, object]:
    given = settings.credentials
    if given.password is None and given.private_key is None:
        raise StoreUnusableError(f"{settings.name}: password or private_key is missing", hint="give it one of both")
    return {
        "known_hosts": _known_hosts(settings),
        "client_keys": _keys(settings),
        "password": given.password.get_secret_value() if given.password else None,
        "config": None,
        "agent_path": None,
        "connect_timeout": CONNECT_SECONDS,
        "login_timeout": CONNECT_SECONDS,
        "keepalive_interval": KEEPALIVE_SECONDS,
        "keepalive_count_max": 4,
    }


def _known_hosts(settings: StoreSettings) -> asyncssh.SSHKnownHosts:
    """Return the keys that hosts may have. Without them anybody could take the host's place, so there is no default."""
    if not (settings.known_hosts or "").strip():
        hint = "put what `ssh-keyscan HOST` prints into the file, after comparing it with the host's own fingerprint"
        raise StoreUnusableError(f"{settings.name}: known_hosts is missing or empty", hint=hint)
    try:
        return asyncssh.import_known_hosts(settings.known_hosts or "")
    except ValueError:
        pass  # raised outside, as its words may hold anything
    raise StoreUnusableError(f"{settings.name}: known_hosts cannot be read", hint="it has lines as ssh-keyscan prints")


def _keys(settings: StoreSettings) -> list[asyncssh.SSHKey] | None:
    """Return the private key; None for no key, so that asyncssh does not look for the user's own."""
    key, passphrase = settings.credentials.private_key, settings.credentials.passphrase
    if key is None:
        return None
    opener = None if passphrase is None else passphrase.get_secret_value()
    try:
        return [asyncssh.import_private_key(key.get_secret_value(), opener)]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        pass  # raised outside, as above
    hint = "it is an SSH private key as ssh-keygen makes it; an encrypted one needs its passphrase"
    raise StoreUnusableError(f"{settings.name}: the private key cannot be read", hint=hint)
