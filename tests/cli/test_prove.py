"""`prove` as a person and a script use it, against a panel over real HTTP, with real archives."""

from datetime import timedelta

import pytest

from daemon.sandbox.archive import Flavour
from daemon.sandbox.records import Backup
from daemon.sandbox.scenes import own_name
from tests.cli.conftest import Cli, Panel, Ran

PROVE = 'prove = { level = "sane" }'
TORN = "world/region/r.0.0.mca: chunk 0,0 is past the end of the file"


@pytest.fixture
def torn(panel: Panel) -> Backup:
    """The newest backup of the policy's own, made a minute ago from a world with a torn region."""
    panel.configure(extra=PROVE)
    made = panel.world.now() - timedelta(minutes=1)
    backup = panel.world.add_backup(
        panel.survival, own_name("survival", made, 99), created_at=made, size=40_000, by="history"
    )
    backup.flavour = Flavour.TORN
    return backup


def prove(cli: Cli, panel: Panel, *words: str) -> Ran:
    """Run the command; the panel's key, and any link, is seen nowhere."""
    ran = cli("--config", panel.config, "prove", *words)
    for secret in ("ptlc_", "token=", "eyJ"):
        assert secret not in ran.out + ran.err
    return ran


def test_the_newest_good_backup_is_proven_and_that_is_remembered(cli: Cli, panel: Panel) -> None:
    """A server without backups has nothing to prove; then nothing of that backup is due any more."""
    panel.configure(extra=PROVE)
    ran = prove(cli, panel)
    assert ran.code == 0
    header, row = ran.out.splitlines()
    assert header.split() == ["server", "where", "backup", "level", "result"]
    assert row.split()[0::4] == ["survival", "proven"]
    due = prove(cli, panel, "--plan", "survival", "--json").json["servers"][0]["due"]
    assert row.split()[2] not in {one["name"] for one in due}


def test_status_reports_what_is_proven(cli: Cli, panel: Panel) -> None:
    """How deep, and when; without `prove` there is no such column."""
    cli("--config", panel.config, "rotate")
    assert "proven" not in cli("--config", panel.config, "status").out
    panel.configure(extra=PROVE)
    header, *rows = cli("--config", panel.config, "status").out.splitlines()
    assert header.split()[3:6] == ["newest", "good", "proven"]
    assert {"not yet" in row for row in rows[:2]} == {True}
    prove(cli, panel, "survival")
    (row,) = (one for one in cli("--config", panel.config, "status").out.splitlines() if one.startswith("survival  "))
    assert "sane, 0 s ago" in row


def test_status_says_that_nothing_sound_is_known(cli: Cli, panel: Panel, torn: Backup) -> None:
    """The newest backup that was read is damaged, and no older one is proven."""
    prove(cli, panel, "survival")
    rows = cli("--config", panel.config, "status").out.splitlines()
    assert "not sound" in next(row for row in rows if row.startswith("survival  "))


def test_the_json_has_these_keys(cli: Cli, panel: Panel, torn: Backup) -> None:
    """Scripts rely on them."""
    ran = prove(cli, panel, "survival", "--json")
    assert ran.code == 4
    document = ran.json
    (held,) = document["servers"][0]["proofs"]
    assert (held.pop("files") > 0, held.pop("unpacked") > 0) == (True, True)
    assert document == {
        "servers": [
            {
                "server": "survival",
                "panel": "main",
                "id": panel.survival.identifier,
                "proofs": [
                    {
                        "uuid": torn.uuid,
                        "name": torn.name,
                        "store": None,
                        "bytes": 40_000,
                        "result": "bad",
                        "level": "sane",
                        "reached": None,
                        "problems": [TORN],
                        "error": None,
                    }
                ],
                "error": None,
            }
        ]
    }


def test_what_is_due_is_shown_with_why_and_nothing_is_read(cli: Cli, panel: Panel, torn: Backup) -> None:
    """The newest first, then what keep_proven lacks; and how much was read today."""
    with panel.config.open("a") as file:
        file.write('\n[proof]\nper_day = "1GiB"\n')
    document = prove(cli, panel, "--plan", "survival", "--json").json
    assert (document["per_day"], document["read_today"]) == (2**30, 0)
    (server,) = document["servers"]
    assert (server["frozen"], server["error"]) == (None, None)
    assert [one["why"] for one in server["due"]][:2] == ["newest", "keep_proven"]
    assert set(server["due"][0]) == {"uuid", "name", "store", "bytes", "level", "by", "why"}
    assert server["due"][0]["uuid"] == torn.uuid
    text = prove(cli, panel, "--plan", "survival").out
    assert "the newest" in text
    assert "read today: 0 B of 1 GiB" in text


