"""The files: where they are looked for, what may be in them, and what belongs to one of them alone."""

from itertools import cycle
from pathlib import Path

import pytest

from daemon.config import disk, files, secret, sources
from daemon.config.load import load
from tests.config.support import ENVIRONMENT, KEY, RIGHT, SIDECAR, problems, write

WITH_KEY_FILE = RIGHT.replace('.com"\n', '.com"\napi_key_file = "main.key"\n', 1)
SERVER = '[servers.creative]\nid = "d3aac109"\n'


@pytest.fixture
def default_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default path, moved to where a test can write."""
    path = tmp_path / "etc/config.toml"
    monkeypatch.setattr(sources, "DEFAULT_FILE", path)
    return path


def test_the_default_path_is_the_contract_s() -> None:
    """Scripts and units rely on it."""
    assert Path("/etc/ptero-backupd/config.toml") == sources.DEFAULT_FILE


def test_the_named_file_wins_over_the_variable_and_that_over_the_default(tmp_path: Path, default_file: Path) -> None:
    """--config, else $PTERO_BACKUPD_CONFIG, else the default."""
    write(tmp_path / "etc", RIGHT)
    by_variable, named = write(tmp_path, RIGHT, "v/config.toml"), write(tmp_path, RIGHT, "n/config.toml")
    with_variable = ENVIRONMENT | {"PTERO_BACKUPD_CONFIG": str(by_variable)}
    assert load(named, with_variable).files == (named,)
    assert load(None, with_variable).files == (by_variable,)
    assert load(None, ENVIRONMENT | {"PTERO_BACKUPD_CONFIG": ""}).files == (default_file,)


@pytest.mark.parametrize("environ", [ENVIRONMENT, SIDECAR])
def test_a_named_file_must_exist(tmp_path: Path, environ: dict[str, str]) -> None:
    """Also where the environment would suffice: somebody meant that file."""
    path = tmp_path / "config.toml"
    for found in (problems(path, environ), problems(None, environ | {"PTERO_BACKUPD_CONFIG": str(path)})):
        assert (found[0].file, found[0].key, found[0].reason) == (str(path), "", "there is no such file")
        assert "ptero-backupd init" in found[0].suggestion


def test_the_default_file_must_exist_unless_the_environment_suffices(default_file: Path) -> None:
    """A sidecar needs no file, and a forgotten file is not taken for a sidecar."""
    assert load(None, SIDECAR).files == ()
    assert {problem.reason for problem in problems(None, ENVIRONMENT)} >= {"there is no such file"}
    without_server = {name: text for name, text in SIDECAR.items() if "SERVERS" not in name}
    (problem,) = problems(None, without_server)
    assert (problem.file, problem.reason) == (str(default_file), "there is no such file")
    assert load(None, without_server, need_servers=False).servers == {}
    store = {"HOME": "/home/operator", "PTERO_BACKUPD_STORES__NAS__URL": "file:///mnt/nas"}
    assert list(load(None, store, need_panels=False).stores) == ["nas"]


def test_conf_d_is_read_beside_the_file(tmp_path: Path) -> None:
    """In the order of names; other files, hidden ones and folders are left alone."""
    main = write(tmp_path)
    second = write(tmp_path, SERVER, "conf.d/20-creative.toml")
    first = write(tmp_path, SERVER.replace("creative", "lobby").replace("d3aac109", "00000001"), "conf.d/10-lobby.toml")
    for name in ("notes.txt", ".hidden.toml", "x.toml.dpkg-old"):
        write(tmp_path, "not TOML", f"conf.d/{name}")
    config = load(main, ENVIRONMENT)
    assert config.files == (main, first, second)
    assert list(config.servers) == ["survival", "lobby", "creative"]
    assert config.servers["creative"].file == str(second)


def test_an_entry_defined_twice_is_refused_and_both_files_are_named(tmp_path: Path) -> None:
    """Neither silently wins, and they are not merged."""
    main = write(tmp_path, 'state_dir = "/x"\n' + RIGHT)
    extra = write(tmp_path, 'state_dir = "/y"\n[servers.survival]\nsplay = "1m"\n', "conf.d/a.toml")
    twice = problems(main)
    assert [problem.key for problem in twice] == ["state_dir", "servers.survival"]
    assert {problem.file for problem in twice} == {str(extra)}
    assert all(problem.reason == f"already defined in {main}" for problem in twice)


def test_two_files_of_conf_d_cannot_define_one_entry(tmp_path: Path) -> None:
    """The second of them is told of the first."""
    first, second = (write(tmp_path, SERVER, f"conf.d/{name}.toml") for name in "ab")
    (problem,) = problems(write(tmp_path))
    assert (problem.file, problem.reason) == (str(second), f"already defined in {first}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\n\n[panels.main\n", "not valid TOML: expected"),
        (b"a = 1\na = 2\n", "not valid TOML: cannot overwrite a value (at line 2"),
        (b"a = 1\nb = '\xff'\n", "not valid TOML: no UTF-8 text at line 2"),
        (b"a = " + b"[" * 5000, "not valid TOML"),
        (b"a = " + b"1" * 5000, "cannot be read"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, content: bytes, reason: str) -> None:
    """Nothing else of the file is judged then, and nothing is said to be missing."""
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    (problem,) = problems(path, {"HOME": "/home/operator"})
    assert (problem.file, problem.key) == (str(path), "")
    assert problem.reason.startswith(reason)


def test_a_syntax_error_names_the_line(tmp_path: Path) -> None:
    """The line is what an editor can jump to."""
    (problem,) = problems(write(tmp_path, RIGHT.replace('"own"', "own")))
    assert "line 6" in problem.reason


@pytest.mark.parametrize("path", ["folder", "file/below", "nul\0"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, path: str) -> None:
    """Whatever the system says, it is a problem of the configuration and no bug."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert any("cannot be read" in problem.reason for problem in problems(tmp_path / path))


