"""Whatever is written on the command line: obeyed, or a usage error; and nothing that a terminal obeys comes back."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.mutate import MOMENTS, TEXTS
from tests.fuzz.support import KEY, Ran, document, examples, harmless, run, sound

CONFIG = """
state_dir = "none"
[panels.main]
url = "http://127.0.0.1:9"
[policies.standard]
schedule = "SCHEDULE"
timezone = "Europe/Berlin"
scope = "own"
keep = { last = 3, daily = 7 }
[servers.survival]
id = "1a7ce997"
"""
ENVIRONMENT = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}

# What a command line can hold: no NUL, and bytes that are no UTF-8 as lone surrogates.
words = st.one_of(
    st.binary(max_size=20).map(lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    st.sampled_from([text for text in TEXTS if "\0" not in text and text != "\ud800"]),
    st.sampled_from([*MOMENTS, "9" * 5000, "-1", "-", "--", "--json", "latest", "UTC", "all", "last=1"]),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
)
OFFLINE = {
    "plan": ("--listing", "--keep", "--timezone", "--now", "--name", "--json"),
    "schedule": ("--count", "--now", "--json", "nobody"),
    "history": ("--limit", "--json", "nobody"),
    "status": ("--json",),
    "rotate": ("--max-deletions", "nobody"),
    "backups": ("list", "show", "delete", "nobody", "--yes"),
    "config": ("schema",),
    "copies": (
        "list",
        "run",
        "rescan",
        "prune",
        "verify",
        "fetch",
        "nobody",
        "--store",
        "--identity",
        "--output",
        "--adopt",
        "--json",
    ),
    "stores": ("--json",),
    "cluster": ("status", "leave", "join", "evict", "nobody", "--wait", "0", "--yes", "--json"),
    "state": ("copy", "--from", "--to", "cluster", "nobody", "--json"),
    "check": ("--offline", "--json"),
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose panel does not answer."""
    return tmp_path_factory.mktemp("fuzz") / "config.toml"


def asked(config: Path, *given: str, schedule: str = "0 4 * * *") -> Ran:
    """The command with that configuration, and an empty stdin."""
    config.write_text(CONFIG.replace("SCHEDULE", schedule))
    return sound(run("--config", str(config), *given, environ=ENVIRONMENT))


@examples(50)
@given(command=st.sampled_from(sorted(OFFLINE)), data=st.data())
def test_any_words_after_a_command(config: Path, command: str, data: st.DataObject) -> None:
    """Options that it has, with any values, and any servers; none that would ask a panel."""
    given = [command]
    for _ in range(data.draw(st.integers(0, 4))):
        given += [data.draw(st.sampled_from(OFFLINE[command])), data.draw(words)]
    if command in {"rotate", "backups"}:
        given += ["nobody"]
    asked(config, *given)


@examples(25)
@given(given=st.lists(words, max_size=3))
@example(["\x1b[2J"])
@example(["--\x1b]0;owned\x07"])
def test_any_words_at_all(config: Path, given: list[str]) -> None:
    """As a command, or before it."""
    sound(run(*given))


@examples(25)
@given(moment=words, schedule=st.sampled_from(["0 4 * * *", "@yearly", "every 5217w", "30 2 29 2 *"]))
@example("9999-12-31T23:59:59Z", "@yearly")
@example("0001-01-01T00:00:00+14:00", "0 4 * * *")
@example("2999-12-31T00:00:00Z", "every 5217w")
def test_any_moment_to_count_from(config: Path, moment: str, schedule: str) -> None:
    """Starts, as far as the calendar reaches, or a refusal."""
    asked(config, "schedule", f"--now={moment}", "--count", "100", schedule=schedule)
    asked(config, "plan", "--listing", "-", "--keep", "within=1y", f"--now={moment}")


@pytest.mark.parametrize(
    "given",
    [
        ("history", "--limit", "9" * 18),
        ("history", "--limit", "9" * 30),
        ("schedule", "--count", "9" * 30),
        ("sandbox", "--listen", "127.0.0.1:" + "9" * 5000),
        ("sandbox", "--listen", "127.0.0.1:\u0663"),
        ("sandbox", "--listen", "\0:80"),
        ("plan", "--listing", "-", "--keep", "last=" + "9" * 5000),
        ("plan", "--listing", "-", "--keep", "last=1", "--timezone", "\0"),
        ("plan", "--listing", "-", "--keep", "last=1", "--timezone", "../../etc/passwd"),
    ],
)
def test_numbers_beyond_all_measure_and_names_of_no_place_are_refused(given: tuple[str, ...]) -> None:
    """Each a usage error."""
    assert sound(run(*given)).code == 2


def test_the_schedule_ends_where_the_calendar_does(config: Path) -> None:
    """Ten thousand years of starts are those until 9999."""
    ran = asked(config, "schedule", "--now", "2026-04-01T00:00:00Z", "--count", "10000", "--json", schedule="@yearly")
    (server,) = document(ran)["servers"]
    assert server["starts"][0] == "2026-12-31T23:00:00Z"
    assert server["starts"][-1].startswith("999")


def test_what_is_harmless_is_told_apart() -> None:
    """The judge itself: letters and line feeds are, commands to a terminal are not."""
    assert harmless("Grüße, 世界\n")
    assert not any(harmless(text) for text in ("\x1b[2J", "a\rb", "\x07", "\u202e", "\x9b", "\x7f"))
