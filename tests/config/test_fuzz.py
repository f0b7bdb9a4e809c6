"""Whatever is written, the answer is a configuration or a refusal, never a crash."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.config.errors import ConfigError
from daemon.config.first import quoted
from daemon.config.load import load
from daemon.config.models import SECTIONS
from daemon.config.policy_tables import KeepTable
from daemon.config.values import Config
from tests.config.support import ENVIRONMENT, RIGHT, SIDECAR

KEYS = sorted({key for model in SECTIONS.values() for key in model.model_fields} | set(KeepTable.model_fields))
texts = st.text() | st.sampled_from(
    ["", "all", "own", "6h", "0 4 * * *", "every 1s", "UTC", "x-{time}", "1a7ce997", "-1"]
)
scalars = st.one_of(
    texts.map(lambda text: quoted(text.encode("utf-8", "replace").decode())),
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(["true", "2026-04-01", "2026-04-01T04:00:00Z", "04:00:00", "[]", "{}", "inf"]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        )
    ),
    max_leaves=5,
)
SECTION_WORDS = ["PANELS", "POLICIES", "SERVERS", "STATE_DIR", ""]
variables = st.one_of(
    st.tuples(st.sampled_from(SECTION_WORDS), st.text(), st.sampled_from(KEYS).map(str.upper)).map("__".join), st.text()
).map(lambda rest: f"PTERO_BACKUPD_{rest}")


def configuration_or_refusal(path: Path | None, environ: dict[str, str]) -> None:
    """Load, and look at whatever comes of it."""
    try:
        config = load(path, environ)
    except ConfigError as error:
        refusal = error
    else:
        assert isinstance(config, Config)
        return
    assert refusal.problems
    assert all(problem.file and problem.reason for problem in refusal.problems)
    refusal.text.encode()  # it can be printed


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all examples, since a folder for each would be slow."""
    return tmp_path_factory.mktemp("fuzz") / "config.toml"


@settings(max_examples=150, deadline=None)
@given(content=st.binary())
@example(b"\xef\xbb\xbf")
@example(b"a = " + b"[" * 3000)
@example(b"a = " + b'{ "b" = ' * 3000)
@example(b"[" + b".".join([b"a"] * 3000) + b"]\n")
@example(b"[panels.main]\nurl = " + b"[" * 200 + b"]" * 200)
def test_any_bytes_as_a_file(file: Path, content: bytes) -> None:
    """As a disk may give them back."""
    file.write_bytes(content)
    configuration_or_refusal(file, ENVIRONMENT)


@settings(max_examples=300, deadline=None)
@given(
    where=st.sampled_from(["panels.main", "policies.standard", "servers.survival"]),
    key=st.sampled_from(KEYS),
    value=values,
)
@example("policies.standard", "schedule", '"0 0 30 2 *"')
@example("policies.standard", "schedule", '"every 5217w"')
@example("policies.standard", "timezone", '"\\u0000"')
@example("policies.standard", "timezone", f'"{"x" * 5000}"')
@example("panels.main", "url", '"https://[::1%eth0]:1"')
@example("panels.main", "url", '"http://[v1.x]"')
@example("servers.survival", "keep", '{ within = "999999999y" }')
def test_any_value_of_any_key(file: Path, where: str, key: str, value: str) -> None:
    """Whatever its type."""
    lines = [line for line in RIGHT.splitlines() if not line.startswith(f"{key} =")]
    place = lines.index(f"[{where}]") + 1
    file.write_text("\n".join([*lines[:place], f"{key} = {value}", *lines[place:]]))
    configuration_or_refusal(file, ENVIRONMENT)


@settings(max_examples=300, deadline=None)
@given(name=variables, value=texts | values)
@example("PTERO_BACKUPD_POLICIES__STANDARD__KEEP", '{"last":' * 600 + "1" + "}" * 600)
@example("PTERO_BACKUPD_POLICIES__STANDARD__KEEP", '{"last":' * 200 + "1" + "}" * 200)
@example("PTERO_BACKUPD_POLICIES__STANDARD__ALSO_OWN", "[" * 400 + "]" * 400)
@example("PTERO_BACKUPD_POLICIES__STANDARD__MIN_GOOD", "9" * 10_000)
@example("PTERO_BACKUPD_POLICIES__STANDARD__MAX_DELETIONS", "9" * 4000)
@example("PTERO_BACKUPD_STATE_DIR", "\0")
@example("PTERO_BACKUPD_PANELS__MAIN__API_KEY_FILE", "/\0")
@example("PTERO_BACKUPD_CONFIG", "\0")
@example("CREDENTIALS_DIRECTORY", "\0")
def test_any_variable(name: str, value: str) -> None:
    """Whatever it is called and holds."""
    without_key = {key: text for key, text in SIDECAR.items() if "FILE" not in name or "API_KEY" not in key}
    configuration_or_refusal(None, without_key | {name: value})
