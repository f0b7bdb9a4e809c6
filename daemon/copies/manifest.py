"""The manifest: the small JSON file beside a copy's data that tells what it is, readable without this program.

It is written last, so that where it stands the copy is whole. What is read back is hostile input: it is bounded in size
and in every part, and it must tell of the very key that it stands beside. Keys may be added within `"schema": 1`, and a
reader passes over those that it does not know.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from daemon.copies.errors import ManifestError
from daemon.core.copies_layout import CopyName, read_key
from daemon.core.copy import Copy
from daemon.core.model import Backup
from daemon.core.units import rfc3339

LARGEST = 64 * 2**10
"""How many bytes of a manifest are read; one of ours has about 2 KiB."""

MOST_RECIPIENTS = 50


def _bounded(moment: datetime) -> datetime:
    """Refuse a moment that has no date in UTC, such as the first of the year 1 in a zone to the east."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the moment lies outside the years 1 to 9999 in UTC") from None
    return moment


_Moment = Annotated[AwareDatetime, AfterValidator(_bounded), PlainSerializer(rfc3339)]
_Name = Annotated[str, Field(max_length=500)]
_Size = Annotated[int, Field(ge=0, lt=2**63)]
_Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


class _Part(BaseModel):
    """A part of the manifest: nothing of another type, and nothing changed afterwards."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class ServerPart(_Part):
    """Whose backup it is: the panel by its name in the configuration, the server by its uuid and both of its names."""

    panel: _Name
    uuid: _Name
    name: _Name
    title: _Name
    """What the panel calls it."""


class BackupPart(_Part):
    """The backup as the panel told it. `checksum` is the panel's own, None where it gave none."""

    uuid: _Name
    name: _Name
    created_at: _Moment
    completed_at: _Moment
    bytes: _Size
    checksum: _Name | None
    sha256: _Sha256
    """Of the archive's very bytes, by ourselves."""


class StoredPart(_Part):
    """What lies in the store."""

    key: _Name
    bytes: _Size
    sha256: _Sha256


class EncryptionPart(_Part):
    """How it was encrypted, and for whom: public keys."""

    format: Literal["age"]
    recipients: Annotated[tuple[_Name, ...], Field(max_length=MOST_RECIPIENTS)]


class ContentsPart(_Part):
    """What the archive held when it was walked to its end: regular files, their bytes, and all entries."""

    files: _Size
    bytes: _Size
    entries: _Size


class ProofPart(_Part):
    """How far it was looked at, and when. `unverified`: the panel gave no checksum that could be compared."""

    level: Literal["read", "walked"]
    at: _Moment
    unverified: bool
    problems: Annotated[tuple[_Name, ...], Field(max_length=20)] = ()


class Manifest(_Part):
    """All of it."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    program: _Name
    installation: _Name
    written_at: _Moment
    server: ServerPart
    backup: BackupPart
    stored: StoredPart
    encryption: EncryptionPart | None
    contents: ContentsPart | None
    proof: ProofPart

    @property
    def name(self) -> CopyName:
        """The name of the copy that it tells of."""
        told = self.backup
        moment = told.created_at.astimezone(UTC).replace(microsecond=0)
        return CopyName(self.server.panel, self.server.uuid, moment, told.uuid, self.encryption is not None)

    def as_copy(self, *, locked_until: datetime | None = None) -> Copy:
        """Return the copy that it tells of, as the core judges it."""
        told, name = self.backup, self.name
        backup = Backup(
            uuid=told.uuid,
            name=told.name,
            successful=True,
            locked=False,
            bytes=told.bytes,
            created_at=name.created_at,
            completed_at=told.completed_at,
            checksum=told.checksum,
        )
        return Copy(name, backup, self.installation, self.stored.bytes, not self.proof.unverified, locked_until)


def write_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as it is stored; raises ManifestError for one that could not be read back."""
    text = manifest.model_dump_json(by_alias=True, indent=2).encode() + b"\n"
    read_manifest(text, manifest.stored.key)
    return text


def read_manifest(text: bytes, key: str) -> Manifest:
    """Given the text beside the data of that key, return the manifest; raises ManifestError if it is none."""
    if len(text) > LARGEST:
        raise ManifestError(f"the manifest of {key} has more than {LARGEST} bytes")
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        failure = ManifestError(f"the manifest of {key} cannot be read: {_first(error)}")
        raise failure from None
    if (other := _difference(manifest, key)) is not None:
        raise ManifestError(f"the manifest of {key} tells of {other}")
    return manifest


def _difference(manifest: Manifest, key: str) -> str | None:
    """Return what else than this key's copy a manifest tells of; None where it is that."""
    known = read_key(key)
    if known is None or known[1] or manifest.stored.key != key:
        return "another copy"
    name = known[0]
    told: list[tuple[str, Any, Any]] = [
        ("panel", manifest.server.panel, name.panel),
        ("server", manifest.server.uuid, name.server),
        ("backup", manifest.backup.uuid, name.backup),
        ("date", manifest.backup.created_at.replace(microsecond=0), name.created_at),
        ("way of encryption", manifest.encryption is not None, name.encrypted),
    ]
    return next((f"another {what}" for what, said, expected in told if said != expected), None)


def _first(error: ValidationError) -> str:
    """Return what is wrong, in pydantic's words, without a value from the manifest."""
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, detail["loc"]))
    return f"{place}: {detail['msg']}" if place else detail["msg"]
