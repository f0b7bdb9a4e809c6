"""What a right configuration becomes: values, with the defaults of the contract, compared by value."""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from daemon.config.errors import ConfigIssue
from daemon.config.load import load
from daemon.config.values import duplicates
from daemon.core.keep import Keep
from daemon.core.model import Scope
from daemon.core.retention import Retention
from tests.config.support import ENVIRONMENT, KEY, RIGHT, SIDECAR, UUID, loaded, problems, write

OVERRIDES = RIGHT + 'keep = { weekly = 4 }\nscope = "all"\ntimezone = "Europe/Berlin"\nignored = ["*.tmp"]\n'
TWO_PANELS = f"""{RIGHT}panel = "main"
[panels.other]
url = "https://other.example.com"
[servers.again]
id = "{UUID}"
"""
OTHER_KEY = ENVIRONMENT | {"PTERO_BACKUPD_PANELS__OTHER__API_KEY": KEY}


def test_what_is_left_out_has_the_contract_s_default(tmp_path: Path) -> None:
    """Each default, in the values that the daemon works with."""
    config = loaded(tmp_path)
    panel, policy, server = config.panels["main"], config.policies["standard"], config.servers["survival"]
    assert (panel.backups_per_node, panel.reserve, panel.api_key.get_secret_value()) == (1, 0.2, KEY)
    assert policy.zone == ZoneInfo("UTC")
    assert (policy.splay, policy.timeout, policy.node_hold) == (timedelta(), timedelta(hours=6), timedelta(hours=1))
    assert (policy.template.text, policy.also_own, policy.ignored) == ("auto-{server}-{time}-{id}", (), ())
    assert policy.retention == Retention(Keep(last=3, daily=7), ZoneInfo("UTC"), Scope.OWN)
    assert (policy.max_deletions, policy.max_share) == (10, 0.5)
    assert (server.id, server.panel, server.policy) == ("1a7ce997", panel, policy)


def test_a_server_s_key_replaces_the_policy_s_whole_value(tmp_path: Path) -> None:
    """Of `keep` too; the policy itself stays as it is, and so does what is not set."""
    config = loaded(tmp_path, OVERRIDES)
    policy = config.servers["survival"].policy
    assert policy.retention == Retention(Keep(weekly=4), ZoneInfo("Europe/Berlin"), Scope.ALL)
    assert (policy.scope, policy.zone, policy.ignored) == (Scope.ALL, ZoneInfo("Europe/Berlin"), ("*.tmp",))
    assert (policy.name, policy.schedule_text) == ("standard", "0 4 * * *")
    assert config.policies == loaded(tmp_path).policies


def test_every_way_to_switch_something_off_is_understood(tmp_path: Path) -> None:
    """In the words of the contract."""
    text = RIGHT.replace("{ last = 3, daily = 7 }", '"all"').replace(
        "keep =",
        'failed_after = "never"\ntotal_size = "off"\nsuspicious = 0\nmax_deletions = -1\nmax_share = 1\nkeep =',
    )
    policy = loaded(tmp_path, text).policies["standard"]
    assert policy.retention == Retention(
        Keep(everything=True), ZoneInfo("UTC"), Scope.OWN, failed_after=None, suspicious=0.0
    )
    assert (policy.max_deletions, policy.max_share) == (-1, 1)


def test_what_a_server_owns_holds_earlier_templates(tmp_path: Path) -> None:
    """A changed template leaves the old backups foreign until `also_own` names them."""
    text = RIGHT.replace("keep =", 'name = "new-{server}-{time}"\nkeep =')
    old, time = "old-20260401T040000Z", "20260401T040000Z"
    for names, owned in (([], False), (["old-{time}"], True)):
        also = text.replace("keep =", f"also_own = {names}\nkeep =")
        ownership = loaded(tmp_path, also).servers["survival"].ownership
        assert ownership.owns(f"new-survival-{time}")
        assert not ownership.owns(f"new-creative-{time}")
        assert ownership.owns(old) is owned


def test_the_same_text_gives_equal_values(tmp_path: Path) -> None:
    """A reload disturbs only what changed."""
    before, after = loaded(tmp_path), loaded(tmp_path)
    assert before == after
    changed = loaded(tmp_path, RIGHT.replace("daily = 7", "daily = 8"))
    assert changed.servers["survival"] != before.servers["survival"]
    assert changed.panels == before.panels


