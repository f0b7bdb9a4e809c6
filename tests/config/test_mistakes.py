"""Each mistake is named with its file, key, value, reason and suggestion, and all of them at once."""

from pathlib import Path

import pytest

from daemon.config.errors import ConfigError, ConfigIssue, shown
from daemon.config.load import load
from daemon.errors import Exit
from tests.config.support import ENVIRONMENT, KEY, RIGHT, loaded, problems, write

URL = 'url = "https://panel.example.com"'
SECOND = '\n[panels.second]\nurl = "https://two.example.com"\napi_key_file = "second.key"\n'
HOURLY = '\n[policies.hourly]\nschedule = "@hourly"\nscope = "own"\nkeep = "all"\n'
EXAMPLE_URL = 'such as "https://panel.example.com"'
NO_ZONE = "is no IANA time zone"
SHARE = "must be a number"

# what is written instead of what → the key, the value that is shown, words of the reason, words of the suggestion
MISTAKES = [
    # unknown keys
    ("\n[panels.main]", 'stat_dir = "/x"\n[panels.main]', "stat_dir", None, "unknown key", "did you mean state_dir?"),
    ("\n[panels.main]", "[panel]\n[panels.main]", "panel", None, "unknown key", "did you mean panels?"),
    (URL, f'{URL}\napi_key_fil = "x"', "panels.main.api_key_fil", None, "unknown key", "did you mean api_key_file?"),
    (URL, f"{URL}\nzzz = 1", "panels.main.zzz", None, "unknown key", "known here: url, api_key_file, allow_http"),
    ("daily = 7", "weekley = 4", "policies.standard.keep.weekley", None, "unknown key", "did you mean weekly?"),
    (
        "keep =",
        "backups_per_nod = 2\nkeep =",
        "policies.standard.backups_per_nod",
        None,
        "unknown key",
        "did you mean backups_per_node, a key of panels?",
    ),
    ('id = "', 'polcy = "x"\nid = "', "servers.survival.polcy", None, "unknown key", "did you mean policy?"),
    # shapes and types
    (
        "\n[panels.main]",
        'spool = "much"\n[panels.main]',
        "spool",
        '"much"',
        "is not a size",
        "",
    ),
    ("\n[panels.main]", "spool = false\n[panels.main]", "spool", "false", "must be a size", 'or "off"'),
    ("\n[panels.main]", "state_dir = 5\n[panels.main]", "state_dir", "5", "must be the path of a folder", '"none"'),
    ("[servers.survival]\nid", "[servers]\nsurvival", "servers.survival", None, "must be a table", "[servers.NAME]"),
    ('[servers.survival]\nid = "1a7ce997"', "[[servers]]\nid = 1", "servers", '[{"id": 1}]', "must hold tables", ""),
    (URL, "url = 5", "panels.main.url", "5", "must be text in quotes", EXAMPLE_URL),
    (URL, f'{URL}\nbackups_per_node = "1"', "panels.main.backups_per_node", '"1"', "must be a whole number", ""),
    (URL, f"{URL}\nbackups_per_node = true", "panels.main.backups_per_node", "true", "must be a whole number", ""),
    (URL, f"{URL}\nbackups_per_node = 1.5", "panels.main.backups_per_node", "1.5", "must be a whole number", ""),
    (URL, f"{URL}\nbackups_per_node = 0", "panels.main.backups_per_node", "0", "must be at least 1", ""),
    (URL, f"{URL}\nallow_http = 1", "panels.main.allow_http", "1", "must be true or false", ""),
    (URL, f"{URL}\napi_reserve = 1", "panels.main.api_reserve", "1", "must be less than 1", ""),
    (URL, f"{URL}\napi_reserve = -0.1", "panels.main.api_reserve", "-0.1", "must be at least 0", ""),
    (URL, f"{URL}\napi_reserve = nan", "panels.main.api_reserve", "NaN", "must be a number", ""),
    (URL, f'{URL}\napi_reserve = "a"', "panels.main.api_reserve", '"a"', "must be a number", ""),
    ("keep =", "ignored = 'logs/'\nkeep =", "policies.standard.ignored", '"logs/"', "must be a list", ""),
    ("keep =", "timeout = 2026-04-01\nkeep =", "policies.standard.timeout", '"2026-04-01"', "must be text", ""),
    # names
    ("servers.survival", "servers.Survival", "servers.Survival", None, "a name is made of a-z, 0-9 and -", ""),
    ("servers.survival", 'servers."my server"', 'servers."my server"', None, "a name is made of", ""),
    ("servers.survival", "servers.-x", "servers.-x", None, "begins with no -", ""),
    # panels
    (URL, "", "panels.main.url", None, "is required", EXAMPLE_URL),
    (URL, 'url = "panel.example.com"', "panels.main.url", '"panel.example.com"', "must be an address", EXAMPLE_URL),
    (URL, 'url = "ftp://x.example.com"', "panels.main.url", '"ftp://x.example.com"', "must be an address", EXAMPLE_URL),
    (URL, 'url = "https://[::1"', "panels.main.url", '"https://[::1"', "cannot be read as an address", EXAMPLE_URL),
    (URL, 'url = "https://x:99999"', "panels.main.url", '"https://x:99999"', "cannot be read", EXAMPLE_URL),
    (URL, 'url = "https://x y.example.com"', "panels.main.url", '"https://x y.example.com"', "must be an address", ""),
    (URL, 'url = "https://u:hunter2@x"', "panels.main.url", None, "must not hold a user", "api_key_file"),
    (URL, 'url = "https://x/?a=b"', "panels.main.url", '"https://x/?…"', "must end with the host", "leave out ?"),
    (URL, 'url = "https://x/#"', "panels.main.url", '"https://x/#"', "must end with the host", "leave out ?"),
    (
        URL,
        'url = "https://x/api/client/"',
        "panels.main.url",
        '"https://x/api/client/"',
        "own address",
        "leave out /api",
    ),
    (URL, 'url = "http://panel"', "panels.main.url", '"http://panel"', "in the clear", "allow_http = true"),
    (URL, f'{URL}\napi_key = "{KEY}"', "panels.main.api_key", None, "does not belong in", "API_KEY"),
    # policies
    ('schedule = "0 4 * * *"', "", "policies.standard.schedule", None, "is required", 'such as "0 4 * * *"'),
    ("0 4 * * *", "'0 4 * * *'", "policies.standard.schedule", "\"'0 4 * * *'\"", "", "the quotes are a part"),
    ("0 4 * * *", "0 22-2 * * *", "policies.standard.schedule", '"0 22-2 * * *"', "as 22-23,0-2", ""),
    ("0 4 * * *", "0 4 * *", "policies.standard.schedule", '"0 4 * *"', "is not a schedule", ""),
    ("0 4 * * *", "0 0 4 * * *", "policies.standard.schedule", '"0 0 4 * * *"', "is not a schedule", ""),
    ("keep =", "timezone = 'Berlin'\nkeep =", "policies.standard.timezone", '"Berlin"', NO_ZONE, "/Berlin?"),
    (
        "keep =",
        "timezone = 'Europa/Berlin'\nkeep =",
        "policies.standard.timezone",
        '"Europa/Berlin"',
        NO_ZONE,
        "Europe/Berlin?",
    ),
    (
        "keep =",
        "timezone = 'new york'\nkeep =",
        "policies.standard.timezone",
        '"new york"',
        NO_ZONE,
        "America/New_York?",
    ),
    *(
        ("keep =", f"timezone = '{zone}'\nkeep =", "policies.standard.timezone", f'"{zone}"', NO_ZONE, right)
        for zone, right in [
            ("GMT+1", 'such as "Europe/Berlin", which knows of summer time; "Etc/GMT-1" is always UTC+1 (its sign is'),
            ("GMT-5", '"Etc/GMT+5" is always UTC-5'),
            ("GMT+02", '"Etc/GMT-2" is always UTC+2'),
            ("UTC+2", '"Etc/GMT-2" is always UTC+2'),
            ("utc-12:00", '"Etc/GMT+12" is always UTC-12'),
            ("Etc/GMT+02", '"Etc/GMT-2" is always UTC+2'),
            ("+03:00", '"Etc/GMT-3" is always UTC+3'),
            ("UTC+5:30", "name a city's zone"),
            ("UTC-13", "name a city's zone"),
            ("UTC+00", 'or "UTC"'),
            ("GMT1", 'such as "Europe/Berlin" or "UTC"'),
        ]
    ),
    ("keep =", "timezone = '/etc/passwd'\nkeep =", "policies.standard.timezone", '"/etc/passwd"', NO_ZONE, "such as"),
    ("keep =", "timezone = 'Europe'\nkeep =", "policies.standard.timezone", '"Europe"', NO_ZONE, ""),
    ("keep =", "splay = '20'\nkeep =", "policies.standard.splay", '"20"', "is not a duration", ""),
    ('scope = "own"', "", "policies.standard.scope", None, "is required", '"own" deletes only'),
    ('scope = "own"', 'scope = "onw"', "policies.standard.scope", '"onw"', 'must be "own" or "all"', '"all"'),
    ("keep =", "name = '{time}'\nkeep =", "policies.standard.name", '"{time}"', "must start with fixed text", ""),
    ("keep =", "name = 'a-{tiem}'\nkeep =", "policies.standard.name", '"a-{tiem}"', "no placeholder", ""),
    ("keep =", "also_own = ['a']\nkeep =", "policies.standard.also_own", '"a"', "must hold {time}", ""),
    ("keep =", 'ignored = ["a\\nb"]\nkeep =', "policies.standard.ignored", '"a\\nb"', "must be one pattern", ""),
    ("keep =", "ignored = [' ']\nkeep =", "policies.standard.ignored", '" "', "must be one pattern", ""),
    ("keep = { last = 3, daily = 7 }", "", "policies.standard.keep", None, "is required", "last = 3"),
    ("{ last = 3, daily = 7 }", "{}", "policies.standard.keep", None, "holds no rule", '"all"'),
    ("{ last = 3, daily = 7 }", '"al"', "policies.standard.keep", '"al"', 'must be "all" or a table', "last = 3"),
    ("last = 3", "last = 0", "policies.standard.keep.last", "0", "must be 1 or more, or -1", "leave it out"),
    ("last = 3", "last = -2", "policies.standard.keep.last", "-2", "must be 1 or more, or -1", ""),
    ("last = 3", "within = '6m'", "policies.standard.keep.within", '"6m"', "months are mo", ""),
    ("keep =", "timeout = '0s'\nkeep =", "policies.standard.timeout", '"0s"', "longer than nothing", ""),
    ("keep =", "min_good = 0\nkeep =", "policies.standard.min_good", "0", "must be at least 1", ""),
    ("keep =", "total_size = 'big'\nkeep =", "policies.standard.total_size", '"big"', "is not a size", ""),
    ("keep =", "total_size = true\nkeep =", "policies.standard.total_size", "true", "must be a size", '"50GiB"'),
    ("keep =", "total_size = 0\nkeep =", "policies.standard.total_size", "0", "less than one byte", ""),
    ("keep =", "failed_after = '2h'\nkeep =", "policies.standard.failed_after", '"2h"', "at least 12h", '"never"'),
    ("keep =", "suspicious = 1.0\nkeep =", "policies.standard.suspicious", "1.0", "must be less than 1", ""),
    ("keep =", "max_deletions = -2\nkeep =", "policies.standard.max_deletions", "-2", "or -1 for no bound", ""),
    ("keep =", "max_share = 50\nkeep =", "policies.standard.max_share", "50", "must be at most 1", ""),
    (
        "{ last = 3, daily = 7 }",
        '"all"\ntotal_size = "1GB"',
        "policies.standard",
        None,
        "total_size can do nothing",
        "",
    ),
    # servers
    ('id = "1a7ce997"', "", "servers.survival.id", None, "is required", "ptero-backupd servers"),
    ('"1a7ce997"', '"1a7ce99"', "servers.survival.id", '"1a7ce99"', "8-character identifier", "ptero-backupd servers"),
    ('id = "', 'panel = "mian"\nid = "', "servers.survival.panel", '"mian"', "no such panel", "did you mean main?"),
    ('id = "', 'policy = "x"\nid = "', "servers.survival.policy", '"x"', "no such policy", "known here: standard"),
    ('id = "', 'panel = 5\nid = "', "servers.survival.panel", "5", "must be text in quotes", ""),
    ("\n[servers", HOURLY + "[servers", "servers.survival.policy", None, "more than one", "one of standard, hourly"),
    ('id = "', 'keep = { lst = 3 }\nid = "', "servers.survival.keep.lst", None, "unknown key", "did you mean last?"),
    ('id = "', 'total_size = "1GB"\nkeep = "all"\nid = "', "servers.survival", None, "can do nothing", ""),
    ('id = "', f'name = "{"x" * 170}{{time}}x{{id}}"\nid = "', "servers.survival.name", None, "195 characters", ""),
]


