"""The panel's key: where it comes from, what is wrong with one, and that nothing ever shows it."""

from pathlib import Path

import pytest

from daemon.config.load import load
from tests.config.support import ENVIRONMENT, KEY, RIGHT, loaded, problems, write

HOME = {"HOME": "/home/operator"}
FILE, CREDENTIAL = KEY + "F", KEY + "C"
WITH_FILE = RIGHT.replace('.com"\n', '.com"\napi_key_file = "main.key"\n', 1)


def key_file(folder: Path, content: str | bytes = FILE, mode: int = 0o600) -> Path:
    """A key file beside the configuration."""
    path = folder / "main.key"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def credential(folder: Path) -> dict[str, str]:
    """What systemd sets for LoadCredential=panels.main.api_key:…"""
    (folder / "panels.main.api_key").write_text(f"{CREDENTIAL}\n")
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def test_the_first_of_environment_credential_and_file_is_taken(tmp_path: Path) -> None:
    """The order of the contract; what comes later is not even read."""
    path = write(tmp_path, WITH_FILE)
    key_file(tmp_path)
    from_systemd = HOME | credential(tmp_path)
    for environ, key in ((HOME, FILE), (from_systemd, CREDENTIAL), (ENVIRONMENT | from_systemd, KEY)):
        assert load(path, environ).panels["main"].api_key.get_secret_value() == key
    (tmp_path / "main.key").unlink()
    assert load(path, from_systemd).panels["main"].api_key.get_secret_value() == CREDENTIAL


def test_a_credential_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    """An old key file would win in silence. (A link that leads to itself is unreadable to root too.)"""
    path = write(tmp_path, WITH_FILE)
    key_file(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (problem,) = problems(path, HOME | {"CREDENTIALS_DIRECTORY": str(tmp_path / "loop")})
    assert problem.key == "panels.main.api_key"
    assert problem.reason.startswith(f"the key file {tmp_path}/loop/panels.main.api_key cannot be read: ")


@pytest.mark.parametrize("folder", ["empty", "missing", "main.key"])
def test_a_credential_that_is_not_there_gives_way_to_the_file(tmp_path: Path, folder: str) -> None:
    """The folder holds another service's, or there is none."""
    path = write(tmp_path, WITH_FILE)
    key_file(tmp_path)
    (tmp_path / "empty").mkdir()
    config = load(path, HOME | {"CREDENTIALS_DIRECTORY": str(tmp_path / folder)})
    assert config.panels["main"].api_key.get_secret_value() == FILE


def test_a_credential_of_another_panel_is_not_taken(tmp_path: Path) -> None:
    """Its name holds the panel's."""
    (problem,) = problems(write(tmp_path, RIGHT.replace("main", "other")), HOME | credential(tmp_path))
    assert (problem.key, problem.reason) == ("panels.other.api_key_file", "no key for this panel")
    assert "PTERO_BACKUPD_PANELS__OTHER__API_KEY" in problem.suggestion


@pytest.mark.parametrize("content", [FILE, f"\n {FILE} \r\n\n"])
def test_blanks_around_a_file_s_key_are_no_part_of_it(tmp_path: Path, content: str) -> None:
    """Editors end lines."""
    key_file(tmp_path, content)
    assert loaded(tmp_path, WITH_FILE, HOME).panels["main"].api_key.get_secret_value() == FILE


@pytest.mark.parametrize("content", [f"{FILE}\n{KEY}\n", f"{FILE}\nmade on 2026-04-01\n", f"# main\r\n\r\n{FILE}"])
def test_a_key_file_of_several_lines_is_refused(tmp_path: Path, content: str) -> None:
    """Which of two keys is meant nobody knows; neither is shown."""
    path = key_file(tmp_path, content)
    (problem,) = problems(write(tmp_path, WITH_FILE), HOME)
    assert (problem.key, problem.value) == ("panels.main.api_key_file", None)
    assert problem.reason == f"the key file {path} holds more than one line"
    assert problem.suggestion == "leave the key alone in it"


def test_blanks_around_a_variable_s_key_are_no_part_of_it(tmp_path: Path) -> None:
    """Block texts of YAML end with a line end."""
    panel = loaded(tmp_path, environ=HOME | {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": f" {KEY}\n"}).panels["main"]
    assert panel.api_key.get_secret_value() == KEY


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path: Path) -> None:
    """Windows' editors put one first."""
    key_file(tmp_path, b"\xef\xbb\xbf" + KEY.encode() + b"\r\n")
    assert loaded(tmp_path, WITH_FILE, HOME).panels["main"].api_key.get_secret_value() == KEY


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o620, 1)])
def test_a_key_file_that_others_can_read_is_a_warning(tmp_path: Path, mode: int, warnings: int) -> None:
    """Not an error: some mounts know no other mode."""
    path = key_file(tmp_path, mode=mode)
    found = loaded(tmp_path, WITH_FILE, HOME).warnings
    assert len(found) == warnings
    assert all(f"others can read or change {path} (mode {mode:04o})" in warning for warning in found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the key is empty"),
        (b" \n\n", "the key is empty"),
        (b"ptla_EXAMPLE", "application key"),
        (b'"ptlc_EXAMPLE"', "holds quotes, which are a part of it"),
        (b"\xef\xbb\xbf'ptlc_EXAMPLE'\n", "holds quotes, which are a part of it"),
        (b"papp_EXAMPLE", "application key"),
        (b"ptlc_EXAM PLE", "holds a space"),
        (b"ptlc_EXAM\tPLE", "holds a space"),
        ("ptlc_EXAMPLEÉ".encode(), "holds a space or another character"),
        (b"Bearer ptlc_EXAMPLE", "holds a space"),
        (b"\xff\xfe", "does not hold UTF-8 text"),
    ],
)
def test_a_key_that_no_panel_would_take_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """The panel's own answer, a 401 or a 403, would not say what is wrong."""
    key_file(tmp_path, content)
    (problem,) = problems(write(tmp_path, WITH_FILE), HOME)
    assert (problem.key, problem.value) == ("panels.main.api_key_file", None)
    assert reason in problem.reason


