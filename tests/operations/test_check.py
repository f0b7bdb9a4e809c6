"""`check`: what makes rotations fail is found before they do."""

import os
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import pytest

from daemon.config.load import load
from daemon.config.values import Config
from daemon.core.model import Server as PanelServer
from daemon.core.names import Altered
from daemon.errors import Exit, ProblemCode, StateError
from daemon.operations.check import Remembered, check_configuration, check_panels, check_state, exit_code
from daemon.operations.check_server import BY_HAND, view_findings
from daemon.operations.findings import Finding, Severity
from daemon.panel.client import PanelClient
from daemon.panel.errors import ServerStateError
from daemon.sandbox import faults
from daemon.sandbox.records import Server, State, User
from daemon.sandbox.scenes import KEY, empty, history, own_name
from daemon.sandbox.serve import SandboxServer
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World
from daemon.state.local.journal import SqliteJournal
from tests.at_once import at_once
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio

SUBUSER = "ptlc_EXAMPLE_subuser"


class Scene:
    """A panel with one server, survival, with five own backups; and a configuration of it."""

    def __init__(self, clock: FakeClock, folder: Path, settings: Settings | None = None) -> None:
        self.clock = clock
        self.folder = folder
        self.world: World
        self.world, owner, node = empty(clock, settings=settings)
        self.survival: Server = self.world.add_server("survival", owner=owner, node=node, limit=30)
        days = [clock.now() - timedelta(days=day) for day in range(5, 0, -1)]
        history(self.world, self.survival, days)

    async def check(
        self,
        *,
        key: str = KEY,
        servers: Mapping[str, str] | None = None,
        altered: Mapping[str, Altered] = MappingProxyType({}),
        drills: str = "",
        **policy: str,
    ) -> list[Finding]:
        """Check the configuration with those keys of its policy."""
        async with SandboxServer(self.world) as server:
            config = self.configuration(server.url, key, servers, policy, drills)
            clients = {
                name: PanelClient(name, panel.url, panel.api_key, clock=self.clock)
                for name, panel in config.panels.items()
            }
            try:

                async def names(_: str) -> Mapping[str, Altered]:
                    return altered

                return list(await check_panels(config, clients, self.clock, Remembered(names)))
            finally:
                for client in clients.values():
                    await client.aclose()

    def configuration(
        self, url: str, key: str, servers: Mapping[str, str] | None, policy: Mapping[str, str], drills: str = ""
    ) -> Config:
        """The configuration, read from a file."""
        (self.folder / "main.key").write_text(key)
        (self.folder / "main.key").chmod(0o600)
        keys = {"schedule": '"0 4 * * *"', "scope": '"own"', "keep": "{ last = 3 }"} | dict(policy)
        tables = [f'[panels.main]\nurl = "{url}"\napi_key_file = "main.key"\n[policies.standard]']
        tables += [f"{name} = {value}" for name, value in keys.items()]
        ids = {"survival": self.survival.identifier} if servers is None else servers
        tables += [f'[servers.{name}]\nid = "{identifier}"' for name, identifier in ids.items()]
        tables += [drills]
        (self.folder / "config.toml").write_text("\n".join(tables))
        return load(self.folder / "config.toml", {"HOME": str(self.folder)})


@pytest.fixture
def scene(clock: FakeClock, tmp_path: Path) -> Scene:
    """The panel and its one server."""
    return Scene(clock, tmp_path)


def worst(findings: list[Finding]) -> list[tuple[str, str, str]]:
    """Every warning and error: its level, its code, and what it says."""
    return [(f.level.value, f.code, f.text) for f in findings if f.level is not Severity.OK]


def of_limit(findings: list[Finding]) -> Finding:
    """What is said of the backup limit."""
    (finding,) = [finding for finding in findings if finding.code == "limit"]
    return finding


async def test_where_all_is_right_it_says_what_was_looked_at(scene: Scene) -> None:
    """The panel, the server, and the limit, each in a sentence."""
    findings = await scene.check()
    assert worst(findings) == []
    assert [(finding.code, finding.server) for finding in findings] == [
        ("panel", None),
        ("server", "survival"),
        ("limit", "survival"),
    ]
    assert "accepts the key, which sees 1 server, API limit 720 a minute" in findings[0].text
    assert findings[2].text == "the limit of 30 can hold what the policy keeps (3) plus one"
    assert exit_code(findings) is Exit.DONE


