"""What `check` finds about one server, from its view and its listing as the panel just showed them.

Pure: values in, findings out. Nothing here asks a panel.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from daemon.config.values import ServerConfig
from daemon.core.backlog import backlog
from daemon.core.brake import Brake
from daemon.core.copied import Copied
from daemon.core.keep import ALL
from daemon.core.model import Backup, Listing, Scope, Server
from daemon.core.names import Ownership
from daemon.errors import ProblemCode
from daemon.operations.findings import Finding, Severity, about, counted
from daemon.panel.errors import ServerStateError
from daemon.rotation.outcome import NO_BACKUPS, refusal
from daemon.rotation.preview import judged, lacks

NEEDED = ("backup.read", "backup.create", "backup.delete")
DOWNLOAD = "backup.download"
"""Needed too where anything is to be copied or proven: without it `copy_before_delete` and `keep_proven` hold all
deletions for ever.
"""
BY_HAND = (DOWNLOAD, "backup.restore")
_SHOWN = 3


def view_findings(config: ServerConfig, server: Server) -> list[Finding]:
    """Return what the server's view shows: its state, the key's permissions, and whether it may have backups."""
    return [*_obstacle(config, server), *_permissions(config, server), *_no_backups(config, server)]


def listing_findings(config: ServerConfig, ownership: Ownership, server: Server, listing: Listing) -> list[Finding]:
    """Return what the server's listing shows: names, the panel's limit, and the brake."""
    return [
        *_renamed(config, ownership, listing.backups),
        *_altered(config, ownership, listing.backups),
        _limit(config, ownership, server, listing.backups),
        *_brake(config, ownership, listing),
    ]


def waiting_findings(
    config: ServerConfig, ownership: Ownership, server: Server, listing: Listing, copied: Collection[Copied]
) -> list[Finding]:
    """Return a warning if backups beyond retention wait for copies: in the end they fill the panel's limit."""
    decided = judged(config, listing, ownership=ownership, accepted=frozenset(), brake=Brake(), copied=copied)
    waiting = backlog(decided.verdicts, server.backup_limit, config.starts, listing.taken_at)
    if waiting is None:
        return []
    hint = f"`ptero-backupd copies run {config.name}` copies them now, and says what is wrong with the store"
    return [about(config, Severity.WARNING, ProblemCode.UNCOPIED, waiting.words(listing.taken_at), hint)]


def did_you_mean(config: ServerConfig, visible: Sequence[Server]) -> str:
    """Return a hint that names the visible servers closest to the configured id and name; empty if none is close."""
    words = {word.lower(): one for one in visible for word in (one.name, one.uuid, one.identifier)}
    near = [words[word] for asked in (config.id, config.name) for word in get_close_matches(asked, words, n=_SHOWN)]
    named = [f"{one.identifier} ({one.name})" for one in dict.fromkeys(near)][:_SHOWN]
    return f"did you mean {', '.join(named)}?" if named else ""


def _obstacle(config: ServerConfig, server: Server) -> list[Finding]:
    if server.obstacle is None:
        return []
    error = ServerStateError(f"is {server.obstacle}", obstacle=server.obstacle)
    until = "it is skipped until that ends" if error.transient or error.suspended else "no backup of it can be made"
    return [about(config, Severity.WARNING, error.code, f"{error.text}: {until}", error.hint)]


def _permissions(config: ServerConfig, server: Server) -> list[Finding]:
    findings = []
    needed = (*NEEDED, DOWNLOAD) if config.policy.copies or config.policy.prove else NEEDED
    if lacking := [name for name in needed if lacks(server, name)]:
        text = f"the key lacks {', '.join(lacking)}"
        hint = "give the key's user these permissions on the server"
        findings.append(about(config, Severity.ERROR, ProblemCode.PERMISSION_LACKING, text, hint))
    if lacking := [name for name in BY_HAND if name not in needed and lacks(server, name)]:
        text = f"the key lacks {', '.join(lacking)}, which only commands by hand need"
        findings.append(about(config, Severity.OK, ProblemCode.PERMISSION_OPTIONAL, text))
    return findings


def _no_backups(config: ServerConfig, server: Server) -> list[Finding]:
    if server.backup_limit:
        return []
    return [about(config, Severity.ERROR, NO_BACKUPS.code, NO_BACKUPS.text, NO_BACKUPS.hint)]


