"""`check`: whether what is configured can work: state folder, stores, panels, keys, servers, permissions and limits.

It only looks, but for a small object that it writes into each store and deletes again. A finding is an `error` if it
makes a rotation fail or be refused, or a store useless; a `warning` if it will some day or is unwise; and `ok` if it is
right. One panel's trouble, or one server's, never hides another's.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from daemon.clock import Clock
from daemon.config.opinion import key_of, opinion_of
from daemon.config.values import (
    AlertConfig,
    Config,
    DrillConfig,
    PanelConfig,
    ServerConfig,
    StatePlace,
    duplicates,
    place_name,
)
from daemon.core.agreement import in_words, listed
from daemon.core.altered import unsafe_characters
from daemon.core.clocks import doubt
from daemon.core.model import Server
from daemon.core.names import Altered
from daemon.core.units import format_duration
from daemon.errors import Exit, JournalDamagedError, ProblemCode, StateError
from daemon.operations.agreement import SAME_EVERYWHERE, differing_from, disagreement_of
from daemon.operations.check_drill import drill_findings
from daemon.operations.check_server import did_you_mean, listing_findings, view_findings, waiting_findings
from daemon.operations.findings import Finding, Severity, about, counted
from daemon.panel.client import PanelClient
from daemon.panel.errors import NotFoundError, PanelError
from daemon.rotation.copied import copied_before
from daemon.state import Catalogue, StateNote, engine_for

NONE_DELETED = "backups are made, none is deleted"
CLOCK_TOLERANCE = timedelta(minutes=1)
AlteredNames = Callable[[str], Awaitable[Mapping[str, Altered]]]


def check_configuration(config: Config) -> tuple[Finding, ...]:
    """Return what can be said of a valid configuration without asking a panel."""
    files = ", ".join(map(str, config.files)) or "the environment"
    counts = f"{counted(config.servers, 'server')} on {counted(config.panels, 'panel')}"
    warnings = (Finding(Severity.WARNING, ProblemCode.CONFIGURATION, warning) for warning in config.warnings)
    names = _unsafe_names(config)
    told = (
        Finding(Severity.OK, ProblemCode.ALERTS, f"alerts.{name}: {_tells(one)}") for name, one in config.alerts.items()
    )
    return (Finding(Severity.OK, ProblemCode.CONFIGURATION, f"{files}: {counts}"), *told, *names, *warnings)


def _unsafe_names(config: Config) -> list[Finding]:
    """Return a warning for each template with characters that some panels alter: no backup would match it."""
    templates = (one.policy.template for one in config.servers.values())
    others = (policy.template for policy in config.policies.values())
    findings = []
    for template in dict.fromkeys((*templates, *others)):
        if unsafe := unsafe_characters(template):
            text = f'name = "{template.text}" has characters that some panels alter: {" ".join(unsafe)}'
            hint = "letters, digits, blanks and - . _ are kept; put the old name into also_own"
            findings.append(Finding(Severity.WARNING, ProblemCode.NAME, text, hint))
    return findings


async def check_state(place: StatePlace) -> tuple[Finding, ...]:
    """Return whether journal and locks can be kept there, without which nothing is deleted, and what to know of it."""
    if place is None:
        return (Finding(Severity.OK, ProblemCode.STATE, 'state_dir is "none": nothing is remembered'),)
    if isinstance(place, Path) and _is_made_by_others(place):
        text = f"the state folder {place} does not exist yet, and this user cannot make it"
        hint = "what starts the daemon must make it, as systemd does by StateDirectory"
        return (Finding(Severity.ERROR, ProblemCode.STATE, f"{text}: {NONE_DELETED}", hint),)
    try:
        notes = await engine_for(place).check()
    except JournalDamagedError as error:
        return (Finding(Severity.ERROR, error.code, error.text, error.hint),)
    except StateError as error:
        return (Finding(Severity.ERROR, error.code, f"{error.text}: {NONE_DELETED}", error.hint),)
    noun = "the state folder " if isinstance(place, Path) else ""
    usable = Finding(Severity.OK, ProblemCode.STATE, f"{noun}{place_name(place)} can be used")
    return (usable, *map(_of_state, notes))


def _of_state(note: StateNote) -> Finding:
    return Finding(Severity.WARNING if note.hint else Severity.OK, ProblemCode.STATE, note.text, note.hint)


async def check_cluster(config: Config) -> tuple[Finding, ...]:
    """Return where the daemons of a cluster would decide differently, or have another configuration than this one."""
    membership = engine_for(config.state).leadership.membership
    if membership is None:
        return ()
    try:
        seen = await membership.seen()
    except StateError:  # which the check of the state says
        return ()
    names = {key_of(one): one.name for one in config.servers.values()}
    if where := disagreement_of(seen):
        text = f"{in_words(where, names)}, so nothing is deleted there"
        return (Finding(Severity.WARNING, ProblemCode.DISPUTED, text, SAME_EVERYWHERE),)
    if keys := differing_from(seen, opinion_of(config)):
        text = f"the daemons of the cluster have another configuration of {listed(keys, names)} than this machine"
        return (Finding(Severity.WARNING, ProblemCode.DISPUTED, text, SAME_EVERYWHERE),)
    return ()


def _is_made_by_others(state_dir: Path) -> bool:
    """Return whether the folder is missing and this user cannot make it; False if he may not look."""
    there = next(folder for folder in (state_dir, *state_dir.parents) if os.path.exists(folder))  # noqa: PTH110
    looked_into, written = (os.access(there, mode, effective_ids=True) for mode in (os.X_OK, os.W_OK))
    return there != state_dir and there.is_dir() and looked_into and not written


def _tells(receiver: AlertConfig) -> str:
    """Return what a receiver is sent, without its address."""
    events = "every rotation" if receiver.type == "ping" else ", ".join(sorted(receiver.events)) or "nothing"
    return f"{receiver.type}, told of {events}"


async def _none_altered(_: str) -> Mapping[str, Altered]:
    return {}


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the state knows of servers, as far as it can be read.

    `altered` returns, for a server's uuid, the names that its panel gave to our backups, by backup uuid. Without a
    catalogue nothing counts as copied.
    """

    altered: AlteredNames = _none_altered
    catalogue: Catalogue | None = None


