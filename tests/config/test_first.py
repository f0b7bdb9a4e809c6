"""What `init` writes is right as it stands, for whatever servers a key can see, and never replaces a file."""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config.first import FirstPanel, first_config, first_stores, quoted, write_new
from daemon.config.load import load
from daemon.config.values import Config
from daemon.core.model import Scope, Server
from daemon.errors import UsageError
from tests.config.support import KEY, write

ENVIRON = {"HOME": "/home/operator", "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}
OTHER_KEY = {"PTERO_BACKUPD_PANELS__SECOND__API_KEY": KEY}


def server(name: str, identifier: str = "1a7ce997", limit: int = 50) -> Server:
    """A server as the panel tells it."""
    return Server(f"{identifier}-259b-452e-8b4e-cecc464142ca", identifier, name, "node-1", limit)


def panel(*servers: Server, name: str = "main") -> FirstPanel:
    """A panel whose key is in the environment."""
    return FirstPanel(name, f"https://{name}.example.com", servers)


def accepted(tmp_path: Path, text: str, environ: Mapping[str, str] = ENVIRON) -> Config:
    """The text, loaded."""
    return load(write(tmp_path, text), environ, need_servers=False)


def test_it_is_accepted_as_it_stands(tmp_path: Path) -> None:
    """And it deletes only what it named itself."""
    (tmp_path / "main.key").write_text(KEY)
    (tmp_path / "main.key").chmod(0o600)
    local = FirstPanel("main", "http://panel:80", [server("Survival World")], tmp_path / "main.key", allow_http=True)
    config = load(write(tmp_path, first_config([local], state_dir=tmp_path)), {})
    (name,) = config.servers
    assert (name, config.servers[name].id) == ("survival-world", "1a7ce997")
    assert config.policies["standard"].scope is Scope.OWN
    assert (config.state_dir, config.warnings) == (tmp_path, ())


def test_stores_are_written_with_what_they_need(tmp_path: Path) -> None:
    """The policy copies to all; what only the operator knows is a comment."""
    stores = first_stores(["file:///mnt/nas", "offsite=s3://bucket/games", "file:///mnt/usb", "sftp://me@box/backups"])
    text = first_config([panel(server("Lobby"))], stores)
    document = tomllib.loads(text)
    assert document["policies"]["standard"]["copies"] == ["nas", "offsite", "usb", "backups"]
    one = first_config([panel(server("Lobby"))], stores[:1]).splitlines()
    assert len({line.index("#") for line in one if line.startswith(("timezone", "scope", "copies"))}) == 1
    assert {name: store["url"] for name, store in document["stores"].items()} == {
        "nas": "file:///mnt/nas",
        "offsite": "s3://bucket/games",
        "usb": "file:///mnt/usb",
        "backups": "sftp://me@box/backups",
    }
    for variable in ("OFFSITE__ACCESS_KEY_ID", "OFFSITE__SECRET_ACCESS_KEY", "BACKUPS__PRIVATE_KEY"):
        assert f"$PTERO_BACKUPD_STORES__{variable}" in text
    secrets = {f"PTERO_BACKUPD_STORES__OFFSITE__{one}": "x" for one in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
    config = accepted(tmp_path, first_config([panel(server("Lobby"))], stores[:3]), {**ENVIRON, **secrets})
    assert list(config.stores) == ["nas", "offsite", "usb"]


def test_a_store_is_named_after_its_last_folder_or_its_bucket() -> None:
    """Where that can be a name, which no other store has; else after its kind."""
    urls = [
        "file:///mnt/nas/",
        "file:///",
        "file:///mnt/My%20NAS",
        "file:///mnt/USB",
        "s3://Bucket",
        "s3://b.c.d/x/nas",
    ]
    urls += ["s3://b.c.d", "gs://games/2026", "az://box/a_b", "sftp://me@box/~/", "rclone:drive:", "rclone:drive:a/b"]
    assert [one.name for one in first_stores(urls)] == [
        *("nas", "folder", "folder-2", "usb", "bucket", "nas-2", "s3", "2026", "az", "sftp", "drive", "b")
    ]


def test_what_a_store_keeps_is_a_comment_that_says_what_comes_of_leaving_it_out(tmp_path: Path) -> None:
    """As it stands it takes all; without its mark it is right."""
    text = first_config([panel(server("Lobby"))], first_stores(["file:///mnt/nas"]))
    assert accepted(tmp_path, text).stores["nas"].rules.keep.everything
    assert "# keep = { daily = 30, monthly = 12 }   # of each server; without it every copy stays" in text
    bounded = accepted(tmp_path, text.replace("# keep =", "keep ="))
    assert bounded.stores["nas"].rules.keep.most_kept() == 41


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/mnt/nas"], "is not a store's url"),
        (["a=file:///x", "a=file:///y"], "there are two stores a"),
        (["s3://key:hunter2@bucket"], "holds a password"),
    ],
)
def test_what_is_no_store_is_refused(words: list[str], said: str) -> None:
    """Before anything is asked or written."""
    with pytest.raises(UsageError, match=said) as raised:
        first_stores(words)
    assert "hunter2" not in raised.value.text


