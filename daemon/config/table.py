"""What each table of the configuration file has in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A TOML table: no unknown keys, no values of another type, immutable."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        defer_build=True,  # few configurations use every table, and a daemon at rest would keep the schemas of all
    )