@pytest.mark.parametrize("value_error", MISTAKES, ids=lambda value_error: f"{value_error[2]}: {value_error[4]}")
def test_a_mistake_is_named(tmp_path: Path, value_error: tuple[str, str, str, str | None, str, str]) -> None:
    """One thing is wrong, and exactly that is said."""
    old, new, key, value, reason, suggestion = value_error
    assert old in RIGHT
    path = write(tmp_path, RIGHT.replace(old, new, 1))
    (problem,) = problems(path)
    assert (problem.file, problem.key, problem.value) == (str(path), key, value)
    assert reason in problem.reason
    assert suggestion in problem.suggestion


def test_what_they_are_mistakes_in_is_right(tmp_path: Path) -> None:
    """Otherwise the table above would prove nothing."""
    assert loaded(tmp_path).warnings == ()


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    """No mistake hides another: not in the same table, not between tables, files and the environment."""
    text = RIGHT.replace("last = 3", "lst = 3").replace('"own"', '"mine"').replace("id =", 'panel = "x"\nid =')
    path = write(tmp_path, text + SECOND)
    extra = write(tmp_path, "[servers.other]\nid = 1\npolicy = 'x'", "conf.d/other.toml")
    found = problems(path, ENVIRONMENT | {"PTERO_BACKUPD_STATE_DRI": "/x", "PTERO_BACKUPD_STATE_DIR": "relative"})
    assert {(problem.file, problem.key) for problem in found} == {
        (str(path), "policies.standard.keep.lst"),
        (str(path), "policies.standard.scope"),
        (str(path), "servers.survival.panel"),
        (str(path), "panels.second.api_key_file"),
        (str(extra), "servers.other.id"),
        (str(extra), "servers.other.panel"),
        (str(extra), "servers.other.policy"),
        ("environment", "PTERO_BACKUPD_STATE_DRI"),
        ("environment", "state_dir"),
    }