def test_a_conf_d_that_is_none_or_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Its servers would silently be gone otherwise."""
    main = write(tmp_path)
    (tmp_path / "conf.d").touch()
    (problem,) = problems(main)
    assert (problem.file, problem.reason) == (str(tmp_path / "conf.d"), "cannot be read: Not a directory")


def test_a_link_to_nowhere_in_conf_d_is_told(tmp_path: Path) -> None:
    """Only the main file may be missing."""
    main = write(tmp_path)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.toml").symlink_to(tmp_path / "gone")
    (problem,) = problems(main)
    assert (problem.file, problem.reason) == (str(tmp_path / "conf.d/a.toml"), "there is no such file")


def test_nothing_is_said_to_be_missing_that_an_unread_file_may_hold(tmp_path: Path) -> None:
    """One broken file of conf.d makes one problem, and not one for each server that rests on it."""
    main = write(tmp_path, RIGHT + 'panel = "second"\npolicy = "second"\n')
    broken = write(tmp_path, "[panels.second", "conf.d/second.toml")
    (problem,) = problems(main, ENVIRONMENT | {"PTERO_BACKUPD_PANELS__SECOND__BACKUPS_PER_NODE": "2"})
    assert problem.file == str(broken)


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    """In the main file and beside it."""
    mark = b"\xef\xbb\xbf"
    main, _, servers = RIGHT.partition("[servers")
    (tmp_path / "config.toml").write_bytes(mark + main.encode())
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.toml").write_bytes(mark + f"[servers{servers}".encode())
    assert set(load(tmp_path / "config.toml", ENVIRONMENT).servers) == {"survival"}


def test_a_file_that_was_replaced_under_its_mount_is_told(tmp_path: Path) -> None:
    """A mount of a single file holds on to the one that it was: it has no name any more, and is still read."""
    path = write(tmp_path)
    with path.open() as held:
        path.unlink()
        config = load(Path(f"/proc/self/fd/{held.fileno()}"), ENVIRONMENT)
    (warning,) = config.warnings
    assert "was replaced after it was mounted" in warning


def test_a_key_file_that_was_replaced_under_its_mount_is_told(tmp_path: Path) -> None:
    """The key in it is the one from before."""
    key = tmp_path / "main.key"
    key.write_text(KEY)
    key.chmod(0o600)
    with key.open() as held:
        key.unlink()
        name = f"/proc/self/fd/{held.fileno()}"
        config = load(write(tmp_path, WITH_KEY_FILE.replace("main.key", name)), {"HOME": str(tmp_path)})
    (warning,) = config.warnings
    assert f"{name} was replaced after it was mounted" in warning


def revision(folder: Path, name: str, server: str, key: str) -> Path:
    """One revision of a ConfigMap as the kubelet lays it out: a folder of its own, which others link to."""
    made = folder / name
    write(made, WITH_KEY_FILE)
    write(made, f'[servers.{server}]\nid = "d3aac109"\n', "conf.d/servers.toml")
    (made / "main.key").write_text(key)
    (made / "main.key").chmod(0o600)
    return made


def swap(folder: Path, name: str) -> None:
    """Let `..data` name another revision, at once and whole, as the kubelet does."""
    (folder / "..tmp").symlink_to(name)
    (folder / "..tmp").replace(folder / "..data")


@pytest.fixture
def config_map(tmp_path: Path) -> Path:
    """A mounted ConfigMap with two revisions, of which the first is in force."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    revision(tmp_path, "old", "creative", KEY + "OLD")
    revision(tmp_path, "new", "lobby", KEY + "NEW")
    swap(tmp_path, "old")
    for name in ("config.toml", "conf.d", "main.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    return tmp_path


@pytest.mark.parametrize("after", ["config.toml", "servers.toml", "main.key"])
def test_what_is_swapped_while_it_is_read_is_read_again(
    config_map: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """Whatever was read last before the swap: never half of the one revision and half of the other."""
    swaps = iter(["new"])

    def read_and_swap(file: Path, most: int) -> str:
        text = disk.read_text(file, most)
        if file.name == after and (name := next(swaps, None)):
            swap(config_map, name)
        return text

    monkeypatch.setattr(files, "read_text", read_and_swap)
    monkeypatch.setattr(secret, "read_text", read_and_swap)
    config = load(config_map / "config.toml", {"HOME": "/home/operator"})
    assert set(config.servers) == {"survival", "lobby"}
    assert config.panels["main"].api_key.get_secret_value() == KEY + "NEW"


def test_what_is_changed_in_place_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that comes into conf.d, too."""
    path = write(tmp_path, RIGHT)
    write(tmp_path, "", "conf.d/a.toml")
    late = iter(['[servers.lobby]\nid = "d3aac109"\n'])

    def read_and_add(file: Path, most: int) -> str:
        text = disk.read_text(file, most)
        if more := next(late, None):
            write(tmp_path, more, "conf.d/b.toml")
        return text

    monkeypatch.setattr(files, "read_text", read_and_add)
    assert set(load(path, ENVIRONMENT).servers) == {"survival", "lobby"}


def test_what_never_stays_as_it_is_is_refused(config_map: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration in force is better than a mixture; the next reload finds it whole."""
    names = cycle(["new", "old"])

    def read_and_swap(file: Path, most: int) -> str:
        text = disk.read_text(file, most)
        swap(config_map, next(names))
        return text

    monkeypatch.setattr(files, "read_text", read_and_swap)
    (problem,) = problems(config_map / "config.toml", {"HOME": "/home/operator"})
    assert problem.reason == "a file of the configuration changes while it is read"
