"""The table of the daemon's own HTTP."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.config.load import load
from tests.config.support import ENVIRONMENT, RIGHT, SIDECAR, loaded, problems, write

TOKEN = "0123456789abcdefEXAMPLE"


def test_without_the_table_there_is_no_http(tmp_path: Path) -> None:
    """Off unless asked for."""
    assert loaded(tmp_path).http is None


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:9180", ("127.0.0.1", 9180)),
        ("127.7.7.7:0", ("127.7.7.7", 0)),
        ("[::1]:9180", ("::1", 9180)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_an_address_of_this_machine_is_enough(tmp_path: Path, listen: str, address: tuple[str, int]) -> None:
    """Loopback needs no other word."""
    http = loaded(tmp_path, f'{RIGHT}[http]\nlisten = "{listen}"').http
    assert http
    assert (http.host, http.port) == address
    assert http.external_url == ""
    assert http.hosts == frozenset()
    assert http.token is None


@pytest.mark.parametrize(
    "listen",
    [
        "9180",
        ":9180",
        "127.0.0.1",
        "127.0.0.1:",
        "::1:80",
        "[::1:80",
        "example.com:80",
        "127.0.0.1:65536",
        "[127.0.0.1]:80",
        "127.0.0.1:-1",
        "http://127.0.0.1:80",
    ],
)
def test_what_is_no_address_is_refused(tmp_path: Path, listen: str) -> None:
    """With an example of one."""
    (problem,) = problems(write(tmp_path, f'{RIGHT}[http]\nlisten = "{listen}"'))
    assert problem.key == "http.listen"
    assert 'such as "127.0.0.1:9180"' in str(problem)


@pytest.mark.parametrize("listen", ["0.0.0.0:9180", "[::]:9180", "192.0.2.7:9180"])
def test_an_address_that_others_reach_needs_a_word(tmp_path: Path, listen: str) -> None:
    """Either `expose`, or a token."""
    text = f'{RIGHT}[http]\nlisten = "{listen}"\n'
    (problem,) = problems(write(tmp_path, text))
    assert "others could read the page" in problem.reason
    assert "expose = true" in problem.suggestion
    assert loaded(tmp_path, f"{text}expose = true").http
    assert loaded(tmp_path, text, {**ENVIRONMENT, "PTERO_BACKUPD_HTTP__TOKEN": TOKEN}).http


def credential(folder: Path) -> Mapping[str, str]:
    """The environment of a unit with LoadCredential=http.token."""
    write(folder, f"{TOKEN}\n", "credentials/http.token")
    return {"CREDENTIALS_DIRECTORY": str(folder / "credentials")}


@pytest.mark.parametrize("place", ["variable", "credential", "file"])
def test_a_token_comes_from_any_of_three_places(tmp_path: Path, place: str) -> None:
    """And is held as a secret."""
    write(tmp_path, f"{TOKEN}\n", "token").chmod(0o600)
    environ = {"variable": {"PTERO_BACKUPD_HTTP__TOKEN": TOKEN}, "credential": credential(tmp_path), "file": {}}[place]
    key = 'token_file = "token"' if place == "file" else ""
    config = loaded(tmp_path, f'{RIGHT}[http]\nlisten = "127.0.0.1:9180"\n{key}', {**ENVIRONMENT, **environ})
    assert config.http
    assert config.http.token
    assert config.http.token.get_secret_value() == TOKEN
    assert TOKEN not in repr(config)
    assert config.warnings == ()


def test_a_byte_order_mark_is_no_part_of_a_token(tmp_path: Path) -> None:
    """Windows' editors put one first; no request could show it."""
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbf" + TOKEN.encode() + b"\r\n")
    (tmp_path / "token").chmod(0o600)
    config = loaded(tmp_path, f'{RIGHT}[http]\nlisten = "127.0.0.1:9180"\ntoken_file = "token"')
    assert config.http
    assert config.http.token
    assert config.http.token.get_secret_value() == TOKEN


@pytest.mark.parametrize("token", ["", "tooshort", "with a blank in the middle", "mit-Umlaut-äöü-äöü-äöü"])
def test_a_token_that_could_not_work_is_refused_and_not_shown(tmp_path: Path, token: str) -> None:
    """Too short to be one, or not to be sent in a header."""
    environ = {**ENVIRONMENT, "PTERO_BACKUPD_HTTP__TOKEN": token}
    (problem,) = problems(write(tmp_path, f'{RIGHT}[http]\nlisten = "127.0.0.1:9180"'), environ)
    assert problem.key == "http.token"
    assert not token or token not in str(problem)


def test_a_token_that_is_there_and_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    """The page would let everybody in."""
    (tmp_path / "loop").symlink_to("loop")
    path = write(tmp_path, RIGHT + '[http]\nlisten = "127.0.0.1:9180"\n')
    (problem,) = problems(path, ENVIRONMENT | {"CREDENTIALS_DIRECTORY": str(tmp_path / "loop")})
    assert problem.key == "http.token"
    assert "cannot be read" in problem.reason