def test_the_error_reads_as_a_list_by_file(tmp_path: Path) -> None:
    """Its text is what an operator sees: exit code 2, one line a problem, below its file."""
    path = write(tmp_path, RIGHT.replace("daily = 7", "weekley = 7").replace("0 4 * * *", "daily"))
    with pytest.raises(ConfigError) as refusal:
        loaded(tmp_path, path.read_text(), ENVIRONMENT | {"PTERO_BACKUPD_X": ""})
    assert refusal.value.exit_code == Exit.USAGE
    lines = refusal.value.text.splitlines()
    assert lines[:2] == ["the configuration is refused: 3 problems", str(path)]
    assert lines[2].startswith('  policies.standard.schedule: "daily" is not a schedule: write five fields')
    assert lines[3:5] == ["  policies.standard.keep.weekley: unknown key; did you mean weekly?", "environment"]
    assert lines[5].startswith("  PTERO_BACKUPD_X: no such key; parts are joined by two underscores")


@pytest.mark.parametrize(("length", "refused"), [(191, 0), (192, 1)])
def test_a_name_may_have_191_characters(tmp_path: Path, length: int, refused: int) -> None:
    """The panel's own limit, to the letter; a backup's name is known in full before it is made."""
    fixed = "x" * (length - len("20260401T040000Z"))
    path = write(tmp_path, RIGHT + f'name = "{fixed}{{time}}"\n')
    assert len(problems(path) if refused else load(path, ENVIRONMENT).warnings) == refused


