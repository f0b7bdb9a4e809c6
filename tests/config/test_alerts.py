"""Who is told: receivers and their addresses, which no message ever shows."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.config import alerts
from daemon.config.load import load
from daemon.core.alerting import Event
from tests.config.support import ENVIRONMENT, RIGHT, loaded, problems, write

SECRET = "https://hooks.example.com/services/hunter2"
VARIABLE = "PTERO_BACKUPD_ALERTS__OPS__URL"


def receiver(type_: str = "webhook", *lines: str) -> str:
    """A right configuration with one receiver."""
    return "\n".join([RIGHT, "[alerts.ops]", f'type = "{type_}"', *lines])


def environ(url: str = SECRET) -> Mapping[str, str]:
    """The environment with the receiver's address."""
    return {**ENVIRONMENT, VARIABLE: url}


def test_a_receiver_is_told_of_trouble_and_its_end_unless_it_asks_otherwise(tmp_path: Path) -> None:
    """Each good backup is told to nobody who did not ask for it; a new normal to whoever hears of suspicious ones."""
    ops = loaded(tmp_path, receiver(), environ()).alerts["ops"]
    ends = {Event.NEW_NORMAL, Event.COPIED, Event.PRUNED, Event.PROVEN, Event.DRILLED}
    trouble = frozenset(Event) - {Event.DONE, *ends}
    assert (ops.type, ops.url.get_secret_value(), ops.events) == ("webhook", SECRET, trouble)
    asked = loaded(tmp_path, receiver("webhook", 'events = ["done"]'), environ()).alerts["ops"]
    assert asked.events == {Event.DONE}


def test_the_first_of_environment_credential_and_file_is_taken(tmp_path: Path) -> None:
    """As with a panel's key."""
    path = write(tmp_path, receiver("webhook", 'url_file = "ops.url"'))
    (tmp_path / "ops.url").write_text(f"{SECRET}/file\n")
    (tmp_path / "ops.url").chmod(0o600)
    (tmp_path / "alerts.ops.url").write_text(f"{SECRET}/credential\n")
    systemd = {**ENVIRONMENT, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    for environment, end in ((ENVIRONMENT, "/file"), (systemd, "/credential"), ({**systemd, VARIABLE: SECRET}, "")):
        assert load(path, environment).alerts["ops"].url.get_secret_value() == SECRET + end


def test_a_byte_order_mark_is_no_part_of_an_address(tmp_path: Path) -> None:
    """Windows' editors put one first."""
    (tmp_path / "ops.url").write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")
    (tmp_path / "ops.url").chmod(0o600)
    config = loaded(tmp_path, receiver("webhook", 'url_file = "ops.url"'))
    assert config.alerts["ops"].url.get_secret_value() == SECRET


def test_an_address_stands_in_no_configuration_file(tmp_path: Path) -> None:
    """Such files are shown, copied and committed; and no message repeats what was written."""
    for line in (f'url = "{SECRET}"', f'url_file = "{SECRET}"', f'urll = "{SECRET}"', f'events = ["{SECRET}"]'):
        found = problems(write(tmp_path, receiver("webhook", line)))
        assert {problem.key.rpartition(".")[0] for problem in found} == {"alerts.ops"}
        assert "hunter2" not in str([str(problem) for problem in found])


@pytest.mark.parametrize(
    ("type_", "url", "reason"),
    [
        ("webhook", "", "cannot be read"),
        ("webhook", "hunter2", "cannot be read"),
        ("webhook", "https://hooks.example.com/hun ter2", "cannot be read"),
        ("webhook", "https://hooks.example.com/hunter2\x7f", "cannot be read"),
        ("webhook", "https://hooks.example.com:x/hunter2", "cannot be read"),
        ("webhook", "https://[hunter2/", "cannot be read"),
        ("webhook", "discord://hunter2", "must be an https address"),
        ("webhook", "https:///hunter2", "must be an https address"),
        ("webhook", "http://hooks.example.com/hunter2", "in the clear"),
        ("ping", "https://hc.example.com/hunter2/{sever}", "placeholder"),
        ("ping", "https://hc.example.com/hunter2/{server", "placeholder"),
        ("ping", "https://{server}.example.com/hunter2", "placeholder"),
        ("apprise", "hunter2", "cannot be read"),
    ],
)
def test_an_address_that_cannot_work_is_refused_and_never_shown(
    tmp_path: Path, type_: str, url: str, reason: str
) -> None:
    """Whatever is wrong with it, it is a secret all the same."""
    (problem,) = problems(write(tmp_path, receiver(type_)), environ(url))
    assert (problem.key, problem.value) == ("alerts.ops.url", None)
    assert reason in problem.reason
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("type_", "url", "lines"),
    [
        ("webhook", "http://127.0.0.1:8000/x", ()),
        ("webhook", "http://receiver.internal/x", ("allow_http = true",)),
        ("webhook", "https://hooks.example.com/{whatever}", ()),
        ("ping", "https://hc.example.com/key/{panel}-{policy}-{server}?create=1", ()),
        ("apprise", "mailto://operator:password@example.com", ()),
    ],
)
def test_an_address_that_can_work_is_taken_as_it_is(
    tmp_path: Path, type_: str, url: str, lines: tuple[str, ...]
) -> None:
    """Passwords and queries belong to it."""
    assert loaded(tmp_path, receiver(type_, *lines), environ(url)).alerts["ops"].url.get_secret_value() == url