async def test_a_key_that_is_refused_fails_the_panel(scene: Scene) -> None:
    """Exit 4, with the hint, and what was not looked at."""
    findings = await scene.check(key="ptlc_EXAMPLE_wrong")
    (finding,) = findings
    assert (finding.level, finding.code, finding.panel) == (Severity.ERROR, "key-refused", "main")
    assert finding.text.endswith("; 1 server not looked at")
    assert "create a client key" in finding.hint
    assert exit_code(findings) is Exit.FAILED


async def test_a_panel_in_maintenance_is_not_said_to_be_tried_again(scene: Scene) -> None:
    """A check looks once: nobody comes back to it."""
    scene.world.faults.order(faults.refused(503, "HttpException", "Maintenance."), times=None)
    (finding, *_) = await scene.check()
    assert (finding.level, finding.code, finding.panel) == (Severity.ERROR, "panel-trouble", "main")
    assert finding.hint == "the panel is in trouble or in maintenance; its own log says more"
    assert "again" not in finding.text


async def test_an_address_that_is_not_allowed_is_told_from_a_permission(scene: Scene) -> None:
    """The panel answers 403 for both."""
    scene.world.add_key("ptlc_EXAMPLE_bound", User("admin", admin=True), allowed_ips=["192.0.2.1"])
    (finding,) = await scene.check(key="ptlc_EXAMPLE_bound")
    assert finding.code == "permission-lacking"
    assert "allow this machine's address" in finding.hint


async def test_a_clock_that_runs_ahead_is_a_warning(clock: FakeClock, tmp_path: Path) -> None:
    """Rotations go by the panel's clock all the same."""
    findings = await Scene(clock, tmp_path, Settings(skew=timedelta(minutes=10))).check()
    assert worst(findings) == [("warning", "clock", "its clock is 10 min ahead of ours")]
    assert exit_code(findings) is Exit.DONE
    findings = await Scene(clock, tmp_path, Settings(skew=timedelta(minutes=-40))).check()
    assert worst(findings) == [("warning", "clock", "its clock is 40 min behind ours")]


async def test_a_clock_that_is_hours_off_is_an_error(clock: FakeClock, tmp_path: Path) -> None:
    """Nothing is deleted by it; but the panel has answered: exit 3."""
    findings = await Scene(clock, tmp_path, Settings(skew=timedelta(hours=-2))).check()
    text = "the panel's clock is 2 h behind ours: backups are made, none is deleted"
    assert worst(findings) == [("error", "clock", text)]
    assert exit_code(findings) is Exit.SOME_FAILED


@pytest.mark.parametrize(
    ("most", "end"),
    [
        ("10", ": none goes; at the panel's limit one goes in 24 hours, so that there is a backup each day"),
        ("0", ": none goes"),
    ],
)
async def test_more_beyond_retention_than_may_go_at_once_is_a_warning(scene: Scene, most: str, end: str) -> None:
    """The limit may hold the policy, and the brake hold all the same."""
    findings = await scene.check(keep="{ last = 1 }", max_deletions=most)
    (finding,) = [one for one in findings if one.code == "max-deletions"]
    assert finding.level == "warning"
    assert finding.text.startswith("would delete ")
    assert finding.text.endswith(end)
    assert "--max-deletions" in finding.hint


async def test_a_server_that_is_unknown_is_named_with_what_was_meant(scene: Scene) -> None:
    """By the id, or by the name that it was given; exit 3, since the panel itself answers."""
    identifier = scene.survival.identifier
    near = identifier[:-1] + ("0" if identifier[-1] != "0" else "1")
    findings = await scene.check(servers={"smp": near})
    assert [level for level, _, _ in worst(findings)] == ["error"]
    assert findings[-1].hint == f"did you mean {identifier} (survival)?"
    assert exit_code(findings) is Exit.SOME_FAILED
    assert (await scene.check(servers={"survivl": "00000000"}))[-1].hint == f"did you mean {identifier} (survival)?"
    assert (await scene.check(servers={"x": "00000000"}))[-1].hint.startswith("check the id")


