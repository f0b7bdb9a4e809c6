"""Where state is kept, as the configuration says it: a folder, a database that several daemons share, or nowhere."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL database that the members of a cluster share, and who this member is.

    `url` holds a password. A member that has not renewed for `lease` may be replaced by another.
    """

    url: SecretStr
    member: str
    lease: timedelta


StatePlace = Path | Cluster | None
"""None keeps the state in the process alone."""
