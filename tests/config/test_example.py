"""The example, the page and the schema hold every key that there is, and nothing else."""

import re
import tomllib
from pathlib import Path

import pytest

from daemon.config.errors import ConfigError
from daemon.config.load import load
from daemon.config.models import (
    SECRETS,
    SECTIONS,
    AlertTable,
    ClusterTable,
    DiscoverTable,
    Document,
    HttpTable,
    PanelTable,
    ProofTable,
    StoreTable,
)
from daemon.config.policy_tables import KeepTable, PolicyTable, ProveTable, ServerIdentity
from daemon.config.schema import schema
from daemon.config.table import Table
from tests.config.support import ENVIRONMENT, KEY, RIGHT, write

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "config.example.toml").read_text()
PAGE = (ROOT / "docs/configuration.md").read_text()
TABLES = {
    "`state_dir`": {"state_dir": Document.model_fields["state_dir"]},
    "`spool`": {"spool": Document.model_fields["spool"]},
    "Panels": PanelTable.model_fields,
    "Which servers are discovered": DiscoverTable.model_fields,
    "Policies": PolicyTable.model_fields,
    "What to keep": KeepTable.model_fields,
    "What to prove": ProveTable.model_fields,
    "Servers": ServerIdentity.model_fields,
    "HTTP": HttpTable.model_fields,
    "Cluster": ClusterTable.model_fields,
    "Alerts": AlertTable.model_fields,
    "Proofs": ProofTable.model_fields,
    "Stores": StoreTable.model_fields,
}
IN_WORDS = {
    "state_dir": "`$STATE_DIRECTORY`, else the user's state folder",
    "api_key": "none",
    "api_key_file": "none",
    "discover": "none",
    "prove": "none",
    "listen": "none",
    "external_url": "none",
    "token": "none",
    "token_file": "none",
    "url": "none",
    "url_file": "none",
    "alerts": "all of them",
    "events": 'all but `"done"`',
    "panel": "the only one",
    "policy": "the only one",
    "console": "none",
} | dict.fromkeys(KeepTable.model_fields, "not set")

IN_WORDS_THERE = {("Stores", "every"): "each one", ("Cluster", "member"): "the host's name"} | {
    ("Stores", key): "none"
    for key, field in StoreTable.model_fields.items()
    if field.default is None and key != "every"
}
SECRETS_OF_THE_EXAMPLE = {
    "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY,
    "PTERO_BACKUPD_ALERTS__OPS__URL": "https://hooks.example.com/secret",
    "PTERO_BACKUPD_STORES__OFFSITE__ACCESS_KEY_ID": "EXAMPLEID",
    "PTERO_BACKUPD_STORES__OFFSITE__SECRET_ACCESS_KEY": "EXAMPLEKEY",
}