async def test_trouble_with_one_server_leaves_the_others_alone(scene: Scene) -> None:
    """Each is looked at for itself."""
    other = scene.world.add_server("lobby", owner=scene.survival.owner, node=scene.survival.node)
    scene.world.faults.order(faults.refused(403), on="server", server=other.identifier, times=None)
    findings = await scene.check(servers={"survival": scene.survival.identifier, "lobby": other.identifier})
    assert [(finding.server, finding.code) for finding in findings if finding.level is Severity.ERROR] == [
        ("lobby", "permission-lacking")
    ]
    assert ("survival", "limit") in [(finding.server, finding.code) for finding in findings]


@pytest.mark.parametrize(
    ("status", "text", "hint"),
    [
        ("suspended", "is suspended: it is skipped until that ends", "only an administrator can end that"),
        ("installing", "is installing: it is skipped until that ends", "wait until the server is idle again"),
        (
            "install_failed",
            "is not installed (install_failed): no backup of it can be made",
            ServerStateError.installed_hint,
        ),
    ],
)
async def test_a_server_in_a_state_that_forbids_backups_is_a_warning(
    scene: Scene, status: str, text: str, hint: str
) -> None:
    """Its backups cannot be listed then, so they are not."""
    scene.survival.status = status
    findings = await scene.check()
    assert worst(findings) == [("warning", "server-state", text)]
    assert [finding.hint for finding in findings if finding.code == "server-state"] == [hint]


async def test_permissions_that_rotation_needs_are_errors_and_the_others_are_said(scene: Scene) -> None:
    """Exit 3; what only commands by hand need costs nothing."""
    scene.world.add_key(SUBUSER, User("guest"))
    scene.survival.subusers["guest"] = ("backup.read", "backup.download")
    findings = await scene.check(key=SUBUSER)
    assert worst(findings) == [("error", "permission-lacking", "the key lacks backup.create, backup.delete")]
    assert findings[-1].text == "the key lacks backup.restore, which only commands by hand need"


async def test_what_is_to_be_proven_or_copied_must_be_downloadable(scene: Scene) -> None:
    """Otherwise nothing ever is, and `keep_proven` and `copy_before_delete` let nothing go."""
    scene.world.add_key(SUBUSER, User("guest"))
    scene.survival.subusers["guest"] = ("backup.read", "backup.create", "backup.delete", "backup.restore")
    assert worst(await scene.check(key=SUBUSER)) == []
    nas = f'[stores.nas]\nurl = "file://{scene.folder}"'
    proven = await scene.check(key=SUBUSER, prove="{}")
    copied = await scene.check(key=SUBUSER, drills=nas, copies='["nas"]')
    for findings in (proven, copied):
        assert worst(findings) == [("error", "permission-lacking", "the key lacks backup.download")]
        assert exit_code(findings) is Exit.SOME_FAILED
    scene.survival.subusers["guest"] = ("backup.read", "backup.create", "backup.delete")
    assert worst(await scene.check(key=SUBUSER)) == []


async def test_what_a_drill_would_be_refused_for_is_a_warning(scene: Scene) -> None:
    """The mark, the state and the permissions of its spare server; and that the backups can be downloaded."""
    spare = scene.world.add_server("spare", owner=scene.survival.owner, node=scene.survival.node, limit=9)
    scene.world.add_key(SUBUSER, User("guest"))
    for server in (scene.survival, spare):
        server.subusers["guest"] = ("backup.read", "backup.create", "backup.delete", "file.read", "control.start")
    drill = '[drills.monthly]\nserver = "spare"\nfrom = ["survival"]\nstart = true\nconsole = "Done"'
    servers = {"survival": scene.survival.identifier, "spare": spare.identifier}

    async def told(key: str = KEY) -> list[tuple[str, str, str]]:
        findings = await scene.check(key=key, servers=servers, drills=drill)
        assert exit_code(findings) is Exit.DONE
        return worst(findings)

    unmarked = ("warning", "not-a-drill", "drill monthly would fail: its description does not carry #drill")
    assert await told() == [unmarked]
    spare.status = "suspended"
    assert await told() == [
        ("warning", "server-state", "is suspended: it is skipped until that ends"),
        ("warning", "server-state", "drill monthly would fail: it is suspended"),
        unmarked,
    ]
    spare.status, spare.description = None, "for tests #drill"
    assert await told() == []
    lacks = "control.stop, file.create, file.delete, websocket.connect"
    assert await told(SUBUSER) == [
        ("warning", "permission-lacking", "drill monthly would fail: the key lacks backup.download"),
        ("warning", "permission-lacking", f"drill monthly would fail: the key lacks {lacks}"),
    ]


