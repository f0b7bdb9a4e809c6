"""The environment sets every key, wins over the files, and a misspelt variable is never passed over."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.models import SECTIONS
from daemon.config.tree import variable
from daemon.config.values import DrillConfig
from tests.config.support import ENVIRONMENT, KEY, RIGHT, SIDECAR, UUID, problems, write

VALUES = {
    "url": "https://panel.example.com",
    "api_key": "ptlc_EXAMPLE",
    "api_key_file": "/nowhere",
    "allow_http": "true",
    "servers": "all",
    "backups_per_node": "2",
    "api_reserve": "0.5",
    "discover": '{"match": "*", "exclude": ["test-*"]}',
    "schedule": "every 6h",
    "timezone": "Europe/Berlin",
    "splay": "20m",
    "scope": "own",
    "name": "x-{time}",
    "also_own": '["y-{time}"]',
    "ignored": '["logs/", "a,b"]',
    "keep": '{"last": 3, "within": "30d"}',
    "timeout": "1h",
    "min_good": "2",
    "total_size": "50GiB",
    "failed_after": "never",
    "suspicious": "0",
    "suspicious_for": "7d",
    "max_deletions": "-1",
    "max_share": "0.75",
    "node_hold": "2h",
    "alerts": '["ops"]',
    "type": "webhook",
    "url_file": "/nowhere",
    "events": '["failed", "done"]',
    "id": UUID,
    "panel": "main",
    "policy": "standard",
    "copies": '["nas"]',
    "copy_before_delete": '["nas"]',
    "copy_before_delete_when_full": "make-room",
    "copy_before_delete_unverified": "true",
    "prove": '{"level": "walked", "every": "never"}',
    "server": "spare",
    "from": '["my-server"]',
    "start": "true",
    "watch": "10m",
    "console": "Done (",
    "endpoint": "https://s3.example.com",
    "region": "eu-central-1",
    "access_key_id": "EXAMPLEID",
    "access_key_id_file": "/nowhere",
    "secret_access_key": "EXAMPLEKEY",
    "secret_access_key_file": "/nowhere",
    "session_token": "EXAMPLETOKEN",
    "session_token_file": "/nowhere",
    "rate": "20MiB",
    "encrypt_to": f'["age1{"q" * 58}"]',
    "object_lock": "30d",
    "every": "1d",
    "backfill": "all",
}
OF_OTHER_KINDS = {
    key
    for name in ("service_account", "account_key", "private_key", "passphrase", "password")
    for key in (name, f"{name}_file")
} | {"account_name", "known_hosts_file", "rclone_config_file"}
STORE = {"url": "s3://bucket/prefix", "keep": '{"daily": 14}'}
ALL = {
    variable((section, name, key)): VALUES[key] if section != "stores" else STORE.get(key, VALUES[key])
    for section, name in {
        "panels": "main",
        "policies": "standard",
        "servers": "my-server",
        "alerts": "ops",
        "stores": "nas",
        "drills": "trial",
    }.items()
    for key in SECTIONS[section].model_fields
    if section != "stores" or key not in OF_OTHER_KINDS
}


def only_problem(path: Path | None, **variables: str) -> tuple[str, str, str, str | None]:
    """The one problem that these variables make, beside what is right."""
    (problem,) = problems(path, ENVIRONMENT | {f"PTERO_BACKUPD_{name}": text for name, text in variables.items()})
    assert problem.file == "environment"
    return problem.key, problem.reason, problem.suggestion, problem.value


def test_a_sidecar_needs_no_file() -> None:
    """A panel, a policy and a server, all from the environment."""
    config = load(None, SIDECAR)
    server = config.servers["my-server"]
    assert (server.id, server.panel.url, server.policy.schedule_text) == (UUID, "https://panel.example.com", "every 6h")
    assert server.file == "environment"


def test_every_key_can_be_set() -> None:
    """None is missing, whatever its type."""
    top = {"STATE_DIR": "/state", "SPOOL": "5GiB", "SERVERS__SPARE__ID": "7c41b2e0"}
    config = load(None, ALL | {f"PTERO_BACKUPD_{name}": value for name, value in top.items()})
    server = config.servers["my-server"]
    assert (config.state_dir, config.spool) == (Path("/state"), 5 * 2**30)
    assert (server.panel.backups_per_node, server.panel.reserve) == (2, 0.5)
    assert server.policy.ignored == ("logs/", "a,b")
    assert [template.text for template in server.policy.also_own] == ["y-{time}"]
    assert str(server.policy.retention.keep) == "last=3,within=30d"
    assert (server.policy.max_deletions, server.policy.retention.failed_after) == (-1, None)
    assert server.policy == config.policies["standard"]
    assert config.drills["trial"] == DrillConfig(
        "trial", "spare", ("my-server",), True, timedelta(minutes=10), timedelta(days=1), "Done ("
    )


def test_a_key_in_the_environment_replaces_the_file_s_whole_value(tmp_path: Path) -> None:
    """Of `keep` too: tables are not merged; the table's other keys stay the file's."""
    config = load(write(tmp_path), ENVIRONMENT | {"PTERO_BACKUPD_POLICIES__STANDARD__KEEP": '{"weekly": 4}'})
    assert str(config.policies["standard"].retention.keep) == "weekly=4"
    assert config.policies["standard"].schedule_text == "0 4 * * *"


@pytest.mark.parametrize(
    ("name", "value", "key", "where"),
    [
        ("POLICIES__STANDARD__KEEP", '{"last": 1}', "policies.standard.keep", "over"),
        ("POLICIES__STANDARD__TOTAL_SIZE", "50MB", "policies.standard.total_size", "and not by"),
        ("SERVERS__SURVIVAL__KEEP", '{"last": 1}', "servers.survival.keep", "and not by"),
        ("STORES__NAS__KEEP", '{"last": 1}', "stores.nas.keep", "and not by"),
        ("PANELS__MAIN__URL", "https://other.example.com", "panels.main.url", "over"),
    ],
)
def test_what_the_environment_sets_over_a_file_is_said(
    tmp_path: Path, name: str, value: str, key: str, where: str
) -> None:
    """A forgotten variable decides what goes, and is seen in no file; nothing is "over" a file that lacks the key."""
    path = write(tmp_path, f"{RIGHT}[stores.nas]\nurl = 'file:///srv/copies'\n")
    config = load(path, ENVIRONMENT | {f"PTERO_BACKUPD_{name}": value})
    assert config.warnings == (f"{key}: is set by the environment (PTERO_BACKUPD_{name}), {where} {path}",)


def test_a_secret_and_a_sidecar_are_meant_to_be_in_the_environment(tmp_path: Path) -> None:
    """Nothing is over a file there."""
    assert load(write(tmp_path), ENVIRONMENT).warnings == ()
    assert load(None, SIDECAR).warnings == ()


def test_a_server_of_the_file_is_overridden_by_its_variable(tmp_path: Path) -> None:
    """An underscore in a variable's NAME is a hyphen."""
    path = write(tmp_path, RIGHT.replace("survival", "my-server"))
    config = load(path, ENVIRONMENT | {"PTERO_BACKUPD_SERVERS__MY_SERVER__TIMEOUT": "1h"})
    assert config.servers["my-server"].policy.timeout.total_seconds() == 3600
    assert config.servers["my-server"].id == "1a7ce997"