def test_where_a_server_is_written_is_no_change(tmp_path: Path) -> None:
    """Moving it into conf.d does not disturb it."""
    before = loaded(tmp_path)
    main, _, server = RIGHT.partition("[servers")
    write(tmp_path, "[servers" + server, "conf.d/survival.toml")
    after = loaded(tmp_path, main)
    assert after.servers == before.servers
    assert after.servers["survival"].file != before.servers["survival"].file


def test_values_cannot_be_changed(tmp_path: Path) -> None:
    """What runs rests on them."""
    config = loaded(tmp_path)
    with pytest.raises(TypeError):
        config.servers["x"] = config.servers["survival"]  # type: ignore[index]  # which is what is tested
    with pytest.raises(AttributeError):
        config.servers["survival"].id = "00000000"  # type: ignore[misc]  # which is what is tested


def test_starts_are_the_same_however_the_server_is_named(tmp_path: Path) -> None:
    """The splay hangs on the server, not on whether its identifier or its uuid was written."""
    text = RIGHT.replace("keep =", 'splay = "3h"\nkeep =')
    short, long = loaded(tmp_path, text), loaded(tmp_path, text.replace("1a7ce997", UUID.upper()))
    assert short.servers["survival"].starts == long.servers["survival"].starts
    assert short.servers["survival"].starts.splay == timedelta(hours=3)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/home/op"}, "/home/op/.local/state/ptero-backupd"),
        ({"HOME": "/home/op", "XDG_STATE_HOME": "/var/xdg"}, "/var/xdg/ptero-backupd"),
        ({"HOME": "/home/op", "XDG_STATE_HOME": "relative"}, "/home/op/.local/state/ptero-backupd"),
        ({"HOME": "/home/op", "STATE_DIRECTORY": "/var/lib/p"}, "/var/lib/p"),
        ({"STATE_DIRECTORY": "/var/lib/p:/var/lib/q"}, "/var/lib/p"),
        ({"STATE_DIRECTORY": "/var/lib/p", "PTERO_BACKUPD_STATE_DIR": "/mine"}, "/mine"),
        ({"STATE_DIRECTORY": "/var/lib/p", "PTERO_BACKUPD_STATE_DIR": "none"}, None),
    ],
)
def test_the_state_folder_is_found(environ: dict[str, str], folder: str | None) -> None:
    """The key, else systemd's folder, else the user's own."""
    sidecar = {name: text for name, text in SIDECAR.items() if name != "HOME"}
    assert load(None, sidecar | environ).state_dir == (folder and Path(folder))