async def test_a_panel_that_answers_something_else_is_an_error(scene: Scene) -> None:
    """A login page, or a fork."""
    scene.world.faults.order(faults.odd({"object": "server", "attributes": {}}), on="server")
    assert [code for _, code, _ in worst(await scene.check())] == ["strange-answer"]


def test_permissions_that_the_panel_does_not_tell_are_not_guessed(scene: Scene) -> None:
    """A fork may leave them out."""
    config = scene.configuration("https://panel.example.com", KEY, None, {}).servers["survival"]
    server = PanelServer("u", "1a7ce997", "survival", "node1", 5)
    assert view_findings(config, server) == []
    assert len(view_findings(config, replace(server, permissions=frozenset(BY_HAND)))) == 1


@pytest.mark.parametrize("limit", [4, 5, 29])
async def test_a_limit_that_can_hold_what_is_kept_and_one_more_is_right(scene: Scene, limit: int) -> None:
    """Three, and the coming one."""
    scene.survival.limit = limit
    assert of_limit(await scene.check()).level is Severity.OK


async def test_a_limit_that_is_too_small_is_a_warning(scene: Scene) -> None:
    """What the rules can keep at most, and how large the limit would have to be."""
    scene.survival.limit = 5
    finding = of_limit(await scene.check(keep="{ last = 5, daily = 8 }"))
    assert finding.level is Severity.WARNING
    assert finding.text == "the limit of 5 cannot hold what the policy keeps (12) plus one"
    assert "raise the limit to 13" in finding.hint


async def test_min_good_counts_where_it_is_more_than_the_rules(scene: Scene) -> None:
    """It is kept whatever they say."""
    scene.survival.limit = 5
    assert "keeps (5) plus one" in of_limit(await scene.check(min_good="5")).text


async def test_what_is_never_deleted_takes_slots_too(scene: Scene) -> None:
    """Locked ones, and in scope own foreign ones; failed ones take none, as the panel counts."""
    scene.survival.limit = 5
    for state, name, locked in (
        (State.GOOD, "foreign", False),
        (State.GOOD, "foreign and locked", True),
        (State.FAILED, "failed and locked", True),
    ):
        scene.world.add_backup(scene.survival, name, state=state, locked=locked)
    finding = of_limit(await scene.check())
    assert finding.text == (
        "the limit of 5 cannot hold what the policy keeps (3) plus one, and 2 backups that it never deletes"
    )
    assert "and 1 backup that it never deletes" in of_limit(await scene.check(scope='"all"')).text


async def test_a_server_that_was_renamed_is_a_warning(scene: Scene) -> None:
    """What it was called before made all its backups, and retention no longer touches them; also_own does."""
    identifier = scene.survival.identifier
    scene.world.add_backup(scene.survival, "by hand")
    findings = await scene.check(servers={"survival2": identifier})
    said = "none of its backups is its own, and 5 backups would be under the name survival: was it renamed?"
    assert worst(findings) == [("warning", "renamed", said)]
    (finding,) = [finding for finding in findings if finding.code == "renamed"]
    assert finding.hint == '`also_own = ["auto-survival-{time}-{id}"]` makes them its own again'
    assert worst(await scene.check(servers={"survival2": identifier}, also_own='["auto-survival-{time}-{id}"]')) == []
    assert worst(await scene.check(servers={"survival2": identifier}, scope='"all"')) == []
    scene.world.add_backup(scene.survival, own_name("survival2", scene.clock.now(), 0))
    assert worst(await scene.check(servers={"survival2": identifier})) == []


async def test_a_limit_of_none_is_an_error_whatever_else_is_wrong(scene: Scene) -> None:
    """Every rotation would be refused."""
    for scene.survival.limit in (0, None):
        finding = of_limit(await scene.check())
        assert (finding.level, finding.text) == (Severity.ERROR, "the panel allows this server no backups at all")
    scene.survival.status = "installing"
    assert [code for _, code, _ in worst(await scene.check())] == ["server-state", "limit"]