@pytest.mark.parametrize("name", ["a--b", "a-", "a--id", "port", "my-service-1", "id", "x--keep"])
def test_every_name_has_exactly_one_variable(name: str) -> None:
    """Also one with two hyphens in a row, and one that looks like a key or like what Kubernetes sets."""
    config = load(None, SIDECAR | {variable(("servers", name, "id")): "00000001"})
    assert set(config.servers) == {"my-server", name}


def test_lower_case_variables_count_too(tmp_path: Path) -> None:
    """Otherwise one in lower case would be passed over."""
    config = load(write(tmp_path), ENVIRONMENT | {"ptero_backupd_Servers__survival__timeout": "1h"})
    assert config.servers["survival"].policy.timeout.total_seconds() == 3600


def test_two_variables_for_one_key_are_refused(tmp_path: Path) -> None:
    """Nobody could say which counts."""
    key, reason, _, _ = only_problem(write(tmp_path), STATE_DIR="/a", state_dir="/b")
    assert key == "PTERO_BACKUPD_state_dir"
    assert reason == "sets the same key as PTERO_BACKUPD_STATE_DIR"


@pytest.mark.parametrize(
    "name",
    [
        "CONFIG",
        "PORT",
        "PORT_9187_TCP",
        "PORT_9187_TCP_ADDR",
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_METRICS",
        "WEB_SERVICE_HOST",
        "WEB_PORT_80_TCP_PROTO",
    ],
)
def test_link_variables_are_no_configuration(tmp_path: Path, name: str) -> None:
    """Kubernetes and Docker set them for a service of this name, and nobody can help it."""
    path = write(tmp_path)
    load(path, ENVIRONMENT | {f"PTERO_BACKUPD_{name}": str(path)})