def test_a_server_called_keep_is_a_server(tmp_path: Path) -> None:
    """Its unknown keys are not taken for rules."""
    text = RIGHT.replace("survival", "keep") + "polcy = 1\n"
    assert [problem.suggestion for problem in problems(write(tmp_path, text))] == ["did you mean policy?"]


def test_what_nests_too_deeply_to_be_shown_is_not() -> None:
    """And it is no bug either."""
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested) == "…"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (ConfigIssue("f", "a.b", "5", "must be less", "write 4"), "a.b = 5: must be less; write 4"),
        (ConfigIssue("f", "a.b", '"x"', '"x" is no size'), 'a.b: "x" is no size'),
        (ConfigIssue("f", "", None, "there is no such file"), "there is no such file"),
    ],
)
def test_a_problem_is_one_sentence(problem: ConfigIssue, text: str) -> None:
    """Key and value, the reason, the suggestion; a value that the reason tells is told once."""
    assert str(problem) == text


def test_a_long_value_is_shortened(tmp_path: Path) -> None:
    """A line stays a line."""
    (problem,) = problems(write(tmp_path, RIGHT.replace("0 4 * * *", "x" * 500)))
    assert problem.value is not None
    assert len(problem.value) == 60
    assert problem.value.endswith("…")


def test_a_configuration_that_would_do_nothing_is_refused(tmp_path: Path) -> None:
    """Otherwise a conf.d that was not mounted would end all backups without a word."""
    without_servers = write(tmp_path, RIGHT.partition("[servers")[0])
    assert [(problem.key, problem.reason) for problem in problems(without_servers)] == [
        ("servers", "there are no servers")
    ]
    empty = problems(write(tmp_path, ""), {"HOME": "/home/operator"})
    assert [problem.key for problem in empty] == ["panels", "policies", "servers"]