def test_a_receiver_without_an_address_is_refused(tmp_path: Path) -> None:
    """With all the places that it could stand in."""
    (problem,) = problems(write(tmp_path, receiver()))
    assert (problem.key, problem.reason) == ("alerts.ops.url_file", "no address")
    assert VARIABLE in problem.suggestion


def test_a_ping_takes_no_events(tmp_path: Path) -> None:
    """It is told of every rotation, or a missing one could not be noticed."""
    (problem,) = problems(write(tmp_path, receiver("ping", 'events = ["failed"]')), environ())
    assert (problem.key, problem.suggestion) == ("alerts.ops.events", "leave it out")


def test_without_the_extra_apprise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install; nothing is imported for the question."""
    monkeypatch.setattr(alerts, "find_spec", lambda _: None)
    (problem,) = problems(write(tmp_path, receiver("apprise")), environ("mailto://operator@example.com"))
    assert (problem.key, problem.reason) == ("alerts.ops.type", "Apprise is not installed")
    assert "ptero-backupd[apprise]" in problem.suggestion


def test_a_policy_and_a_server_say_who_is_told(tmp_path: Path) -> None:
    """Left out: everybody; the server's own word wins."""
    text = receiver().replace('scope = "own"', 'scope = "own"\nalerts = ["ops"]')
    config = loaded(tmp_path, text.replace('"1a7ce997"', '"1a7ce997"\nalerts = []'), environ())
    assert config.policies["standard"].alerts == ("ops",)
    assert config.servers["survival"].policy.alerts == ()
    assert loaded(tmp_path, receiver(), environ()).servers["survival"].policy.alerts is None


def test_a_receiver_that_there_is_not_is_refused_where_it_is_named(tmp_path: Path) -> None:
    """Once each, with the one that was probably meant."""
    text = receiver().replace('scope = "own"', 'scope = "own"\nalerts = ["opps"]')
    (problem,) = problems(write(tmp_path, text), environ())
    assert (problem.key, problem.reason) == ("policies.standard.alerts", "there is no such receiver")
    assert problem.suggestion == "did you mean ops?"
    text = receiver().replace('"1a7ce997"', '"1a7ce997"\nalerts = ["opps"]')
    (problem,) = problems(write(tmp_path, text), environ())
    assert problem.key == "servers.survival.alerts"