def test_a_relative_path_starts_at_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon's working folder is nobody's business; with a relative --config too."""
    write(tmp_path, 'state_dir = "state"' + RIGHT, "etc/config.toml")
    monkeypatch.chdir(tmp_path)
    assert load(Path("etc/config.toml"), ENVIRONMENT).state_dir == tmp_path / "etc/state"


def test_without_a_home_the_state_folder_must_be_named() -> None:
    """Nothing is guessed."""
    (problem,) = problems(None, {name: text for name, text in SIDECAR.items() if name != "HOME"})
    assert (problem.key, problem.suggestion) == ("state_dir", 'set it, "none" for no state')


def test_a_splay_longer_than_the_time_between_starts_is_a_warning(tmp_path: Path) -> None:
    """It works, and is hardly what was meant."""
    says = "is longer than the time between two starts"
    for_all = RIGHT.replace("keep =", 'splay = "25h"\nkeep =')
    assert loaded(tmp_path, for_all).warnings == (f"policies.standard.splay: 25h {says}",)
    for_one = RIGHT + 'splay = "7h"\nschedule = "every 6h"\n'
    assert loaded(tmp_path, for_one).warnings == (f"servers.survival.splay: 7h {says}",)
    assert loaded(tmp_path, RIGHT.replace("keep =", 'splay = "24h"\nkeep =')).warnings == ()


def test_how_long_small_ones_must_last_is_the_policys(tmp_path: Path) -> None:
    """Three days, or what it says."""
    longer = RIGHT.replace("keep =", 'suspicious_for = "7d"\nkeep =')
    policies = [loaded(tmp_path, text).policies["standard"] for text in (RIGHT, longer)]
    assert [policy.retention.suspicious_for.days for policy in policies] == [3, 7]


def test_a_pattern_that_leaves_out_everything_is_a_warning(tmp_path: Path) -> None:
    """The backups would be next to nothing, and the good ones go for them."""
    says = '"*" leaves out everything, so that backups hold next to nothing'
    for_all = RIGHT.replace("keep =", 'ignored = ["logs/", "*"]\nkeep =')
    assert loaded(tmp_path, for_all).warnings == (f"policies.standard.ignored: {says}",)


@pytest.mark.parametrize(
    ("first", "second"),
    [("1a7ce997", "1A7CE997"), ("1a7ce997", UUID), (UUID.upper(), "1a7ce997"), (UUID, UUID)],
)
def test_the_same_server_configured_twice_is_refused(tmp_path: Path, first: str, second: str) -> None:
    """By identifier, by uuid, or by one of each: two rotations of one server would undo each other."""
    main = write(tmp_path, RIGHT.replace("1a7ce997", first))
    again = write(tmp_path, f'[servers.again]\nid = "{second}"\n', "conf.d/again.toml")
    (problem,) = problems(main)
    assert (problem.file, problem.key, problem.value) == (str(again), "servers.again.id", f'"{second.lower()}"')
    assert problem.reason == "the same server as servers.survival"


def test_two_servers_whose_uuids_begin_alike_are_two(tmp_path: Path) -> None:
    """Only an identifier leaves open which of them it is."""
    other = UUID[:-1] + "b"
    text = RIGHT.replace("1a7ce997", UUID) + f'[servers.other]\nid = "{other}"\n'
    assert len(loaded(tmp_path, text).servers) == 2


def test_one_identifier_on_two_panels_is_two_servers(tmp_path: Path) -> None:
    """Until two panels have one address, which makes them one panel."""
    two = TWO_PANELS + 'panel = "other"\n'
    assert len(loaded(tmp_path, two, OTHER_KEY).servers) == 2
    one = two.replace("https://other.example.com", "https://Panel.example.com/")
    assert [problem.key for problem in problems(write(tmp_path, one), OTHER_KEY)] == ["servers.again.id"]


def test_a_duplicate_is_found_where_the_rest_is_wrong(tmp_path: Path) -> None:
    """A panel without a url, and two servers on it that are one."""
    text = RIGHT.replace("url =", "ulr =") + '[servers.again]\nid = "1a7ce997"\n'
    assert {problem.key for problem in problems(write(tmp_path, text))} == {
        "panels.main.ulr",
        "panels.main.url",
        "servers.again.id",
    }


def test_the_panel_s_uuids_tell_what_the_configuration_could_not(tmp_path: Path) -> None:
    """At run time each server's uuid is known; the second of two names for one server has a problem."""
    config = loaded(tmp_path, TWO_PANELS + 'panel = "other"\n', OTHER_KEY)
    same = ConfigIssue(
        str(tmp_path / "config.toml"),
        "servers.again.id",
        f'"{UUID}"',
        "the same server as servers.survival",
        "a server is configured once: remove one of the two",
    )
    assert duplicates(config, {"survival": UUID, "again": UUID.upper()}) == (same,)
    assert duplicates(config, {"survival": UUID, "again": UUID[:-1] + "0"}) == ()
    assert duplicates(config, {"survival": UUID}) == ()


@pytest.mark.parametrize(
    ("url", "allow_http", "clear"),
    [
        ("https://panel.example.com", "false", False),
        ("https://panel.example.com", "true", True),
        ("http://panel", "true", True),
        ("http://127.0.0.1", "false", True),
    ],
)
def test_links_may_be_in_the_clear_where_the_panel_is_or_the_operator_says_so(
    tmp_path: Path, url: str, allow_http: str, clear: bool
) -> None:
    """An https panel may hand out http links to its nodes, which everybody on the way could read along."""
    text = RIGHT.replace('url = "https://panel.example.com"', f'url = "{url}"\nallow_http = {allow_http}')
    assert loaded(tmp_path, text).panels["main"].clear_links is clear