def test_names_are_made_unique(tmp_path: Path) -> None:
    """Two servers of one name, one whose name is already another's, and one without a single letter."""
    servers = [
        server(name, f"0000000{n}") for n, name in enumerate(["Lobby", "lobby!", "Lobby 00000001", "★", "lobby"])
    ]
    config = accepted(tmp_path, first_config([panel(*servers)]))
    assert {name: entry.id for name, entry in config.servers.items()} == {
        "lobby": "00000000",
        "lobby-00000001": "00000001",
        "lobby-00000001-00000002": "00000002",
        "00000003": "00000003",
        "lobby-00000004": "00000004",
    }


def test_a_name_is_found_even_where_all_near_ones_are_taken(tmp_path: Path) -> None:
    """The same server seen by two keys is left to `check`; the file is still one that can be read."""
    text = first_config([panel(*[server("Lobby")] * 3)])
    assert list(tomllib.loads(text)["servers"]) == ["lobby", "lobby-1a7ce997", "lobby-2"]


def test_servers_name_their_panel_where_there_are_several(tmp_path: Path) -> None:
    """Otherwise it may be left out, and is."""
    both = [panel(server("a", "00000001")), panel(server("b", "00000002"), name="second")]
    config = accepted(tmp_path, first_config(both), ENVIRON | OTHER_KEY)
    assert {name: entry.panel.name for name, entry in config.servers.items()} == {"a": "main", "b": "second"}
    assert "panel =" not in first_config(both[:1])


@pytest.mark.parametrize(("limit", "most"), [(2, 1), (3, 2), (17, 16), (18, 17), (50, 17)])
def test_no_more_is_kept_than_the_limit_has_room_for(tmp_path: Path, limit: int, most: int) -> None:
    """What is kept, and the one that is being made, fit the panel's limit."""
    config = accepted(tmp_path, first_config([panel(server("a", limit=limit))]))
    assert config.servers["a"].policy.retention.keep.most_kept() == most


@pytest.mark.parametrize("limit", [0, 1])
def test_a_server_that_cannot_rotate_is_a_comment(tmp_path: Path, limit: int) -> None:
    """With the reason, and ready for the day when its limit is raised."""
    text = first_config([panel(server("a", limit=limit))])
    assert accepted(tmp_path, text).servers == {}
    assert f"# its backup limit is {limit}, and to rotate takes 2:\n# [servers.a]\n" in text


@settings(max_examples=50, deadline=None)
@given(names=st.lists(st.text(), max_size=5), nodes=st.text(), key_file=st.text(min_size=1), limit=st.integers(0, 60))
def test_whatever_a_panel_answers_the_file_can_be_read(names: list[str], nodes: str, key_file: str, limit: int) -> None:
    """Names come from people, and may hold quotes, line ends or worse."""
    servers = [Server("", f"{n:08x}", name, nodes, limit) for n, name in enumerate(names)]
    document = tomllib.loads(first_config([FirstPanel("main", "https://x", servers, Path(key_file.replace("\0", "")))]))
    assert set(document) <= {"panels", "policies", "servers"}
    assert len(document.get("servers", {})) in {0, len(names)}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_text_is_read_back(text: str) -> None:
    """To the letter."""
    assert tomllib.loads(f"x = {quoted(text)}") == {"x": text}


def test_a_new_file_is_private_and_whole(tmp_path: Path) -> None:
    """In folders that it makes, with nothing left beside it."""
    path = tmp_path / "a/b/config.toml"
    write_new(path, "x = 1\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("x = 1\n", 0o600)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o000, 0o755), (0o022, 0o755), (0o077, 0o700)])
def test_others_cannot_write_into_a_new_folder_whatever_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """Who can write into it can replace the key. The daemon's user has to be able to enter it."""
    before = os.umask(umask)
    try:
        write_new(tmp_path / "a/b/config.toml", "x = 1\n")
    finally:
        os.umask(before)
    assert {stat.S_IMODE((tmp_path / folder).stat().st_mode) for folder in ("a", "a/b")} == {mode}


def test_a_file_that_exists_is_never_replaced(tmp_path: Path) -> None:
    """Nor is a link, wherever it leads."""
    path = write(tmp_path, "mine")
    (tmp_path / "link").symlink_to("gone")
    for taken in (path, tmp_path / "link"):
        with pytest.raises(UsageError, match="exists already"):
            write_new(taken, "yours")
    assert path.read_text() == "mine"
    assert {entry.name for entry in tmp_path.iterdir()} == {"config.toml", "link"}


@pytest.mark.parametrize("path", ["file/below", "x" * 300, "nul\0"])
def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, path: str) -> None:
    """As a mistake of whoever named it."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        write_new(tmp_path / path, "")