def test_what_has_another_prefix_is_left_alone(tmp_path: Path) -> None:
    """The environment is full of things."""
    load(write(tmp_path), ENVIRONMENT | {"PTERO_BACKUP_STATE_DIR": "x", "PTERO_BACKUPD": "x", "STATE_DIR": "x"})


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("STAET_DIR", "did you mean PTERO_BACKUPD_STATE_DIR?"),
        ("PANEL__MAIN__URL", "did you mean PTERO_BACKUPD_PANELS__MAIN__URL?"),
        ("PANELS__MAIN__API_KYE", "did you mean PTERO_BACKUPD_PANELS__MAIN__API_KEY?"),
        ("SERVERS__MY_SERVER__POLICI", "did you mean PTERO_BACKUPD_SERVERS__MY_SERVER__POLICY?"),
        ("POLICIES__STANDARD__KEEP__LAST", """PTERO_BACKUPD_POLICIES__STANDARD__KEEP='{"last": 3}'"""),
        ("SERVER__PORTAL__ID", "did you mean PTERO_BACKUPD_SERVERS__PORTAL__ID?"),
        ("PANELS_MAIN_URL", "parts are joined by two underscores"),
        ("PANELS__MAIN", "parts are joined by two underscores"),
        ("PANELS", "parts are joined by two underscores"),
        ("PANELS__MAIN__XYZZY", "parts are joined by two underscores"),
        ("", "parts are joined by two underscores"),
        ("SERVERS__URL__", "parts are joined by two underscores"),
    ],
)
def test_a_variable_that_sets_nothing_is_refused(tmp_path: Path, name: str, suggestion: str) -> None:
    """Never with its value, which may be a key."""
    key, reason, said, value = only_problem(write(tmp_path), **{name: "hunter2"})
    assert (key, reason, value) == (f"PTERO_BACKUPD_{name}", "no such key", None)
    assert suggestion in said