@pytest.mark.parametrize(
    "token",
    ["EXAMPLE-openssl-rand-hex-32", "example-token-0123456789", "changeme-changeme-changeme", "CHANGE_ME_0123456789",
     "$(openssl rand -hex 32)", "`openssl rand -hex 32`", "your-token-goes-here"],
)  # fmt: skip
def test_a_sample_is_no_token(tmp_path: Path, token: str) -> None:
    """It stands in an example that everybody can read."""
    environ = ENVIRONMENT | {"PTERO_BACKUPD_HTTP__TOKEN": token.replace(" ", "-")}
    (problem,) = problems(write(tmp_path, RIGHT + '[http]\nlisten = "127.0.0.1:9180"\n'), environ)
    assert (problem.key, problem.value) == ("http.token", None)
    assert problem.reason == "the token is the sample of an example, which everybody knows"
    assert "openssl rand -hex 32" in problem.suggestion


@pytest.mark.parametrize("key", ["token", "tokn"])
def test_a_token_in_the_file_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    """Such files are shown, copied and committed."""
    found = problems(write(tmp_path, f'{RIGHT}[http]\nlisten = "127.0.0.1:9180"\n{key} = "{TOKEN}"'))
    assert [problem.key for problem in found] == [f"http.{key}"]
    assert TOKEN not in str(found)


def test_a_token_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    """Not taken for no token at all."""
    (problem,) = problems(write(tmp_path, f'{RIGHT}[http]\nlisten = "127.0.0.1:9180"\ntoken_file = "nowhere"'))
    assert "the token file" in problem.reason
    assert "cannot be read" in problem.reason


def test_a_sidecar_sets_it_all_by_variables() -> None:
    """No file needed; a list is JSON."""
    http = load(
        None,
        {
            **SIDECAR,
            "PTERO_BACKUPD_HTTP__LISTEN": "0.0.0.0:9180",
            "PTERO_BACKUPD_HTTP__EXPOSE": "true",
            "PTERO_BACKUPD_HTTP__HOSTS": '["Backups.Example.com"]',
        },
    ).http
    assert http
    assert http.hosts == {"backups.example.com"}


def test_the_environment_wins_key_by_key(tmp_path: Path) -> None:
    """What it does not set stays as the file says."""
    text = f'{RIGHT}[http]\nlisten = "127.0.0.1:1"\nhosts = ["one.example"]'
    http = loaded(tmp_path, text, {**ENVIRONMENT, "PTERO_BACKUPD_HTTP__LISTEN": "127.0.0.1:2"}).http
    assert http
    assert (http.port, http.hosts) == (2, frozenset({"one.example"}))


@pytest.mark.parametrize(
    ("text", "key", "sentence"),
    [
        ("http = 5", "http", "must be a table"),
        ("[http]\nlisen = '127.0.0.1:1'", "http.lisen", "did you mean listen?"),
        ("[http]\nhosts = ['http://x']", "http.hosts", "must be the name of a host"),
        ("[http]\nexpose = 'yes'", "http.expose", "must be true or false"),
        ("[http]\nlisten = 9180", "http.listen", "must be text in quotes"),
    ],
)
def test_mistakes_are_told_with_their_key(tmp_path: Path, text: str, key: str, sentence: str) -> None:
    """As in every other table."""
    (problem,) = problems(write(tmp_path, f"{text}\n{RIGHT}" if text.startswith("http") else f"{RIGHT}{text}"))
    assert problem.key == key
    assert sentence in str(problem)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("HTTP__LISEN", "PTERO_BACKUPD_HTTP__LISTEN"),
        ("HTTPS__LISTEN", "PTERO_BACKUPD_HTTP__LISTEN"),
        ("HTTP__ZZZ", "two underscores"),
    ],
)
def test_a_misspelt_variable_is_not_passed_over(tmp_path: Path, variable: str, meant: str) -> None:
    """It names the nearest one that there is."""
    (problem,) = problems(write(tmp_path), {**ENVIRONMENT, f"PTERO_BACKUPD_{variable}": "127.0.0.1:1"})
    assert meant in problem.suggestion


def test_the_table_belongs_to_one_file(tmp_path: Path) -> None:
    """In two, neither silently wins."""
    write(tmp_path, '[http]\nlisten = "127.0.0.1:1"', "conf.d/web.toml")
    (problem,) = problems(write(tmp_path, f'{RIGHT}[http]\nlisten = "127.0.0.1:2"'))
    assert "already defined in" in problem.reason


def test_a_table_without_an_address_is_warned_of(tmp_path: Path) -> None:
    """Its other keys do nothing."""
    config = loaded(tmp_path, f"{RIGHT}[http]\nexpose = true")
    assert config.http is None
    assert config.warnings == ("http.listen: is not set, so the rest of [http] does nothing",)