@pytest.mark.parametrize(
    ("keep", "level"),
    [('"all"', Severity.WARNING), ("{ last = 3, yearly = -1 }", Severity.WARNING), ('{ within = "30d" }', Severity.OK)],
)
async def test_rules_without_a_bound_are_said(scene: Scene, keep: str, level: Severity) -> None:
    """Those that let nothing go will meet any limit."""
    finding = of_limit(await scene.check(keep=keep))
    assert finding.level is level
    assert "has no bound in number; the limit is 30" in finding.text


async def test_a_list_that_cannot_be_read_is_an_error(scene: Scene) -> None:
    """So a rotation could not read it either."""
    scene.world.faults.order(faults.odd([]), on="list", times=None)
    assert [code for _, code, _ in worst(await scene.check())] == ["strange-answer"]


async def test_one_server_under_two_names_is_a_mistake_in_the_configuration(scene: Scene) -> None:
    """One panel under two addresses, which only its own uuids can tell; exit 2."""
    async with SandboxServer(scene.world) as server:
        here = scene.configuration(server.url, KEY, None, {})
        again = replace(here.panels["main"], name="again", url=server.url.replace("127.0.0.1", "localhost"))
        smp = replace(here.servers["survival"], name="smp", panel=again)
        config = replace(here, panels={**here.panels, "again": again}, servers={**here.servers, "smp": smp})
        async with (
            PanelClient("main", server.url, here.panels["main"].api_key, clock=scene.clock) as main,
            PanelClient("again", again.url, again.api_key, clock=scene.clock) as other,
        ):
            findings = await check_panels(config, {"main": main, "again": other}, scene.clock)
    finding = findings[-1]
    assert (finding.level, finding.code) == (Severity.ERROR, "duplicate")
    assert finding.text == "servers.smp.id: the same server as servers.survival"
    assert exit_code(findings) is Exit.USAGE


def test_without_a_panel_the_configuration_and_its_warnings_are_told(scene: Scene) -> None:
    """Which files, how many servers, and what is unwise."""
    config = scene.configuration("https://panel.example.com", "EXAMPLE_odd", None, {})
    first, warning = check_configuration(config)
    assert first.text == f"{scene.folder / 'config.toml'}: 1 server on 1 panel"
    assert (warning.level, warning.code) == (Severity.WARNING, "configuration")
    assert exit_code([first, warning]) is Exit.DONE


def test_a_state_folder_that_can_be_used_is_said_and_nothing_is_made_in_it(tmp_path: Path) -> None:
    """One that is still to be made, an empty one, and one with a journal and locks."""
    state = tmp_path / "ptero" / "state"
    prepare: list[Callable[[], None]] = [
        lambda: None,
        lambda: state.mkdir(parents=True),
        lambda: SqliteJournal.open(state).close(),
    ]
    for step in prepare:
        step()
        before = sorted(tmp_path.rglob("*"))
        assert at_once(check_state(state)) == (
            Finding(Severity.OK, ProblemCode.STATE, f"the state folder {state} can be used"),
        )
        assert sorted(tmp_path.rglob("*")) == before


def test_no_state_is_fine_and_said() -> None:
    """A sidecar without a volume."""
    (finding,) = at_once(check_state(None))
    assert (finding.level, finding.code) == (Severity.OK, "state")
    assert finding.text == 'state_dir is "none": nothing is remembered'