def test_an_empty_variable_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    """`API_KEY=${UNSET}` is how it happens; falling back to another key would hide it."""
    key_file(tmp_path)
    (problem,) = problems(write(tmp_path, WITH_FILE), HOME | {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": ""})
    assert (problem.file, problem.key, problem.reason) == ("environment", "panels.main.api_key", "the key is empty")


def test_a_key_of_an_unknown_kind_is_a_warning(tmp_path: Path) -> None:
    """Forks may have their own; a truncated copy looks the same."""
    (warning,) = loaded(tmp_path, environ=HOME | {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": "hunter2"}).warnings
    assert warning.startswith("panels.main.api_key: the key begins with neither ptlc_ nor pacc_")


@pytest.mark.parametrize("name", ["gone.key", "folder", "~/main.key", "a\\u0000b"])
def test_a_key_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    """With the path that was tried."""
    (tmp_path / "folder").mkdir()
    (problem,) = problems(write(tmp_path, WITH_FILE.replace("main.key", name)), HOME)
    assert problem.key == "panels.main.api_key_file"
    assert "cannot be read" in problem.reason or "~ is not read" in problem.reason or "path" in problem.reason


def test_a_credential_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """It is there, so it was meant."""
    (tmp_path / "panels.main.api_key").symlink_to(tmp_path / "gone")
    (problem,) = problems(write(tmp_path), HOME | {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert problem.key == "panels.main.api_key"
    assert "cannot be read: No such file" in problem.reason


def test_a_panel_without_a_key_is_refused(tmp_path: Path) -> None:
    """With both ways to give it one."""
    (problem,) = problems(write(tmp_path), HOME)
    assert problem.reason == "no key for this panel"
    assert problem.suggestion == "name a file that holds it, or set PTERO_BACKUPD_PANELS__MAIN__API_KEY"


def test_a_key_in_the_file_is_one_problem(tmp_path: Path) -> None:
    """That no other key is found beside it goes without saying."""
    (problem,) = problems(write(tmp_path, RIGHT.replace("[policies", f'api_key = "{KEY}"\n[policies')), HOME)
    assert (problem.key, problem.value) == ("panels.main.api_key", None)
    assert problem.reason == "a key does not belong in the configuration file"


def test_an_http_panel_is_accepted_on_this_machine_or_by_leave(tmp_path: Path) -> None:
    """The key never travels in the clear by accident."""
    url = 'url = "https://panel.example.com"'
    for address in ("http://localhost:8080", "http://127.0.0.1", "http://[::1]:80/panel", "https://panel"):
        assert loaded(tmp_path, RIGHT.replace(url, f'url = "{address}"')).panels["main"].url == address
    assert (
        loaded(tmp_path, RIGHT.replace(url, 'url = "http://panel/"\nallow_http = true')).panels["main"].url
        == "http://panel"
    )


LEAKS = [
    (RIGHT.replace("[policies", f'api_key = "{KEY}"\n[policies'), {}),
    (RIGHT.replace("[policies", f'apikey = "{KEY}"\n[policies'), {}),
    (RIGHT.replace("[policies", f'api_key_file = "{KEY}"\n[policies'), {}),
    (RIGHT.replace("https://", f"https://{KEY}@"), {}),
    (RIGHT.replace('"https://', f'"{KEY} https://'), {}),
    (RIGHT.replace("survival", KEY), {}),
    (RIGHT.replace("1a7ce997", KEY), {}),
    (f'panels = "{KEY}"', {}),
    (f'[panels]\napi_key = "{KEY}"', {}),
    (f"[panels.main\n{KEY}", {}),
    (f'state_dir = "{"x" * 20}{KEY}"' + RIGHT, {}),
    (RIGHT, {"PTERO_BACKUPD_PANELS__MAIN__API_KYE": KEY}),
    (RIGHT, {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY + " x"}),
    (RIGHT, {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY.replace("ptlc", "ptla")}),
    (RIGHT, {f"PTERO_BACKUPD_PANELS__{KEY}__URL": "x"}),
    (RIGHT, {"PTERO_BACKUPD_STATE_DIR": KEY}),
    (RIGHT, {"PTERO_BACKUPD_CONFIG": KEY}),
]


@pytest.mark.parametrize(("text", "environ"), LEAKS)
def test_no_problem_shows_a_key(tmp_path: Path, text: str, environ: dict[str, str]) -> None:
    """Wherever it was written by mistake: what is printed may be sent to somebody who helps."""
    path = None if "PTERO_BACKUPD_CONFIG" in environ else write(tmp_path, text)
    for problem in problems(path, HOME | environ):
        assert KEY[5:] not in f"{problem} {problem!r}"
        assert KEY[5:] not in repr(problem.value)


def test_a_configuration_never_shows_its_key(tmp_path: Path) -> None:
    """Neither printed nor looked at by a debugger's repr."""
    config = loaded(tmp_path)
    assert KEY in config.panels["main"].api_key.get_secret_value()
    for value in (config, *config.panels.values(), *config.servers.values()):
        assert KEY not in f"{value} {value!r}"


def test_the_error_itself_holds_no_key(tmp_path: Path) -> None:
    """Nor do the errors that it came from, which a traceback would show."""
    with pytest.raises(Exception) as refusal:  # noqa: PT011 — its text is what is looked at
        loaded(tmp_path, RIGHT.replace("[policies", f'api_key = "{KEY}"\n[policies'))
    assert KEY not in f"{refusal.value} {refusal.value!r}"
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None
