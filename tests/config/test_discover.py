"""What is discovered: written right, refused with what would be, and enough to need no server."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.core.model import Server
from tests.config.support import RIGHT, SIDECAR, loaded, problems, write

NO_SERVERS = RIGHT.partition("[servers")[0]
EVERYTHING = f'{NO_SERVERS}[panels.main.discover]\nmatch = "*"\n'
SECOND_POLICY = '\n[policies.greedy]\nschedule = "@daily"\nscope = "all"\nkeep = {last = 1}\n'


def test_servers_need_not_be_configured_where_they_are_discovered(tmp_path: Path) -> None:
    """One pattern is enough; all else has a default."""
    found = loaded(tmp_path, EVERYTHING).discover["main"]
    assert found.selection.holds(Server("u", "i", "any", "node", 1))
    assert (found.policy.name, found.every) == ("standard", timedelta(minutes=15))
    assert loaded(tmp_path, RIGHT).discover == {}


def test_a_sidecar_discovers_by_a_variable() -> None:
    """The table is set whole, as JSON."""
    environ = {name: value for name, value in SIDECAR.items() if "SERVERS" not in name}
    table = {"match": ["a*", "node:b"], "exclude": "c*", "policy": "standard", "every": "1h"}
    config = load(None, {**environ, "PTERO_BACKUPD_PANELS__MAIN__DISCOVER": json.dumps(table)})
    assert (len(config.discover["main"].selection.match), config.discover["main"].every) == (2, timedelta(hours=1))


@pytest.mark.parametrize(
    ("wrong", "key", "reason", "suggestion"),
    [
        ('match = ""', "match", "matches nothing", ""),
        ("match = 7", "match", "must be a list", ""),
        ('match = "*"\nevery = "0s"', "every", "longer than nothing", ""),
        ('match = "*"\nmach = "*"', "mach", "unknown key", "did you mean match?"),
        ('exclude = "x"', "match", "is required", ""),
        ('match = "*"\npolicy = "greedi"', "policy", "no such policy", "did you mean greedy?"),
        ('match = "*"\npolicy = "greedy"', "policy", 'has scope "all"', "own"),
        ('match = "*"', "policy", "more than one policy", "standard, greedy"),
    ],
)
def test_a_mistake_is_refused_with_its_key(tmp_path: Path, wrong: str, key: str, reason: str, suggestion: str) -> None:
    """A policy that deletes what others made is followed by no server that nobody has looked at."""
    text = f"{NO_SERVERS}{SECOND_POLICY}[panels.main.discover]\n{wrong}\n"
    (problem,) = problems(write(tmp_path, text))
    assert problem.key == f"panels.main.discover.{key}"
    assert reason in problem.reason
    assert suggestion in problem.suggestion


def test_a_policy_whose_names_would_be_too_long_is_refused(tmp_path: Path) -> None:
    """{server} is eight characters long."""
    text = EVERYTHING.replace('scope = "own"', f'scope = "own"\nname = "{"x" * 160}-{{server}}-{{time}}-{{id}}"')
    (problem,) = problems(write(tmp_path, text))
    assert "longer than panels take" in problem.reason


def test_a_policy_that_is_wrong_is_told_once(tmp_path: Path) -> None:
    """And is no crash: what follows from it is not looked at."""
    (problem,) = problems(write(tmp_path, EVERYTHING.replace("0 4 * * *", "0 4 * *")))
    assert problem.key == "policies.standard.schedule"


def test_a_variable_for_one_key_of_the_table_is_told_how_to_set_it_whole() -> None:
    """As with keep."""
    (problem,) = problems(None, {**SIDECAR, "PTERO_BACKUPD_PANELS__MAIN__DISCOVER__MATCH": "*"})
    assert """PTERO_BACKUPD_PANELS__MAIN__DISCOVER='{"match": "…"}'""" in problem.suggestion
