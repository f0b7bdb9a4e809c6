"""Whatever the configuration, the environment and the files they name hold: values, or a refusal that says why."""

import json
import math
import os
import tomllib
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.errors import ConfigError
from daemon.config.load import load
from daemon.config.models import SECTIONS, TABLES
from tests.fuzz.mutate import anything, damaged, mutated, toml_only
from tests.fuzz.support import KEY, Ran, examples, run, sound

EXAMPLE = Path("config.example.toml").read_bytes()
RIGHT: dict[str, Any] = tomllib.loads(EXAMPLE.decode())
SECRETS = {
    "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY,
    "PTERO_BACKUPD_ALERTS__OPS__URL": "https://ops.example.com/x",
    "PTERO_BACKUPD_STORES__OFFSITE__ACCESS_KEY_ID": "EXAMPLEID",
    "PTERO_BACKUPD_STORES__OFFSITE__SECRET_ACCESS_KEY": "EXAMPLEKEY",
}
KEYS = sorted(
    f"PTERO_BACKUPD_{'__'.join(path)}".upper()
    for section, model in {**SECTIONS, **TABLES}.items()
    for key in model.model_fields
    for path in (
        [(section, key)] if section in TABLES else [(section, name, key) for name in ("MAIN", "STANDARD", "X_Y")]
    )
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples."""
    return tmp_path_factory.mktemp("fuzz")


def looked_at(folder: Path, environ: dict[str, str] | None = None) -> Ran:
    """What `check --offline` says, in both forms."""
    command = ("--config", str(folder / "config.toml"), "check", "--offline")
    shown, as_json = (sound(run(*command, *more, environ=SECRETS | (environ or {}))) for more in ((), ("--json",)))
    assert shown.code == as_json.code
    assert (shown.code == 2) == bool(json.loads(as_json.out)["problems"])
    return shown


def refused_or_not(file: Path | None, environ: dict[str, str]) -> None:
    """The same without the command line, which is quicker."""
    try:
        load(file, environ)
    except ConfigError as error:
        refusal = error
    else:
        return
    assert refusal.problems
    assert all(problem.file and problem.reason for problem in refusal.problems)
    assert KEY not in refusal.text
    refusal.text.encode()  # it can be printed


def toml(value: Any) -> str:
    """Any value as TOML; what it has no form for is left out or becomes text."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan" if math.isnan(value) else repr(value))
        case int():
            return str(value)
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{_text(key)} = {toml(inner)}' for key, inner in value.items())}}}"
        case _:
            return value.isoformat() if isinstance(value, date | time) else _text(str(value))


def _text(text: str) -> str:
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{escaped}"'.encode("utf-8", "replace").decode()


def document(values: dict[str, Any]) -> bytes:
    """A whole file, a line for each key of the top."""
    return "".join(f"{_text(key)} = {toml(value)}\n" for key, value in values.items()).encode()


@examples(25)
@given(content=st.binary() | damaged(EXAMPLE) | damaged(EXAMPLE, most=40))
def test_any_bytes_and_a_damaged_file(folder: Path, content: bytes) -> None:
    """As a disk may give them back."""
    (folder / "config.toml").write_bytes(content)
    looked_at(folder)


@examples(80)
@given(changed=mutated(RIGHT, anything | toml_only))
def test_a_right_file_that_is_wrong_in_a_few_places(folder: Path, changed: Any) -> None:
    """Any value at any key, of any type; keys gone, renamed and in other tables."""
    (folder / "config.toml").write_bytes(document(changed) if isinstance(changed, dict) else b"")
    refused_or_not(folder / "config.toml", {"HOME": "/home/operator", **SECRETS})


@examples(15)
@given(changed=mutated(RIGHT, anything | toml_only))
def test_the_command_line_says_the_same(folder: Path, changed: Any) -> None:
    """And shows nothing that a terminal obeys."""
    (folder / "config.toml").write_bytes(document(changed) if isinstance(changed, dict) else b"")
    looked_at(folder)


