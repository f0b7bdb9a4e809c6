"""`check`: whether what is configured can work: state folder, panels, keys, servers, permissions and limits.

Only looks. Each finding is a value with a level: `error` is what makes a rotation fail or be refused, `warning` what
will do so some day or is unwise, `ok` what was looked at and is right. One panel's trouble, or one server's, never
hides another's.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path

from daemon.clock import Clock
from daemon.config.values import AlertConfig, Config, PanelConfig, ServerConfig, duplicates
from daemon.core.altered import unsafe_characters
from daemon.core.brake import Brake
from daemon.core.clocks import doubt
from daemon.core.keep import ALL
from daemon.core.model import Backup, Listing, Scope, Server
from daemon.core.names import Altered, Ownership
from daemon.core.units import format_duration
from daemon.errors import Exit, JournalDamagedError, ProblemCode, StateError
from daemon.panel.client import PanelClient
from daemon.panel.errors import NotFoundError, PanelError, ServerStateError
from daemon.rotation.outcome import NO_BACKUPS, refusal
from daemon.rotation.preview import judged
from daemon.state import Journal
from daemon.state.local.locks import check_locks

CLOCK_TOLERANCE = timedelta(minutes=1)
NEEDED = ("backup.read", "backup.create", "backup.delete")
BY_HAND = ("backup.download", "backup.restore")
_EVERY = "*"
AlteredNames = Callable[[str], Mapping[str, Altered]]
_SHOWN = 3


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `code` names its kind for scripts; `panel` and `server` are configured names."""

    level: Level
    code: ProblemCode
    text: str
    hint: str = ""
    panel: str | None = None
    server: str | None = None


def check_configuration(config: Config) -> tuple[Finding, ...]:
    """Given a configuration that was not refused, return what is to be said of it without asking a panel."""
    files = ", ".join(map(str, config.files)) or "the environment"
    counts = f"{_number(config.servers, 'server')} on {_number(config.panels, 'panel')}"
    warnings = (Finding(Level.WARNING, ProblemCode.CONFIGURATION, warning) for warning in config.warnings)
    names = _unsafe_names(config)
    told = (
        Finding(Level.OK, ProblemCode.ALERTS, f"alerts.{name}: {_tells(one)}") for name, one in config.alerts.items()
    )
    return (Finding(Level.OK, ProblemCode.CONFIGURATION, f"{files}: {counts}"), *told, *names, *warnings)


def _unsafe_names(config: Config) -> list[Finding]:
    """Templates with characters that some panels alter, so that no name says any more whose the backup is."""
    templates = (one.policy.template for one in config.servers.values())
    others = (policy.template for policy in config.policies.values())
    findings = []
    for template in dict.fromkeys((*templates, *others)):
        if unsafe := unsafe_characters(template):
            text = f'name = "{template.text}" has characters that some panels alter: {" ".join(unsafe)}'
            hint = "letters, digits, blanks and - . _ are kept; put the old name into also_own"
            findings.append(Finding(Level.WARNING, ProblemCode.NAME, text, hint))
    return findings


def check_state(state_dir: Path | None) -> Finding:
    """Given the state folder, return whether journal and locks can be kept in it; without them nothing is deleted."""
    if state_dir is None:
        return Finding(Level.OK, ProblemCode.STATE, 'state_dir is "none": nothing is remembered')
    if _is_made_by_others(state_dir):
        text = f"the state folder {state_dir} does not exist yet, and this user cannot make it"
        hint = "whoever starts the daemon must make it, as systemd does by StateDirectory"
        return Finding(Level.WARNING, ProblemCode.STATE, text, hint)
    try:
        Journal.check(state_dir)
        check_locks(state_dir)
    except JournalDamagedError as error:
        return Finding(Level.ERROR, error.code, error.text, error.hint)
    except StateError as error:
        return Finding(Level.ERROR, error.code, f"{error.text}: backups are made, none is deleted", error.hint)
    return Finding(Level.OK, ProblemCode.STATE, f"the state folder {state_dir} can be used")


