"""A policy's valid table, as the values that the rest of the daemon works with."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from daemon.config.alerts import check_names
from daemon.config.policy_tables import PolicyTable
from daemon.config.proof import check_prove, rules_of
from daemon.config.schedule import schedule_of
from daemon.config.stores import check_copied_first, check_store_names, keep_of
from daemon.config.tree import KeyPath, Tree
from daemon.config.values import PolicyConfig, StoreConfig
from daemon.core.calendar import Cron, parse_schedule
from daemon.core.cron_words import steps_beyond
from daemon.core.ignored import leaves_nothing
from daemon.core.model import Scope
from daemon.core.names import Template
from daemon.core.retention import Retention
from daemon.core.units import parse_duration, parse_size

_FIXED_ZONE = re.compile(r"Etc/GMT([+-])([1-9][0-9]?)")
_WITHOUT_SUMMER = {"EST": "America/New_York", "MST": "America/Denver"}  # zones that people take for these
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # how far starts lie apart hardly depends on it


def policy_config(name: str, table: PolicyTable, stores: Mapping[str, StoreConfig]) -> PolicyConfig:
    """Given a policy's valid table and all stores, return its values."""
    return PolicyConfig(
        name=name,
        schedule_text=table.schedule,
        schedule=schedule_of(table.schedule),
        zone=ZoneInfo(table.timezone),
        splay=parse_duration(table.splay),
        scope=Scope(table.scope),
        template=Template.parse(table.name),
        also_own=tuple(map(Template.parse, table.also_own)),
        ignored=tuple(table.ignored),
        retention=_retention(table),
        timeout=parse_duration(table.timeout),
        max_deletions=table.max_deletions,
        max_share=table.max_share,
        node_hold=parse_duration(table.node_hold),
        alerts=None if table.alerts is None else tuple(table.alerts),
        copies=tuple(dict.fromkeys(table.copies)),
        copy_before_delete=tuple(stores[store].rules for store in dict.fromkeys(table.copy_before_delete)),
        uncopied_may_go=table.copy_before_delete_when_full == "make-room",
        unverified_counts=table.copy_before_delete_unverified,
        prove=rules_of(table.prove),
    )


def no_policy() -> PolicyConfig:
    """Return the policy of a server that nobody configured: it deletes nothing and copies nothing."""
    return policy_config("none", PolicyTable(schedule="@daily", scope="own", keep="all"), {})


def _retention(table: PolicyTable) -> Retention:
    """Return the retention; raises ValueError if keys that are valid by themselves contradict each other."""
    return Retention(
        keep=keep_of(table.keep),
        zone=ZoneInfo(table.timezone),
        scope=Scope(table.scope),
        min_good=table.min_good,
        total_size=None if table.total_size == "off" else parse_size(table.total_size),
        failed_after=None if table.failed_after == "never" else parse_duration(table.failed_after),
        suspicious=table.suspicious,
        suspicious_for=parse_duration(table.suspicious_for),
    )


def check_policy(path: KeyPath, table: PolicyTable, tree: Tree) -> None:
    """Note what is wrong or unwise between the keys of one policy, as written or as it applies to a server."""
    try:
        _retention(table)
    except ValueError as error:
        tree.refuse(path, str(error))
    check_names(path, tree)
    check_store_names(path, tree)
    check_copied_first(path, table, tree)
    check_prove(path, table, tree)
    written = tree.values[path[0]][path[1]]
    if "timezone" in written and (found := _FIXED_ZONE.fullmatch(table.timezone)):
        offset = f"{'-' if found[1] == '+' else '+'}{found[2]}"
        tree.warn((*path, "timezone"), f"{table.timezone} is UTC{offset}, since its sign is inverted; is that meant?")
    if "timezone" in written and (city := _WITHOUT_SUMMER.get(table.timezone)):
        tree.warn((*path, "timezone"), f"{table.timezone} has no summer time; is {city} meant?")
    schedule = parse_schedule(table.schedule)
    if isinstance(schedule, Cron) and "schedule" in written:
        for text in steps_beyond(schedule.expression):
            tree.warn((*path, "schedule"), text)
    if (pattern := leaves_nothing(table.ignored)) is not None:
        tree.warn((*path, "ignored"), f'"{pattern}" leaves out everything, so that backups hold next to nothing')
    if parse_duration(table.splay) > _interval(table.schedule, table.timezone):
        tree.warn((*path, "splay"), f"{table.splay} is longer than the time between two starts")


def _interval(text: str, timezone: str) -> timedelta:
    """Return the time between two starts."""
    schedule, zone = schedule_of(text), ZoneInfo(timezone)
    first = schedule.after(_SOME_DAY, zone)
    return schedule.after(first, zone) - first