@examples(80)
@given(
    given=st.dictionaries(
        st.sampled_from(KEYS) | st.text(max_size=20).map(lambda rest: f"PTERO_BACKUPD_{rest}"),
        st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
        | anything.map(json.dumps)
        | st.sampled_from(["0 4 * * *", "own", "1a7ce997", "https://panel.example.com", '{"last": 3}', "x" * 100_000]),
        max_size=4,
    )
)
def test_any_variables(folder: Path, given: dict[str, str]) -> None:
    """Of every key that there is and of others, with any bytes that an environment can hold."""
    (folder / "config.toml").write_bytes(EXAMPLE)
    for file in (folder / "config.toml", None):
        refused_or_not(file, {"HOME": "/home/operator", **SECRETS, **given})


@examples(12)
@given(raw=st.binary(max_size=40), key=st.sampled_from(KEYS))
def test_a_variable_of_any_bytes_before_the_command_line(folder: Path, raw: bytes, key: str) -> None:
    """What is no UTF-8 included."""
    (folder / "config.toml").write_bytes(EXAMPLE)
    looked_at(folder, {key: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")})


@examples(25)
@given(content=st.binary() | st.sampled_from([b"\n" * 70_000, b"x" * 70_000, b"\xef\xbb\xbfptlc_x", b"\x1b[2J"]))
def test_any_bytes_as_a_key_file(folder: Path, content: bytes) -> None:
    """They are never shown, and none of them reaches a terminal."""
    (folder / "key").write_bytes(content)
    (folder / "key").chmod(0o600)
    text = EXAMPLE.replace(b"/etc/ptero-backupd/main.key", b"key")
    (folder / "config.toml").write_bytes(text)
    others = {key: value for key, value in SECRETS.items() if "PANELS" not in key}
    ran = sound(run("--config", str(folder / "config.toml"), "check", "--offline", environ=others))
    shown = content.decode("utf-8", "replace").strip()
    assert len(shown) < 9 or shown not in ran.out + ran.err


def odd_files(folder: Path) -> Iterator[Path]:
    """What can stand where a file belongs."""
    for name in ("folder", "loop", "nowhere", "pipe", "huge", "device"):
        path = folder / f"{name}.toml"
        match name:
            case "folder":
                path.mkdir()
            case "loop":
                path.symlink_to(path.name)
            case "nowhere":
                path.symlink_to("nothing")
            case "pipe":
                os.mkfifo(path)
            case "huge":
                path.touch()
                os.truncate(path, 2**40)
            case _:
                path.symlink_to("/dev/zero")
        yield path


def test_what_is_no_file_is_refused_wherever_a_file_belongs(tmp_path: Path) -> None:
    """As the configuration, beside it, and as a key: nobody waits for a pipe, or reads a device to its end."""
    (tmp_path / "conf.d").mkdir()
    for path in odd_files(tmp_path):
        assert sound(run("--config", str(path), "check", "--offline")).code == 2
        (tmp_path / "config.toml").write_bytes(EXAMPLE)
        beside = path.rename(tmp_path / "conf.d" / path.name)
        assert f"{beside}\n" in looked_at(tmp_path).err
        named = beside.rename(tmp_path / path.name)
        (tmp_path / "config.toml").write_bytes(EXAMPLE.replace(b"/etc/ptero-backupd/main.key", bytes(named)))
        others = {key: value for key, value in SECRETS.items() if "PANELS" not in key}
        ran = sound(run("--config", str(tmp_path / "config.toml"), "check", "--offline", environ=others))
        assert ran.code == 2
        assert "the key file" in ran.err


def test_a_folder_beside_it_that_is_none(tmp_path: Path) -> None:
    """A file, a pipe, or a link that leads nowhere, called conf.d."""
    (tmp_path / "config.toml").write_bytes(EXAMPLE)
    for path in odd_files(tmp_path):
        path.rename(tmp_path / "conf.d")
        code = looked_at(tmp_path).code
        assert code == (0 if path.stem == "folder" else 2)
        (tmp_path / "conf.d").rename(tmp_path / path.stem)