def _brake(config: ServerConfig, ownership: Ownership, listing: Listing) -> list[Finding]:
    """Return a warning if more is beyond retention than the brake lets a rotation delete."""
    brake = Brake(config.policy.max_deletions, config.policy.max_share)
    decided = judged(config, listing, ownership=ownership, accepted=frozenset(), brake=brake)
    if decided.code != ProblemCode.MAX_DELETIONS:
        return []
    once = "" if brake.most == 0 else "; at the panel's limit one goes in 24 hours, so that there is a backup each day"
    problem = refusal(config.name, decided.code, f"{decided.refused}: none goes{once}")
    return [about(config, Severity.WARNING, problem.code, problem.text, problem.hint)]


def _altered(config: ServerConfig, ownership: Ownership, backups: Sequence[Backup]) -> list[Finding]:
    """Return a warning if the panel alters names; the newest such backup is its example."""
    templates = config.ownership
    known = [b for b in backups if ownership.owns(b.name, b.uuid) and not templates.owns(b.name)]
    if not known:
        return []
    text = f'the panel alters names, such as to "{known[-1].name}": {counted(known, "backup")} known by uuid alone'
    hint = "they are its own as long as the state folder is kept"
    return [about(config, Severity.WARNING, ProblemCode.NAME_ALTERED, text, hint)]


def _renamed(config: ServerConfig, ownership: Ownership, backups: Sequence[Backup]) -> list[Finding]:
    """Return a warning if the policy made the backups under another name of the server: they are foreign now."""
    template, names = config.policy.template, [backup.name for backup in backups]
    if config.policy.scope is not Scope.OWN or any(ownership.owns(b.name, b.uuid) for b in backups):
        return []
    findings = []
    for former, count in Counter(filter(None, map(template.server_of, names))).most_common(1):
        would = f"{counted(range(count), 'backup')} would be under the name {former}"
        text = f"none of its backups is its own, and {would}: was it renamed?"
        hint = f'`also_own = ["{template.text.replace("{server}", former)}"]` makes them its own again'
        findings.append(about(config, Severity.WARNING, ProblemCode.RENAMED, text, hint))
    return findings


def _limit(config: ServerConfig, ownership: Ownership, server: Server, backups: Sequence[Backup]) -> Finding:
    """Return whether the panel's limit can hold what the policy keeps, the new backup, and what it never deletes."""
    limit, beyond = server.backup_limit, sum(_never_deleted(config, ownership, backup) for backup in backups)
    also = f", and {counted(range(beyond), 'backup')} that it never deletes" if beyond else ""
    most = config.policy.retention.most_kept()
    if most is None:
        return _unbounded(config, limit, also)
    most = max(most, config.policy.retention.min_good)
    kept = f"what the policy keeps ({most}) plus one{also}"
    if limit >= most + 1 + beyond:
        return about(config, Severity.OK, ProblemCode.LIMIT, f"the limit of {limit} can hold {kept}")
    hint = f"raise the limit to {most + 1 + beyond} in the panel, keep fewer, or unlock or delete some by hand"
    return about(config, Severity.WARNING, ProblemCode.LIMIT, f"the limit of {limit} cannot hold {kept}", hint)


def _never_deleted(config: ServerConfig, ownership: Ownership, backup: Backup) -> bool:
    """Return whether the backup takes a place that no rotation frees; failed ones take none."""
    failed = backup.completed_at is not None and not backup.successful
    foreign = config.policy.scope is Scope.OWN and not ownership.owns(backup.name, backup.uuid)
    return not failed and (backup.locked or foreign)


def _unbounded(config: ServerConfig, limit: int, also: str) -> Finding:
    """Return the finding about rules without a bound in number: those that keep everything reach any limit."""
    keep = config.policy.retention.keep
    text = f"keep {keep} has no bound in number{also}; the limit is {limit}"
    if keep.everything or ALL in keep.counts.values():
        hint = "backups are refused once the limit is reached: give every rule a number"
        return about(config, Severity.WARNING, ProblemCode.LIMIT, text, hint)
    return about(config, Severity.OK, ProblemCode.LIMIT, f"{text}, and must hold every start of that span")