@pytest.mark.parametrize(
    ("name", "text", "key", "reason"),
    [
        ("POLICIES__STANDARD__KEEP", "last=3", "policies.standard.keep", 'must be "all" or a table of rules'),
        ("POLICIES__STANDARD__KEEP", '{"lst": 3}', "policies.standard.keep.lst", "unknown key"),
        ("POLICIES__STANDARD__KEEP", "[" * 100_000, "policies.standard.keep", 'must be "all"'),
        ("POLICIES__STANDARD__IGNORED", "logs/", "policies.standard.ignored", "must be a list"),
        ("POLICIES__STANDARD__IGNORED", "[" * 900 + "]" * 900, "policies.standard.ignored", "must be text"),
        ("POLICIES__STANDARD__MIN_GOOD", "two", "policies.standard.min_good", "must be a whole number"),
        ("POLICIES__STANDARD__MIN_GOOD", "", "policies.standard.min_good", "must be a whole number"),
        ("POLICIES__STANDARD__SUSPICIOUS", "NaN", "policies.standard.suspicious", "must be a number"),
        ("POLICIES__STANDARD__TIMEOUT", "", "policies.standard.timeout", "is not a duration"),
        ("SERVERS__SURVIVAL__PANEL", "", "servers.survival.panel", "there is no such panel"),
        ("STATE_DIR", "", "state_dir", "must be the path of a folder"),
        ("STATE_DIR", "state", "state_dir", "must be an absolute path"),
        ("SERVERS__-X__ID", "1a7ce998", "servers.-x", "a name is made of"),
        ("SERVERS__SURVIVAL__POLICY", "caf\udce9", "PTERO_BACKUPD_SERVERS__SURVIVAL__POLICY", "UTF-8"),
        ("CAF\udce9", "", "PTERO_BACKUPD_CAF\\udce9", "no such key"),
    ],
)
def test_a_wrong_value_is_told_by_its_key(tmp_path: Path, name: str, text: str, key: str, reason: str) -> None:
    """As for a file, with "environment" in its place."""
    told, said, _, _ = only_problem(write(tmp_path), **{name: text})
    assert told == key
    assert reason in said


def test_json_is_read_as_toml_would_be() -> None:
    """The same rules, whichever way they come."""
    keep = json.dumps({"last": 3, "weekly": -1, "within_monthly": "1y"})
    config = load(None, SIDECAR | {"PTERO_BACKUPD_POLICIES__STANDARD__KEEP": keep})
    assert str(config.policies["standard"].retention.keep) == "last=3,weekly=-1,within_monthly=1y"


def test_the_values_above_hold_every_key() -> None:
    """Otherwise a new key could be forgotten in the test of all keys."""
    assert set(VALUES) | OF_OTHER_KINDS == {key for model in SECTIONS.values() for key in model.model_fields}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("POLICIES__STANDARD__SCHEDULE", "'0 4 * * *'"),
        ("POLICIES__STANDARD__NAME", '"auto-{time}"'),
        ("POLICIES__STANDARD__MAX_DELETIONS", '"5"'),
        ("POLICIES__STANDARD__MAX_DELETIONS", "'5'"),
        ("POLICIES__STANDARD__KEEP", "'{\"last\": 3}'"),
        ("PANELS__MAIN__ALLOW_HTTP", '"true"'),
        ("PANELS__MAIN__URL", '"https://panel.example.com"'),
        ("PANELS__MAIN__API_KEY", f'"{KEY}"'),
        ("STATE_DIR", '"none"'),
    ],
)
def test_quotes_that_an_env_file_kept_are_named(key: str, text: str) -> None:
    """Docker's --env-file keeps them; the value inside them is not told to be wrong."""
    name = f"PTERO_BACKUPD_{key}"
    (problem,) = problems(None, SIDECAR | {name: text})
    assert (problem.key, problem.value, problem.reason) == (name, None, "the quotes are a part of the value")
    assert KEY not in str(problem)


def test_json_that_is_text_may_stand_in_quotes() -> None:
    """They are JSON's own."""
    config = load(None, SIDECAR | {"PTERO_BACKUPD_POLICIES__STANDARD__KEEP": '"all"'})
    assert config.policies["standard"].retention.keep.everything


def test_a_quoted_path_of_the_file_is_told(tmp_path: Path) -> None:
    """There is no such file, and this is why."""
    quoted = f'"{write(tmp_path)}"'
    (problem,) = (found for found in problems(None, {"PTERO_BACKUPD_CONFIG": quoted}) if not found.key)
    assert problem.suggestion.startswith("the quotes are a part of the value")