def test_too_few_are_proven_only_until_enough_are_listed(cli: Cli, panel: Panel) -> None:
    """The newest counts too. What was never read is not said to be read long ago, and what is late is due now."""
    panel.configure(extra='prove = { level = "sane", newest_within = "1h", every = "2d", keep_proven = 2 }')
    *rows, total, _ = prove(cli, panel, "--plan", "survival").out.splitlines()[1:]
    assert [row.split("  ")[-1] for row in rows[:2]] == ["the newest", "too few are proven"]
    assert {row.split("  ")[-1] for row in rows[2:]} == {"never read"}
    assert {row.split("  ")[-2].strip() for row in rows} == {"now"}
    assert total.startswith(f"in all: {len(rows)} to read, ")
    assert prove(cli, panel, "survival").code == 0
    again = prove(cli, panel, "--plan", "survival").out
    assert again.count("too few are proven") == 1
    assert again.count("never read") == len(rows) - 2
    assert "not read lately" not in again


def test_what_is_due_of_a_server_that_cannot_be_looked_at_is_not_known(cli: Cli, panel: Panel) -> None:
    """That nothing is due would be false."""
    panel.configure(extra=PROVE)
    del panel.world.servers[panel.survival.uuid]
    ran = prove(cli, panel, "--plan", "survival")
    assert ran.code == 4
    assert "not known what is due: survival" in ran.out
    assert "nothing is due" not in ran.out


def test_a_suspended_server_is_skipped_and_one_in_a_passing_state_is_tried_again(cli: Cli, panel: Panel) -> None:
    """Exit 0 and 3, as of `plan`: a job that proves all is not red for ever."""
    panel.configure(extra=PROVE)
    panel.lobby.status = "suspended"
    said = "note: lobby: the server is suspended\nhint: only an administrator can end that\n"
    for words in ((), ("--due",), ("--plan",)):
        both, alone = prove(cli, panel, *words), prove(cli, panel, "lobby", *words)
        assert (both.code, alone.code) == (0, 0)
        assert said in both.err
        assert alone.err == said
        assert "nothing to prove" not in alone.out
    assert prove(cli, panel, "lobby", "--json").json["servers"][0]["error"]["code"] == "server-state"
    panel.lobby.status = "installing"
    assert [prove(cli, panel, "lobby", *words).code for words in ((), ("--due",), ("--plan",))] == [3, 3, 3]
    panel.lobby.status = "install_failed"
    assert [prove(cli, panel, "lobby", *words).code for words in ((), ("--due",), ("--plan",))] == [4, 4, 4]


def test_a_failed_proof_freezes_deletion_until_it_is_accepted(cli: Cli, panel: Panel, torn: Backup) -> None:
    """It is told with the file and the chunk; `plan` refuses, and says how to go on."""
    ran = prove(cli, panel, "survival")
    assert ran.code == 4
    assert ran.out.splitlines()[-1] == f"survival, {torn.name}: {TORN}"
    plan = cli("--config", panel.config, "plan", "survival")
    assert plan.code == 5
    assert "not sound" in plan.out
    assert "prove accept survival" in plan.out
    assert "survival is frozen" in prove(cli, panel, "--plan", "survival").out
    accepted = prove(cli, panel, "accept", "survival", "latest", "--json")
    assert (accepted.code, accepted.json["changed"]) == (0, True)
    assert [one["problems"] for one in accepted.json["accepted"]] == [[TORN]]
    assert prove(cli, panel, "accept", "survival", torn.uuid[:8], "--json").json["changed"] is False
    assert cli("--config", panel.config, "plan", "survival").code == 0