def _is_made_by_others(state_dir: Path) -> bool:
    """Whether the folder is missing and not this user's to make; False where he may not look (Path would raise)."""
    there = next(folder for folder in (state_dir, *state_dir.parents) if os.path.exists(folder))  # noqa: PTH110
    looked_into, written = (os.access(there, mode, effective_ids=True) for mode in (os.X_OK, os.W_OK))
    return there != state_dir and there.is_dir() and looked_into and not written


def _tells(receiver: AlertConfig) -> str:
    """What a receiver is told; never where it is."""
    events = "every rotation" if receiver.type == "ping" else ", ".join(sorted(receiver.events)) or "nothing"
    return f"{receiver.type}, told of {events}"


async def check_panels(
    config: Config, clients: Mapping[str, PanelClient], clock: Clock, altered: AlteredNames = lambda _: {}
) -> tuple[Finding, ...]:
    """Ask every panel about its key and its servers; `clients` has a client for each panel of the configuration.

    `altered` gives, for a server's uuid, the names that its panel gave to backups of ours, by their uuids.
    """
    looks = (_look_at_panel(panel, config, clients[name], clock, altered) for name, panel in config.panels.items())
    uuids: dict[str, str] = {}
    findings: list[Finding] = []
    for found, of_panel in await asyncio.gather(*looks):
        findings += found
        uuids |= of_panel
    return (*findings, *_twice(config, uuids))


def exit_code(findings: Sequence[Finding]) -> Exit:
    """2 for a mistake in the configuration, 4 where no panel answered, 3 where something is wrong, else 0."""
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    if any(finding.code == ProblemCode.DUPLICATE for finding in errors):
        return Exit.USAGE
    panels = {finding.panel for finding in findings if finding.panel}
    silent = {finding.panel for finding in errors if finding.server is None and finding.code != ProblemCode.CLOCK}
    if panels and panels <= silent:
        return Exit.FAILED
    return Exit.SOME_FAILED if errors else Exit.DONE


def _twice(config: Config, uuids: Mapping[str, str]) -> list[Finding]:
    """What is wrong with servers that are configured a second time."""
    return [
        Finding(Level.ERROR, ProblemCode.DUPLICATE, f"{problem.key}: {problem.reason}", problem.suggestion)
        for problem in duplicates(config, uuids)
    ]


# A panel ----------------------------------------------------------------------------------------------------------

Look = tuple[list[Finding], dict[str, str]]


async def _look_at_panel(
    panel: PanelConfig, config: Config, client: PanelClient, clock: Clock, altered: AlteredNames
) -> Look:
    """Return what is found on a panel, and the uuid of each configured server that it knows."""
    servers = [server for server in config.servers.values() if server.panel.name == panel.name]
    try:
        visible = await client.servers()
    except PanelError as error:
        text = error.text + (f"; {_number(servers, 'server')} not looked at" if servers else "")
        return [Finding(Level.ERROR, error.code, text, error.hint, panel.name)], {}
    findings = [_answers(panel, visible, client), *_clock(panel, client, clock)]
    uuids: dict[str, str] = {}
    for found, of_server in await asyncio.gather(
        *(_look_at_server(server, client, visible, altered) for server in servers)
    ):
        findings += found
        uuids |= of_server
    return findings, uuids


def _answers(panel: PanelConfig, visible: Sequence[Server], client: PanelClient) -> Finding:
    budget = f", API limit {client.budget.limit} a minute" if client.budget else ""
    text = f"{panel.url} accepts the key, which sees {_number(visible, 'server')}{budget}"
    return Finding(Level.OK, ProblemCode.PANEL, text, panel=panel.name)


def _clock(panel: PanelConfig, client: PanelClient, clock: Clock) -> list[Finding]:
    """Rotations go by the panel's clock; one that is wrong misleads people too, and one that is far off is doubted."""
    theirs = client.panel_now()
    ahead = None if theirs is None else theirs - clock.now()
    doubted = doubt(panel_ahead=ahead, panel_set=timedelta(0), ours_set=timedelta(0))
    if doubted or ahead is None:
        text = f"{doubted}: backups are made, none is deleted"
        return [
            Finding(
                Level.ERROR,
                ProblemCode.CLOCK,
                text,
                "let both clocks follow NTP, and let proxies pass Date on",
                panel.name,
            )
        ]
    if abs(ahead) <= CLOCK_TOLERANCE:
        return []
    direction = "ahead of" if ahead > timedelta(0) else "behind"
    text = f"its clock is {format_duration(abs(ahead))} {direction} ours"
    hint = "one of the two is wrong: let both follow NTP; retention itself goes by the panel's clock"
    return [Finding(Level.WARNING, ProblemCode.CLOCK, text, hint, panel.name)]