async def check_panels(
    config: Config, clients: Mapping[str, PanelClient], clock: Clock, known: Remembered = Remembered()
) -> tuple[Finding, ...]:
    """Ask every panel about its key and its servers; `clients` has a client for each panel of the configuration."""
    looks = (_look_at_panel(panel, config, clients[name], clock, known) for name, panel in config.panels.items())
    uuids: dict[str, str] = {}
    findings: list[Finding] = []
    for found, of_panel in await asyncio.gather(*looks):
        findings += found
        uuids |= of_panel
    return (*findings, *_twice(config, uuids))


def exit_code(findings: Sequence[Finding]) -> Exit:
    """Return 2 for a mistake in the configuration, 4 if no panel answered, 3 if there is any other error, else 0."""
    errors = [finding for finding in findings if finding.level is Severity.ERROR]
    if any(finding.code == ProblemCode.DUPLICATE for finding in errors):
        return Exit.USAGE
    panels = {finding.panel for finding in findings if finding.panel}
    silent = {finding.panel for finding in errors if finding.server is None and finding.code != ProblemCode.CLOCK}
    if panels and panels <= silent:
        return Exit.FAILED
    return Exit.SOME_FAILED if errors else Exit.DONE


def _twice(config: Config, uuids: Mapping[str, str]) -> list[Finding]:
    """Return an error for each server that is configured a second time."""
    return [
        Finding(Severity.ERROR, ProblemCode.DUPLICATE, f"{problem.key}: {problem.reason}", problem.suggestion)
        for problem in duplicates(config, uuids)
    ]


