"""Which backups an operator means, resolved against a server as it was just seen."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from daemon.core.choose import choose
from daemon.core.model import Completeness, Verdict
from daemon.errors import UsageError
from daemon.rotation.preview import Preview

_ELSEWHERE = "is it another server's? `ptero-backupd backups list SERVER` shows what is there"


def pick(seen: Preview, wanted: Sequence[str]) -> list[Verdict]:
    """Return the backups meant, each once, in the order of the arguments; raises UsageError if one matches none or
    several.

    `latest` is the newest good one that no proof found damaged.
    """
    verdicts = {verdict.backup.uuid: verdict for verdict in seen.plan.verdicts}
    proofs = seen.proven.proofs
    whole = {uuid for uuid, verdict in verdicts.items() if verdict.whole and proofs.failed(uuid) is None}
    backups = [verdict.backup for verdict in verdicts.values()]
    return [verdicts[uuid] for uuid in dict.fromkeys(choose(backups, whole, word).uuid for word in wanted)]


async def pick_or_gone(
    seen: Preview, wanted: Sequence[str], known: Callable[[str], Awaitable[bool]]
) -> tuple[list[Verdict], list[str]]:
    """As `pick`, but also return whole uuids that are not in the list: those backups are gone already.

    `known` says whether a uuid was a backup of this server. Any other uuid is refused: it may be another server's, and
    still exist.
    """
    there = {backup.uuid.lower() for backup in seen.listing.backups}
    whole = seen.listing.completeness is not Completeness.PARTIAL
    gone = [word for word in dict.fromkeys(wanted) if whole and is_uuid(word) and word.lower() not in there]
    for word in gone:
        if not await known(word.lower()):
            raise UsageError(f"{word} is not on this server, as far as is known it never was", hint=_ELSEWHERE)
    return pick(seen, [word for word in wanted if word not in gone]), gone


def is_uuid(text: str) -> bool:
    """Return whether it is a whole uuid as the panel writes it."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