# A server ---------------------------------------------------------------------------------------------------------


async def _look_at_server(
    config: ServerConfig, client: PanelClient, visible: Sequence[Server], altered: AlteredNames
) -> Look:
    """Return what is found about a server, and its uuid by its configured name where the panel knows it."""
    try:
        server = await client.server(config.id)
    except NotFoundError as error:
        return [_about(config, Level.ERROR, error.code, error.text, _meant(config, visible) or error.hint)], {}
    except PanelError as error:
        return [_about(config, Level.ERROR, error.code, error.text, error.hint)], {}
    seen = _about(config, Level.OK, ProblemCode.SERVER, f'"{server.name}" on {server.node}')
    findings = [seen, *_obstacle(config, server), *_permissions(config, server), *_no_backups(config, server)]
    if server.obstacle is None and not any(finding.level is Level.ERROR for finding in findings):
        findings += await _look_at_backups(config, server, client, altered(server.uuid))
    return findings, {config.name: server.uuid}


def _meant(config: ServerConfig, visible: Sequence[Server]) -> str:
    """Which of the visible servers was probably meant, by id or by name."""
    words = {word.lower(): one for one in visible for word in (one.name, one.uuid, one.identifier)}
    near = [words[word] for asked in (config.id, config.name) for word in get_close_matches(asked, words, n=_SHOWN)]
    named = [f"{one.identifier} ({one.name})" for one in dict.fromkeys(near)][:_SHOWN]
    return f"did you mean {', '.join(named)}?" if named else ""


def _obstacle(config: ServerConfig, server: Server) -> list[Finding]:
    if server.obstacle is None:
        return []
    error = ServerStateError(f"is {server.obstacle}", obstacle=server.obstacle)
    until = "it is skipped until that ends" if error.transient or error.suspended else "no backup of it can be made"
    return [_about(config, Level.WARNING, error.code, f"{error.text}: {until}", error.hint)]


def _permissions(config: ServerConfig, server: Server) -> list[Finding]:
    held = server.permissions
    if held is None or _EVERY in held:
        return []
    findings = []
    if lacking := [name for name in NEEDED if name not in held]:
        text = f"the key lacks {', '.join(lacking)}"
        hint = "give the key's user these permissions on the server"
        findings.append(_about(config, Level.ERROR, ProblemCode.PERMISSION_LACKING, text, hint))
    if lacking := [name for name in BY_HAND if name not in held]:
        text = f"the key lacks {', '.join(lacking)}, which only commands by hand need"
        findings.append(_about(config, Level.OK, ProblemCode.PERMISSION_OPTIONAL, text))
    return findings


def _no_backups(config: ServerConfig, server: Server) -> list[Finding]:
    if server.backup_limit:
        return []
    return [_about(config, Level.ERROR, NO_BACKUPS.code, NO_BACKUPS.text, NO_BACKUPS.hint)]


async def _look_at_backups(
    config: ServerConfig, server: Server, client: PanelClient, altered: Mapping[str, Altered]
) -> list[Finding]:
    try:
        listing = await client.backups(config.id)
    except PanelError as error:
        return [_about(config, Level.ERROR, error.code, error.text, error.hint)]
    backups, ownership = listing.backups, config.ownership.knowing(altered)
    return [
        *_renamed(config, ownership, backups),
        *_altered(config, ownership, backups),
        _limit(config, ownership, server, backups),
        *_brake(config, ownership, listing),
    ]