def rows(heading: str) -> dict[str, list[str]]:
    """The first table under a heading of the page: key to its other cells."""
    section = re.split(rf"^##+ {re.escape(heading)}", PAGE, maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^##", section, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {key.strip("`"): cells for key, *cells in found}


def test_the_example_loads(tmp_path: Path) -> None:
    """The example is accepted as it stands, given a key."""
    config = load(write(tmp_path, EXAMPLE), SECRETS_OF_THE_EXAMPLE)
    assert set(config.servers) == {"survival", "creative", "spare"}
    assert config.warnings == ()


def test_the_example_holds_every_key() -> None:
    """No key of the model is missing from the example, but the secrets that must not be in it."""
    example = tomllib.loads(EXAMPLE)
    written = {
        "panels": set(example["panels"]["main"]) | {"api_key"},
        "policies": set(example["policies"]["standard"]),
        "servers": set(example["servers"]["survival"]) | set(PolicyTable.model_fields),
        "alerts": set(example["alerts"]["ops"]) | {"url"},
        "drills": set(example["drills"]["spare"]) | commented("drills.spare"),
        "stores": set(example["stores"]["offsite"]) | {*SECRETS["stores"], *commented("stores.offsite")},
    }
    assert set(example) == set(Document.model_fields)
    assert written == {section: set(model.model_fields) for section, model in SECTIONS.items()}
    assert set(example["panels"]["main"]["discover"]) == set(DiscoverTable.model_fields)
    assert set(example["http"]) | {"token", "token_file"} == set(HttpTable.model_fields)
    assert commented("cluster") | {"url"} == set(ClusterTable.model_fields)
    assert set(example["policies"]["standard"]["keep"]) == set(KeepTable.model_fields)
    assert set(example["policies"]["standard"]["prove"]) == set(ProveTable.model_fields)
    assert set(example["proof"]) == set(ProofTable.model_fields)


def commented(table: str) -> set[str]:
    """The keys of a table of the example that stand there as comments."""
    section = EXAMPLE.partition(f"[{table}]")[2].partition("\n[")[0]
    return set(re.findall(r"^# (\w+) = ", section, re.MULTILINE))


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_tells_every_key_with_its_default(heading: str) -> None:
    """Each table of the page has the model's keys in the model's order, each with its default and a full row."""
    fields = TABLES[heading]
    assert set(rows(heading)) == set(fields)
    for key, (kind, default, meaning, example) in rows(heading).items():
        in_words = IN_WORDS_THERE.get((heading, key)) or IN_WORDS.get(key)
        expected = "required" if fields[key].is_required() else in_words or toml(fields[key].default)
        assert default == expected, key
        assert kind
        assert meaning.endswith(".")
        assert example.startswith("`")


def toml(value: object) -> str:
    """A default as the page writes it."""
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{str(value).lower()}`"


def test_the_page_s_variables_are_a_sidecar() -> None:
    """What the page shows of the environment is all that is needed."""
    shown = dict(re.findall(r"^(PTERO_BACKUPD_\w+)=(.*)$", PAGE, flags=re.MULTILINE))
    config = load(None, {"HOME": "/home/operator"} | shown)
    assert config.servers["survival"].policy.ignored == ("logs/", "*.tmp")


def test_the_page_s_refusal_is_a_real_one(tmp_path: Path) -> None:
    """To the letter, but for the path."""
    text = RIGHT.replace("keep =", 'timezone = "Berlin"\nkeep =').replace("daily", "weekley")
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as refusal:
        load(path, ENVIRONMENT)
    assert refusal.value.text.replace(str(path), "/etc/ptero-backupd/config.toml") in PAGE


def test_the_schema_describes_every_key() -> None:
    """Editors are told what each key is for, which keys there are, and that api_key is none of a file's."""
    document = schema()
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    tables = document["$defs"]
    alone: dict[str, type[Table]] = {"http": HttpTable, "cluster": ClusterTable, "keep": KeepTable, "": DiscoverTable}
    alone |= {"proof": ProofTable, "prove": ProveTable}
    models = {**SECTIONS, **alone}
    for section, model in models.items():
        written = set(model.model_fields) - set(SECRETS.get(section, ()))
        assert set(tables[model.__name__]["properties"]) == written
    assert set(tables["ServerTable"]["properties"]) == set(ServerIdentity.model_fields) | set(PolicyTable.model_fields)
    for table in [*tables.values(), document]:
        assert table["additionalProperties"] is False
        assert all(key["description"] for key in table["properties"].values())


def test_the_schema_has_no_null() -> None:
    """TOML has none, so that an editor must not offer one; and a server's override has no default."""
    tables = schema()["$defs"]
    assert "null" not in str(schema())
    assert "None" not in str(schema())
    assert tables["PolicyTable"]["properties"]["timeout"]["default"] == "6h"
    assert "default" not in tables["ServerTable"]["properties"]["timeout"]
    assert tables["ServerTable"]["required"] == ["id"]
    assert tables["KeepTable"]["minProperties"] == 1
    assert tables["PolicyTable"]["required"] == ["schedule", "scope", "keep"]