@pytest.mark.parametrize("place", ["state", "state/locks", "state/history.sqlite3/x"])
def test_whatever_stands_in_the_way_of_journal_and_locks_is_found(tmp_path: Path, place: str) -> None:
    """Something else where the folder, the locks or the journal are to be: exactly what a run finds."""
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (finding,) = at_once(check_state(tmp_path / "state"))
    assert (finding.level, finding.code, finding.hint) == (Severity.ERROR, "state", StateError.default_hint)
    assert finding.text.endswith(": backups are made, none is deleted")
    assert exit_code([finding]) is Exit.SOME_FAILED


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a while")
def test_a_state_folder_of_somebody_else_is_found() -> None:
    """One that this user may read, and not write; and one below a folder that it may not even look into."""
    with TemporaryDirectory() as folder:
        state = Path(folder, "state")
        state.mkdir()
        for mode, looked_at in ((0o755, state), (0o700, state), (0o700, state / "missing")):
            Path(folder).chmod(mode)
            with as_somebody_else():
                (finding,) = at_once(check_state(looked_at))
            assert "Permission denied" in finding.text
            assert finding.level is Severity.ERROR


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a while")
def test_a_state_folder_that_somebody_else_must_make_is_an_error() -> None:
    """As one that cannot be written: the daemon deletes nothing. Before its first start systemd makes it."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        state = Path(folder, "lib", "ptero-backupd")
        with as_somebody_else():
            (finding,) = at_once(check_state(state))
        assert (finding.level, finding.code) == (Severity.ERROR, "state")
        said = f"the state folder {state} does not exist yet, and this user cannot make it"
        assert finding.text == f"{said}: backups are made, none is deleted"
        assert finding.hint == "what starts the daemon must make it, as systemd does by StateDirectory"
        assert exit_code([finding]) is Exit.SOME_FAILED


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Whoever may do what everybody may."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_disk_without_room_is_found(tmp_path: Path) -> None:
    """Making a file is not enough: it must be possible to fill it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        (finding,) = at_once(check_state(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (finding.level, finding.code) == (Severity.ERROR, "state")
    assert "cannot be opened: File too large" in finding.text


def test_a_journal_that_is_damaged_is_said_each_time(tmp_path: Path) -> None:
    """Nothing is mended by looking; the daemon's next start does that, and then backups are deleted as before."""
    path = tmp_path / "history.sqlite3"
    path.write_text("no database" * 100)
    for _ in range(2):
        (finding,) = at_once(check_state(tmp_path))
        assert (finding.level, finding.code) == (Severity.ERROR, "state")
        assert finding.text == f"the journal {path} is damaged"
        assert finding.hint == "when the daemon starts next, it sets the damaged file aside and begins a new one"
    SqliteJournal.open(tmp_path).close()
    assert [one.level for one in at_once(check_state(tmp_path))] == [Severity.OK]


def test_a_state_folder_is_no_panel() -> None:
    """Where no panel answered it is 4, whatever else is wrong."""
    broken = Finding(Severity.ERROR, ProblemCode.PANEL_UNREACHABLE, "", panel="b")
    assert exit_code([Finding(Severity.ERROR, ProblemCode.STATE, ""), broken]) is Exit.FAILED


def test_some_panels_failing_is_not_all() -> None:
    """3 for some, 4 for all."""
    fine = Finding(Severity.OK, ProblemCode.PANEL, "", panel="a")
    broken = Finding(Severity.ERROR, ProblemCode.PANEL_UNREACHABLE, "", panel="b")
    assert exit_code([fine, broken]) is Exit.SOME_FAILED
    assert exit_code([broken]) is Exit.FAILED


async def test_a_template_that_panels_alter_is_warned_of(scene: Scene) -> None:
    """Without asking any panel: the name would no longer say whose the backup is."""
    plain = scene.configuration("https://panel.example.com", KEY, None, {})
    assert "name" not in {finding.code for finding in check_configuration(plain)}
    fancy = scene.configuration("https://panel.example.com", KEY, None, {"name": '"[auto] {time} & 🔥"'})
    (found,) = (finding for finding in check_configuration(fancy) if finding.code == "name")
    assert (found.level, found.text.partition(": ")[2]) == (Severity.WARNING, "[ ] & 🔥")


async def test_names_that_the_panel_altered_are_told_and_counted_as_its_own(scene: Scene) -> None:
    """They are known by their uuids, so that they neither fill the limit nor look renamed."""
    altered = {}
    for backup in scene.survival.backups.values():
        altered[backup.uuid] = Altered(backup.name, backup.name.lower())
        backup.name = backup.name.lower()
    scene.survival.limit = 5
    unknown = await scene.check()
    assert "5 backups that it never deletes" in next(one.text for one in unknown if one.code == "limit")
    known = await scene.check(altered=altered)
    assert worst(known) == [
        (
            "warning",
            "name-altered",
            f'the panel alters names, such as to "{backup.name}": 5 backups known by uuid alone',
        )
    ]