# A panel ----------------------------------------------------------------------------------------------------------

Look = tuple[list[Finding], dict[str, str]]


async def _look_at_panel(
    panel: PanelConfig, config: Config, client: PanelClient, clock: Clock, known: Remembered
) -> Look:
    """Return the findings about a panel, and the uuid of each configured server that it knows."""
    servers = [server for server in config.servers.values() if server.panel.name == panel.name]
    try:
        visible = await client.servers()
    except PanelError as error:
        text = error.text + (f"; {counted(servers, 'server')} not looked at" if servers else "")
        return [Finding(Severity.ERROR, error.code, text, error.hint, panel.name)], {}
    findings = [_answers(panel, visible, client), *_clock(panel, client, clock)]
    uuids: dict[str, str] = {}
    for found, of_server in await asyncio.gather(
        *(_look_at_server(server, client, visible, clock, known, drills=config.drills.values()) for server in servers)
    ):
        findings += found
        uuids |= of_server
    return findings, uuids


def _answers(panel: PanelConfig, visible: Sequence[Server], client: PanelClient) -> Finding:
    budget = f", API limit {client.budget.limit} a minute" if client.budget else ""
    text = f"{panel.url} accepts the key, which sees {counted(visible, 'server')}{budget}"
    return Finding(Severity.OK, ProblemCode.PANEL, text, panel=panel.name)


def _clock(panel: PanelConfig, client: PanelClient, clock: Clock) -> list[Finding]:
    """Return a finding if the panel's clock differs from ours: rotations go by it, and need it to be nearly right."""
    theirs = client.panel_now()
    ahead = None if theirs is None else theirs - clock.now()
    doubted = doubt(panel_ahead=ahead, panel_set=timedelta(0), ours_set=timedelta(0))
    if doubted or ahead is None:
        text = f"{doubted}: {NONE_DELETED}"
        return [
            Finding(
                Severity.ERROR,
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
    return [Finding(Severity.WARNING, ProblemCode.CLOCK, text, hint, panel.name)]


# A server ---------------------------------------------------------------------------------------------------------


async def _look_at_server(
    config: ServerConfig,
    client: PanelClient,
    visible: Sequence[Server],
    clock: Clock,
    known: Remembered,
    *,
    drills: Iterable[DrillConfig],
) -> Look:
    """Return the findings about a server, and its uuid by its configured name if the panel knows it."""
    try:
        server = await client.server(config.id)
    except NotFoundError as error:
        return [about(config, Severity.ERROR, error.code, error.text, did_you_mean(config, visible) or error.hint)], {}
    except PanelError as error:
        return [about(config, Severity.ERROR, error.code, error.text, error.hint)], {}
    seen = about(config, Severity.OK, ProblemCode.SERVER, f'"{server.name}" on {server.node}')
    findings = [seen, *view_findings(config, server)]
    if server.obstacle is None and not any(finding.level is Severity.ERROR for finding in findings):
        findings += await _look_at_backups(config, server, client, clock, known)
    findings += drill_findings(config, server, drills)
    return findings, {config.name: server.uuid}


async def _look_at_backups(
    config: ServerConfig, server: Server, client: PanelClient, clock: Clock, known: Remembered
) -> list[Finding]:
    try:
        listing = await client.backups(config.id)
    except PanelError as error:
        return [about(config, Severity.ERROR, error.code, error.text, error.hint)]
    ownership = config.ownership.knowing(await known.altered(server.uuid))
    copied = await copied_before(
        config,
        server.uuid,
        listing,
        known.catalogue,
        ownership=ownership,
        accepted=(),
        asked=(),
        panel_ahead=listing.taken_at - clock.now(),
    )
    return [
        *listing_findings(config, ownership, server, listing),
        *waiting_findings(config, ownership, server, listing, copied),
    ]
