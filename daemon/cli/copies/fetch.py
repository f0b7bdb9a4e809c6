"""`copies fetch`: one copy out of its store, whole and checked or not at all."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from daemon.cli.context import begin
from daemon.cli.copies.better import CopyThere, another, passed_over, proofs_of
from daemon.cli.copies.places import chosen_copy, copies_on, identities_in, known_shelves, stores_meant
from daemon.cli.copies.whose import owners_in
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, write, write_json
from daemon.cli.ui.progress import watching
from daemon.config.values import Config
from daemon.copies.fetch import fetch_into, fetch_to
from daemon.copies.manifest import Manifest
from daemon.core.choose import LATEST
from daemon.core.units import format_size
from daemon.documents.copies import fetched
from daemon.errors import Exit, UsageError
from daemon.files import make_folder
from daemon.stores.errors import ObjectMissingError
from daemon.stores.open import open_store
from daemon.transfer.errors import WrongFileError, disk_error
from daemon.transfer.names import file_names

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What was asked for on the command line."""

    store: str | None = None
    output: str | None = None
    identity: Path | None = None
    force: bool = False
    as_json: bool = False


def fetch_copy(settings: Settings, server: str, copy: str, options: FetchOptions) -> int:
    """Fetch one copy into a file, or to stdout."""
    if options.output == STDOUT and options.as_json:
        raise UsageError("--json and --output - both want stdout")
    if options.output == STDOUT and sys.stdout.isatty():
        raise UsageError("this would write an archive to the terminal", hint="send it on, such as | tar tz")
    return asyncio.run(_fetch(settings, server, copy, options))


async def _fetch(settings: Settings, name: str, copy: str, options: FetchOptions) -> int:
    config = begin(settings, need_panels=False)
    stores = [one.name for one in stores_meant(config, options.store)]
    server = await (await owners_in(config, stores)).one(name)
    shelves = await known_shelves(config, server, options.store)
    manifests = copies_on(shelves, server)
    proofs = await proofs_of(config, manifests[0][1].server.uuid)
    store, manifest = chosen = chosen_copy(manifests, copy, proofs, server.policy.zone)
    if copy == LATEST:
        for text in passed_over(chosen, manifests, shelves, proofs):
            say(f"warning: {text}")
    try:
        path = await _bring(config, chosen, [one for _, one in manifests], options)
    except (WrongFileError, ObjectMissingError) as error:
        error.hint = another(server, chosen, manifests, proofs) or error.hint
        raise
    if path is not None and options.as_json:
        decrypted = manifest.encryption is not None and options.identity is not None
        write_json(fetched(server, store, manifest, str(path), decrypted=decrypted))
    elif path is not None:
        write(f"{path}\n")
    return Exit.DONE


async def _bring(config: Config, chosen: CopyThere, manifests: list[Manifest], options: FetchOptions) -> Path | None:
    """Fetch the copy into a file, and return which; None for stdout."""
    store, manifest = chosen
    identities = [] if options.identity is None else identities_in(options.identity)
    async with open_store(config.stores[store].settings) as opened:
        if options.output == STDOUT:
            spool_in = config.state_dir or Path()
            await fetch_to(opened, manifest, sys.stdout.buffer.write, identities, spool_in=spool_in)
            sys.stdout.buffer.flush()
            say(f"{manifest.backup.name}: {_checked(manifest, decrypted=bool(identities))}")
            return None
        path = _path(manifests, manifest, options)
        with watching(manifest.backup.name, manifest.stored.bytes) as listener:
            listener.said(f"{format_size(manifest.stored.bytes)} from {store} to {path}")
            came = await fetch_into(opened, manifest, path, identities, listener.moved, replace=options.force)
            checked = _checked(manifest, decrypted=bool(identities)) if came else "its SHA-256 is right"
            listener.said(f"{'done' if came else 'already there'}, {checked}")
    return path


def _path(manifests: list[Manifest], manifest: Manifest, options: FetchOptions) -> Path:
    """Where the copy goes: into a folder under its backup's name, or the file itself."""
    backups = {one.backup.uuid: one.as_copy().backup for one in manifests}
    name = file_names(list(backups.values()))[manifest.backup.uuid]
    output = Path(options.output or ".")
    try:
        if not (output.is_dir() or (options.output or "").endswith("/")):
            return output
        make_folder(output)
    except OSError as error:
        failure = disk_error(error, f"{output} cannot be used")
        raise failure from None
    return output / (f"{name}.age" if manifest.encryption and options.identity is None else name)


def _checked(manifest: Manifest, *, decrypted: bool) -> str:
    if manifest.encryption is not None and not decrypted:
        return "still encrypted, its SHA-256 is right"
    if manifest.backup.checksum is None:
        return "its SHA-256 is right; the panel gave no checksum"
    return f"its SHA-256 is right, and the {manifest.backup.checksum.partition(':')[0]} that the panel gave"
