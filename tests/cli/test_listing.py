"""`plan --listing`: verdicts on the lists that a real panel answered."""

import json
from pathlib import Path

import pytest

from tests import captures
from tests.cli.conftest import Cli

PAGES = ("016_list_default", "017_list_page2", "018_list_page3")
NOW = ("--now", "2026-11-23T07:00:00Z")


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Three pages of 45 backups as one JSON array."""
    path = tmp_path / "pages.json"
    path.write_text(json.dumps([captures.load(name).json for name in PAGES]))
    return path


@pytest.fixture
def one_page(tmp_path: Path) -> Path:
    """The first page of three."""
    path = tmp_path / "page.json"
    path.write_text(captures.load(PAGES[0]).body)
    return path


def test_the_captured_list_is_judged_with_reasons(cli: Cli, pages: Path) -> None:
    """45 backups, one an hour: the three newest stay, and the newest of each of three days."""
    ran = cli("plan", "--listing", pages, "--keep", "last=3,daily=3", *NOW, "--json")
    assert ran.code == 0
    assert ran.err == ""
    (server,) = ran.json["servers"]
    assert {key: server[key] for key in ("server", "panel", "id", "complete", "refused", "error")} == {
        "server": str(pages),
        "panel": None,
        "id": None,
        "complete": True,
        "refused": None,
        "error": None,
    }
    kept = [backup["name"] for backup in server["backups"] if backup["verdict"] == "keep"]
    assert kept == ["seed 044", "seed 043", "seed 042", "seed 038", "seed 014"]
    assert server["backups"][0] == {
        "uuid": "d3b06cba-e9d7-4cd5-a986-a6a508c2cc05",
        "name": "seed 044",
        "created_at": "2026-11-23T05:55:13Z",
        "completed_at": "2026-11-23T05:55:13Z",
        "bytes": 702,
        "state": "good",
        "locked": False,
        "own": False,
        "verdict": "keep",
        "reasons": [
            {"rule": "last", "slot": None, "text": "1 of the 3 newest backups"},
            {"rule": "daily", "slot": "2026-11-23", "text": "newest of day 2026-11-23, 1 of 3"},
        ],
    }
    assert [reason["slot"] for reason in server["backups"][3]["reasons"]] == [None, "2026-11-23"]


def test_a_byte_order_mark_before_a_list_is_read_over(cli: Cli, one_page: Path) -> None:
    """PowerShell writes one."""
    one_page.write_bytes(b"\xef\xbb\xbf" + one_page.read_bytes())
    assert cli("plan", "--listing", one_page, "--keep", "last=3", *NOW, "--json").json["servers"][0]["backups"]


def test_in_a_pipe_each_backup_is_one_whole_line(cli: Cli, pages: Path) -> None:
    """Nothing that decides is cut, however long it is, and the last line sums it up."""
    ran = cli("plan", "--listing", pages, "--keep", "last=3,daily=3", *NOW)
    lines = ran.out.splitlines()
    assert len(lines) == 1 + 45 + 1
    assert lines[0].split() == ["created", "name", "state", "size", "whose", "verdict", "why"]
    assert lines[4].split("  ")[-1].strip() == "beyond the 3 newest backups; superseded by seed 044 in day 2026-11-23"
    assert lines[-1] == "keeps 5, deletes 40, ignores 0 (times in UTC)"
    assert not any(line.endswith(" ") for line in lines)
    assert "\x1b" not in ran.out


def test_the_time_zone_decides_which_day_it_is(cli: Cli, pages: Path) -> None:
    """Days are those of the zone that is named, and so are the times shown."""
    ran = cli("plan", "--listing", pages, "--keep", "daily=2", "--timezone", "Asia/Tokyo", *NOW)
    assert "2026-11-23 14:55  seed 044" in ran.out
    assert "(times in Asia/Tokyo)" in ran.out


def test_a_list_with_a_page_missing_is_refused(cli: Cli, one_page: Path) -> None:
    """20 of 45 are judged, nothing is deleted, and the exit code says so."""
    ran = cli("plan", "--listing", one_page, "--keep", "last=3", *NOW)
    assert ran.code == 5
    assert "keeps 3, deletes 0 of 17 beyond retention, ignores 0" in ran.out
    assert "refused: the list of backups" in ran.out
    assert "hint: save what GET" in ran.err


def test_a_template_narrows_it_to_what_is_named_so(cli: Cli, pages: Path) -> None:
    """With --name the scope is own, and all else is foreign and ignored."""
    ran = cli("plan", "--listing", pages, "--keep", "last=1", "--name", "auto-{time}", *NOW, "--json")
    (server,) = ran.json["servers"]
    assert {backup["verdict"] for backup in server["backups"]} == {"ignore"}


def test_the_list_may_come_from_stdin(cli: Cli) -> None:
    """`curl … | ptero-backupd plan --listing -`."""
    ran = cli("plan", "--listing", "-", "--keep", "last=1", *NOW, "--json", stdin=captures.load("015").body)
    assert (ran.code, ran.json["servers"][0]["backups"]) == (0, [])
    assert cli("plan", "--listing", "-", "--keep", "all", stdin=captures.load("015").body).out == "no backups\n"


@pytest.mark.parametrize("name", ["020_list_per_page_100", "032_list_full_uuid", "133_list_after_del_inprog"])
def test_other_captured_lists_are_judged_too(cli: Cli, name: str) -> None:
    """Each prints a verdict and a reason for every row."""
    ran = cli("plan", "--listing", "-", "--keep", "last=2", *NOW, "--json", stdin=captures.load(name).body)
    (server,) = ran.json["servers"]
    assert len(server["backups"]) == len(captures.load(name).json["data"])
    assert all(backup["reasons"] for backup in server["backups"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listing", "no-such-file", "--keep", "last=1"], "no-such-file cannot be read: No such file or directory"),
        (["--listing", "-"], "--listing needs --keep"),
        (["--listing", "-", "--keep", "last=1", "survival"], "--listing judges a file, not a server"),
        (["--listing", "-", "--keep", "last=x"], "last"),
        (["--listing", "-", "--keep", "lst=1"], "did you mean last?"),
        (["--listing", "-", "--keep", "last=1", "--name", "{time}"], "must start with fixed text"),
        (["--listing", "-", "--keep", "last=1", "--timezone", "Berlin"], 'is no IANA time zone'),
        (["--listing", "-", "--keep", "last=1", "--now", "today"], '"today" is no moment'),
        (["--listing", "-", "--keep", "last=1", "--now", "2026-04-01T04:00"], "has no time zone"),
        (["--keep", "last=1"], "--keep needs --listing"),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_a_usage_error(cli: Cli, words: list[str], said: str) -> None:
    """Exit 2, one clear line, nothing on stdout."""
    ran = cli("plan", *words, stdin="{}")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert said in ran.err


@pytest.mark.parametrize("text", ["", "no JSON", "{}", "[]", "[[]]", "[" * 100_000, "\ud800"])
def test_what_is_no_list_response_is_refused_with_a_hint(cli: Cli, text: str) -> None:
    """Whatever the file holds, it is a sentence, never a traceback."""
    ran = cli("plan", "--listing", "-", "--keep", "last=1", "--json", stdin=text)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: -: ")
    assert "hint: save what GET /api/client/servers/ID/backups?per_page=50 answers" in ran.err
