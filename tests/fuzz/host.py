"""A host that answers any connection with any bytes, over a real socket."""

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress


class Host:
    """Answers connections with these bytes, one after the other and the last for ever, and closes each."""

    def __init__(self) -> None:
        self.says: Sequence[bytes] = ()
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(65536)
                self.asked += 1
                connection.sendall(self.says[min(self.asked, len(self.says)) - 1])

    def close(self) -> None:
        """Answer no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