def _brake(config: ServerConfig, ownership: Ownership, listing: Listing) -> list[Finding]:
    """Whether more is beyond retention than may go at once, so that nothing goes until somebody says so."""
    brake = Brake(config.policy.max_deletions, config.policy.max_share)
    decided = judged(config, listing, ownership=ownership, accepted=frozenset(), brake=brake)
    if decided.code != ProblemCode.MAX_DELETIONS:
        return []
    once = "" if brake.most == 0 else "; at the panel's limit one goes in 24 hours, so that there is a backup each day"
    problem = refusal(config.name, decided.code, f"{decided.refused}: none goes{once}")
    return [_about(config, Level.WARNING, problem.code, problem.text, problem.hint)]


def _altered(config: ServerConfig, ownership: Ownership, backups: Sequence[Backup]) -> list[Finding]:
    """Whether the panel keeps names otherwise than they were asked for, by the newest backup that shows it."""
    templates = config.ownership
    known = [b for b in backups if ownership.owns(b.name, b.uuid) and not templates.owns(b.name)]
    if not known:
        return []
    text = f'the panel alters names, such as to "{known[-1].name}": {_number(known, "backup")} known by uuid alone'
    hint = "they are its own as long as the state folder is kept"
    return [_about(config, Level.WARNING, ProblemCode.NAME_ALTERED, text, hint)]


def _renamed(config: ServerConfig, ownership: Ownership, backups: Sequence[Backup]) -> list[Finding]:
    """Whether the policy made the backups when the server had another name, so that it no longer touches them."""
    template, names = config.policy.template, [backup.name for backup in backups]
    if config.policy.scope is not Scope.OWN or any(ownership.owns(b.name, b.uuid) for b in backups):
        return []
    findings = []
    for former, count in Counter(filter(None, map(template.server_of, names))).most_common(1):
        would = f"{_number(range(count), 'backup')} would be under the name {former}"
        text = f"none of its backups is its own, and {would}: was it renamed?"
        hint = f'`also_own = ["{template.text.replace("{server}", former)}"]` makes them its own again'
        findings.append(_about(config, Level.WARNING, ProblemCode.RENAMED, text, hint))
    return findings


def _limit(config: ServerConfig, ownership: Ownership, server: Server, backups: Sequence[Backup]) -> Finding:
    """Whether the panel's limit can hold what the policy keeps, the new backup, and what it never deletes."""
    limit, beyond = server.backup_limit, sum(_never_deleted(config, ownership, backup) for backup in backups)
    also = f", and {_number(range(beyond), 'backup')} that it never deletes" if beyond else ""
    most = config.policy.retention.most_kept()
    if most is None:
        return _unbounded(config, limit, also)
    most = max(most, config.policy.retention.min_good)
    kept = f"what the policy keeps ({most}) plus one{also}"
    if limit >= most + 1 + beyond:
        return _about(config, Level.OK, ProblemCode.LIMIT, f"the limit of {limit} can hold {kept}")
    hint = f"raise the limit to {most + 1 + beyond} in the panel, keep fewer, or unlock or delete some by hand"
    return _about(config, Level.WARNING, ProblemCode.LIMIT, f"the limit of {limit} cannot hold {kept}", hint)


def _never_deleted(config: ServerConfig, ownership: Ownership, backup: Backup) -> bool:
    """Whether the backup takes a slot that no rotation frees; failed ones take none."""
    failed = backup.completed_at is not None and not backup.successful
    foreign = config.policy.scope is Scope.OWN and not ownership.owns(backup.name, backup.uuid)
    return not failed and (backup.locked or foreign)


def _unbounded(config: ServerConfig, limit: int, also: str) -> Finding:
    """Rules without a bound in number: those that let nothing go will meet any limit."""
    keep = config.policy.retention.keep
    text = f"keep {keep} has no bound in number{also}; the limit is {limit}"
    if keep.everything or ALL in keep.counts.values():
        hint = "backups are refused once the limit is reached: give every rule a number"
        return _about(config, Level.WARNING, ProblemCode.LIMIT, text, hint)
    return _about(config, Level.OK, ProblemCode.LIMIT, f"{text}, and must hold every start of that span")


def _about(config: ServerConfig, level: Level, code: ProblemCode, text: str, hint: str = "") -> Finding:
    return Finding(level, code, text, hint, config.panel.name, config.name)


def _number(things: Sequence[object] | Mapping[str, object] | range, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
