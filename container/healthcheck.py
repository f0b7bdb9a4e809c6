"""The container's health check: asks the daemon itself, at /healthz, whether its event loop and its scheduler live.

It reads where the daemon listens from the environment, which wins over any file. Standard library alone, without site:
it runs once a minute, and must cost next to nothing.
"""  # noqa: INP001 — a script, no package

import os
import sys
from http.client import HTTPConnection, HTTPException

SECONDS = 4
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 — asked by its loopback address


def main() -> int:
    """Return 0 where the daemon answers that it is alive; say what it answers."""
    host, _, port = os.environ["PTERO_BACKUPD_HTTP__LISTEN"].rpartition(":")
    host = host.strip("[]")
    connection = HTTPConnection(EVERYWHERE.get(host, host), int(port), timeout=SECONDS)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        sys.stdout.write(f"no answer: {error}\n")
        return 1
    sys.stdout.write(text)
    return 0 if answer.status == 200 else 1  # noqa: PLR2004 — OK


if __name__ == "__main__":
    sys.exit(main())
