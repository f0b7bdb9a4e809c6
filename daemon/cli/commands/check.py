"""`check`: prints what daemon/operations/check.py finds."""

import asyncio
from collections.abc import Sequence

from daemon.alerts import refuse_unusable
from daemon.cli.context import begin
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, write_json
from daemon.cli.ui.tables import cell, show, table
from daemon.clock import SystemClock
from daemon.config.errors import ConfigError
from daemon.config.values import Config
from daemon.documents.commands import checked
from daemon.errors import ProblemCode
from daemon.fleet.discovery import look
from daemon.operations.check import (
    Remembered,
    check_cluster,
    check_configuration,
    check_panels,
    check_state,
    exit_code,
)
from daemon.operations.check_stores import check_growth, check_stores
from daemon.operations.findings import Finding, Severity
from daemon.rotation.setup import open_clients
from daemon.state import engine_for, looked_into


def check_all(settings: Settings, *, offline: bool, as_json: bool) -> int:
    """Check the configuration and, unless offline, the panels; raises ConfigError if it is refused."""
    return asyncio.run(_check(settings, offline=offline, as_json=as_json))


async def _check(settings: Settings, *, offline: bool, as_json: bool) -> int:
    try:
        config = begin(settings, level="error")
        refuse_unusable(config)
    except ConfigError as error:
        if as_json:
            write_json(checked((), error.problems))
        raise
    findings = (*check_configuration(config), *await check_state(config.state), *await check_cluster(config))
    findings += (*await check_growth(config.stores, engine_for(config.state).catalogue),)
    if not offline:
        findings += (*await check_stores(config.stores.values()), *await _ask(config))
    if as_json:
        write_json(checked(findings))
    else:
        _show(findings)
    return exit_code(findings)


async def _ask(config: Config) -> tuple[Finding, ...]:
    clock, engine = SystemClock(), engine_for(config.state)
    async with (
        looked_into(engine, despite_trouble=True) as journal,  # which the check of the state says
        open_clients(config.panels.values(), clock, say) as clients,
    ):
        coverage, _ = await look(config, clients)  # a panel that does not answer is found by the check itself
        skipped = [_skipped(name, why) for name, why in coverage.skipped.items()]
        known = Remembered(journal.altered, engine.catalogue)
        return (*await check_panels(coverage.config, clients, clock, known), *skipped)


def _skipped(server: str, why: str) -> Finding:
    return Finding(Severity.WARNING, ProblemCode.SKIPPED, f"{server} would be discovered, and is not covered: {why}")


def _show(findings: Sequence[Finding]) -> None:
    rows = ((finding.level.value, _subject(finding), _said(finding)) for finding in findings)
    bad = [sum(finding.level is level for finding in findings) for level in (Severity.ERROR, Severity.WARNING)]
    show(table(("", "what", "found"), rows), cell(f"errors: {bad[0]}, warnings: {bad[1]}", "bold"))


def _subject(finding: Finding) -> str:
    if finding.server is not None:
        return f"server {finding.server}"
    return f"panel {finding.panel}" if finding.panel is not None else "configuration"


def _said(finding: Finding) -> str:
    return f"{finding.text}; {finding.hint}" if finding.hint else finding.text
