"""What members of a cluster compare of their configurations."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.opinion import key_of, keys_of, opinion_of
from daemon.core.agreement import disagreement, store_key
from daemon.core.model import Server
from daemon.fleet.discovery import covered
from tests.config.support import write

KEY = "ptlc_EXAMPLE-of-a-key"
TEXT = """\
[panels.main]
url = "https://panel.example.com"
[stores.nas]
url = "file:///srv/nas"
[policies.p]
schedule = "@daily"
scope = "own"
keep = { last = 3 }
copies = ["nas"]
[servers.a]
id = "0000000a"
[servers.b]
id = "0000000b"
keep = { last = 9 }
"""


def differ(folder: Path, *changes: tuple[str, str], environment: dict[str, str] | None = None) -> set[str]:
    """Where one that has the text differs from one that has it changed so."""
    environ = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY, "STATE_DIRECTORY": str(folder)}
    before = load(write(folder, TEXT), environ)
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    after = load(write(folder, text), environ | (environment or {}))
    return set(disagreement([opinion_of(before), opinion_of(after)]).keys)


A, B = "https://panel.example.com 0000000a", "https://panel.example.com 0000000b"


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("last = 3", "last = 4", {A}),
        ("last = 9", "last = 8", {B}),
        ('scope = "own"', 'scope = "all"', {A, B}),
        ("[servers.a]", "[servers.other]", {A}),
        ('[servers.b]\nid = "0000000b"\nkeep = { last = 9 }\n', "", {B}),
        ('nas"\n[policies', 'nas"\nkeep = { last = 3 }\n[policies', {store_key("nas")}),
        ('nas"\n[policies', 'nas"\nmax_deletions = 3\n[policies', {store_key("nas")}),
        ("0000000a", "0000000A-0000-4000-8000-000000000000", set()),
        ("file:///srv/nas", "file:///mnt/nas", set()),
    ],
)
def test_they_differ_on_what_decides_and_nothing_else(tmp_path: Path, old: str, new: str, where: set[str]) -> None:
    """Whether a server's policy, its name or its store's rules; an address may be another on each machine."""
    assert differ(tmp_path, (old, new)) == where


def test_the_same_configuration_gives_the_same_opinion_and_no_secret_matters(tmp_path: Path) -> None:
    """Whatever key each member has."""
    assert differ(tmp_path, environment={"PTERO_BACKUPD_PANELS__MAIN__API_KEY": "ptlc_EXAMPLE-of-another"}) == set()


def test_a_panel_of_another_name_is_a_difference(tmp_path: Path) -> None:
    """Its nodes are parts of their own, so that two members would act for each of its servers."""
    environ = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY, "STATE_DIRECTORY": str(tmp_path)}
    config = load(write(tmp_path, TEXT), environ)
    server = config.servers["a"]
    other = replace(server, panel=replace(server.panel, name="other"))
    servers = {**config.servers, "a": other}
    assert disagreement([opinion_of(config), opinion_of(replace(config, servers=servers))]).keys == {A}


FOUND = "panels.main.discover"
DISCOVER = TEXT + '[panels.main.discover]\nmatch = "*"\npolicy = "p"\n'
UUID = "0000000c-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("", "", set()),
        ('match = "*"', 'match = "a*"', {FOUND}),
        ('match = "*"', 'match = "*"\nevery = "1h"', set()),
        ("last = 3", "last = 4", {A, FOUND}),
        (DISCOVER.removeprefix(TEXT), "", {FOUND}),
        ("[servers.b]", '[servers.c]\nid = "0000000c"\n[servers.b]', {"https://panel.example.com 0000000c"}),
    ],
)
def test_discovered_servers_are_compared_by_what_finds_them(
    tmp_path: Path, old: str, new: str, where: set[str]
) -> None:
    """A member that has just started knows of none, and one that cannot reach the panel never will."""
    environ = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY, "STATE_DIRECTORY": str(tmp_path)}
    config = load(write(tmp_path, DISCOVER), environ)
    in_force = covered(config, {"main": [Server(UUID, "0000000c", "Creative", "n1", 5)]}).config
    started = load(write(tmp_path, DISCOVER.replace(old, new, 1)), environ)
    keys = disagreement([opinion_of(in_force), opinion_of(started)]).keys
    assert keys == where
    assert (not keys.isdisjoint(keys_of(in_force.servers["0000000c"]))) == bool(where)
    assert keys_of(in_force.servers["a"]) == (A,)


def test_nothing_in_a_policy_is_told_in_an_order_that_another_process_would_not_have(tmp_path: Path) -> None:
    """Sets are, since texts hash differently in each."""
    environ = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY, "STATE_DIRECTORY": str(tmp_path)}
    config = load(write(tmp_path, TEXT), environ)
    told = repr([one.policy for one in config.servers.values()] + [config.stores["nas"].rules])
    assert [part for part in ("frozenset(", "{", " at 0x") if part in told.replace("-{server}-{time}-{id}", "")] == []
    assert key_of(config.servers["b"]) in opinion_of(config).rules