def test_a_bad_backup_that_is_gone_can_be_accepted(cli: Cli, panel: Panel, torn: Backup) -> None:
    """That it is gone thaws nothing, and the panel is not asked."""
    prove(cli, panel, "survival")
    del panel.survival.backups[torn.uuid]
    assert cli("--config", panel.config, "plan", "survival").code == 5
    assert prove(cli, panel, "accept", "survival", torn.name).code == 0
    assert cli("--config", panel.config, "plan", "survival").code == 0


def test_files_that_are_expected_must_be_there(cli: Cli, panel: Panel) -> None:
    """Whatever the game; what is missing freezes as what is torn does."""
    panel.configure(extra='prove = { level = "walked", expect = ["world/level.dat", "*.sqlite"] }')
    (read,) = prove(cli, panel, "survival", "--json").json["servers"][0]["proofs"]
    told = [f"{one}: expected, and no such file is in it" for one in ("world/level.dat", "*.sqlite")]
    assert (read["result"], read["problems"]) == ("bad", told)


def test_a_backup_that_lost_most_of_its_files_is_bad_though_each_of_them_is_whole(cli: Cli, panel: Panel) -> None:
    """Compared with the proven one before it."""
    panel.configure(extra='prove = { level = "sane" }\nsuspicious = 0')
    assert prove(cli, panel, "survival").code == 0
    made = panel.world.now() - timedelta(minutes=1)
    panel.world.add_backup(panel.survival, own_name("survival", made, 98), created_at=made, size=3_000, by="history")
    (read,) = prove(cli, panel, "survival", "--json").json["servers"][0]["proofs"]
    assert read["result"] == "bad"
    assert any("bytes unpacked, and" in one for one in read["problems"])


def test_all_that_is_due_is_read_if_asked_for(cli: Cli, panel: Panel, torn: Backup) -> None:
    """One after the other; some are right, and one is not."""
    ran = prove(cli, panel, "survival", "--due", "--json")
    assert ran.code == 3
    results = [one["result"] for one in ran.json["servers"][0]["proofs"]]
    assert results[0] == "bad"
    assert set(results[1:]) == {"proven"}
    assert len(results) > 2


def test_what_cannot_be_read_is_not_bad(cli: Cli, panel: Panel) -> None:
    """The node has lost the file: nothing is recorded, nothing freezes."""
    panel.configure(extra=PROVE)
    for backup in panel.survival.backups.values():
        backup.file_gone = True
    ran = prove(cli, panel, "survival", "--json")
    (read,) = ran.json["servers"][0]["proofs"]
    assert (ran.code, read["result"], read["problems"]) == (4, "failed", [])
    assert read["error"]["text"] in ran.err
    assert cli("--config", panel.config, "plan", "survival").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("accept", "survival"), "accept takes a server and a backup"),
        (("accept", "survival", "latest"), "no proof of survival has failed"),
        (("--plan", "--due"), "--plan and --due contradict each other"),
    ],
)
def test_what_says_nothing_is_refused(cli: Cli, panel: Panel, words: tuple[str, ...], told: str) -> None:
    """With what would be right."""
    panel.configure(extra=PROVE)
    ran = prove(cli, panel, *words)
    assert ran.code == 2
    assert told in ran.err


def test_a_word_for_another_backup_is_refused_with_those_that_failed(cli: Cli, panel: Panel, torn: Backup) -> None:
    """Nothing is accepted."""
    prove(cli, panel, "survival")
    ran = prove(cli, panel, "accept", "survival", "nothing")
    assert ran.code == 2
    assert f"there are: {torn.name}" in ran.err


def test_a_server_without_rules_is_proven_by_the_usual_ones(cli: Cli, panel: Panel) -> None:
    """If it is named; otherwise there is nothing to prove. And without a state nothing can be."""
    panel.configure()
    said = (
        "note: no server's policy has `prove`\nhint: name a server, or write [policies.NAME.prove]: see docs/proof.md\n"
    )
    for words in ((), ("--due",)):
        ran = prove(cli, panel, *words)
        assert (ran.code, ran.out, ran.err) == (0, "nothing to prove\n", said)
    planned = prove(cli, panel, "--plan")
    assert (planned.code, planned.err) == (0, said)
    assert "nothing is due" in planned.out
    named = prove(cli, panel, "survival")
    assert named.code == 0
    assert said not in named.err
    panel.config.write_text('state_dir = "none"\n' + panel.config.read_text())
    assert prove(cli, panel, "survival").code == 2