def test_looking_around_needs_no_server(tmp_path: Path) -> None:
    """`servers` shows what a key can see before anything is configured but the panel."""
    path = write(tmp_path, RIGHT.partition("[policies")[0])
    assert list(load(path, ENVIRONMENT, need_servers=False).panels) == ["main"]


def test_a_variable_for_a_name_that_no_file_has_is_told_the_near_one(tmp_path: Path) -> None:
    """A misspelt name makes a table of its own, which would otherwise be told that it lacks a url."""
    _, problem = problems(write(tmp_path), ENVIRONMENT | {"PTERO_BACKUPD_PANELS__MIAN__BACKUPS_PER_NODE": "2"})
    assert (problem.file, problem.key) == ("environment", "panels.mian.url")
    assert problem.suggestion == "did the variable mean panels.main?"


def test_no_zone_is_guessed_whose_sign_is_inverted(tmp_path: Path) -> None:
    """Etc/GMT+1 is an hour behind Greenwich: who writes GMT+1 means one ahead."""
    for written in ("GMT+1", "GMT+01", "UTC+1", "GMT +1", "ect/gmt+1", "GTM+1"):
        (problem,) = problems(write(tmp_path, RIGHT.replace("keep =", f"timezone = '{written}'\nkeep =")))
        assert "Etc/GMT+" not in problem.suggestion


def test_a_step_that_can_never_come_is_a_warning_where_it_is_written(tmp_path: Path) -> None:
    """At the policy once, however many servers follow it, and at a server whose own schedule it is."""
    policy = RIGHT.replace("0 4 * * *", "0 */168 * * *") + 'timeout = "1h"\n'
    (warning,) = loaded(tmp_path, policy).warnings
    assert warning.startswith('policies.standard.schedule: "*/168" steps beyond the hours of a day')
    (warning,) = loaded(tmp_path, RIGHT + 'schedule = "*/90 * * * *"\n').warnings
    assert warning.startswith('servers.survival.schedule: "*/90" steps beyond')


@pytest.mark.parametrize(("zone", "offset"), [("Etc/GMT+1", "UTC-1"), ("Etc/GMT-12", "UTC+12")])
def test_a_zone_whose_sign_is_inverted_is_a_warning(tmp_path: Path, zone: str, offset: str) -> None:
    """It is a zone, and hardly ever the one that is meant: we suggested it ourselves for GMT+1 once."""
    (warning,) = loaded(tmp_path, RIGHT.replace("keep =", f"timezone = '{zone}'\nkeep =")).warnings
    assert warning == f"policies.standard.timezone: {zone} is {offset}, since its sign is inverted; is that meant?"
    assert loaded(tmp_path, RIGHT.replace("keep =", "timezone = 'Etc/UTC'\nkeep =")).warnings == ()


@pytest.mark.parametrize(("zone", "city"), [("EST", "America/New_York"), ("MST", "America/Denver")])
def test_a_zone_that_is_taken_for_one_with_summer_time_is_warned_of(tmp_path: Path, zone: str, city: str) -> None:
    """It is an hour off for eight months of the year, and days begin an hour late."""
    (warning,) = loaded(tmp_path, RIGHT.replace('scope = "own"', f'scope = "own"\ntimezone = "{zone}"')).warnings
    assert warning == f"policies.standard.timezone: {zone} has no summer time; is {city} meant?"
