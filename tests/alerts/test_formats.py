"""What receivers of each kind are sent."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.alerts import formats as forms
from daemon.alerts.message import TITLES, Ping, Step
from daemon.core.alerting import Event
from tests.alerts.build import BACKUP, MADE, NOON, message, server

HOOK = "https://hooks.example.com/secret"


def sent(url: str, of: Any) -> Any:
    """The document that a webhook gets."""
    return json.loads(forms.webhook(url, of).body)


def test_every_event_has_its_title() -> None:
    """Else the first one that is told of would end in a bug."""
    assert set(TITLES) == set(Event)


def test_a_webhook_gets_every_key_each_time(tmp_path: Path) -> None:
    """The contract: held whole, with its schema."""
    about = message(
        server(tmp_path), Event.RECOVERED, "fine", hint="none", after=(Event.FAILED,), good_at=NOON, backup=MADE
    )
    assert sent(HOOK, about) == {
        "schema": 1,
        "event": "recovered",
        "server": "survival",
        "panel": "main",
        "policy": "standard",
        "at": "2026-04-01T12:00:00Z",
        "title": "survival: there is a good backup again",
        "text": "fine",
        "hint": "none",
        "after": ["failed"],
        "stores": [],
        "last_good_at": "2026-04-01T12:00:00Z",
        "backup": {"uuid": BACKUP.uuid, "name": BACKUP.name, "bytes": 838860800},
    }
    bare = sent(HOOK, message(server(tmp_path)))
    assert (bare["last_good_at"], bare["backup"], bare["after"], bare["hint"]) == (None, None, [], "")


@pytest.mark.parametrize("host", ["discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"])
def test_discord_gets_its_own_form(tmp_path: Path, host: str) -> None:
    """Nobody is mentioned, whatever a panel calls its backups."""
    document = sent(f"https://{host}/api/webhooks/1/secret", message(server(tmp_path), text="@everyone", hint="look"))
    assert document == {
        "content": "**survival: the backup failed**",
        "embeds": [
            {
                "description": "@everyone",
                "color": 0xC23030,
                "timestamp": "2026-04-01T12:00:00Z",
                "footer": {"text": "main, policy standard"},
                "fields": [{"name": "What to do", "value": "look"}],
            }
        ],
        "allowed_mentions": {"parse": []},
    }


@pytest.mark.parametrize("url", ["https://notdiscord.com/api/webhooks/1", "https://discord.com/x", f"{HOOK}/discord"])
def test_only_discord_gets_discords_form(tmp_path: Path, url: str) -> None:
    """Its host, and a path of its webhooks."""
    assert sent(url, message(server(tmp_path)))["schema"] == 1


def test_discords_lengths_are_kept(tmp_path: Path) -> None:
    """A message of a hundred problems is cut, not refused."""
    document = sent("https://discord.com/api/webhooks/1/s", message(server(tmp_path), text="x" * 9000, hint="y" * 9000))
    (embed,) = document["embeds"]
    assert (len(embed["description"]), len(embed["fields"][0]["value"])) == (4096, 1024)
    assert embed["description"].endswith("x…")
    assert len(embed["description"]) + len(embed["fields"][0]["value"]) < 6000


@pytest.mark.parametrize(
    ("url", "step", "address"),
    [
        ("https://hc.example.com/uuid", "start", "https://hc.example.com/uuid/start?rid=7"),
        ("https://hc.example.com/uuid/", "success", "https://hc.example.com/uuid?rid=7"),
        ("https://hc.example.com/uuid", "fail", "https://hc.example.com/uuid/fail?rid=7"),
        (
            "https://u:p@hc.example.com/key/{panel}-{policy}-{server}?create=1",
            "fail",
            "https://u:p@hc.example.com/key/main-standard-survival/fail?create=1&rid=7",
        ),
    ],
)
def test_a_ping_goes_where_its_step_belongs(tmp_path: Path, url: str, step: Step, address: str) -> None:
    """As healthchecks.io has it, with the run's id."""
    post = forms.ping(url, Ping(step, server(tmp_path), "7", "because"))
    assert (post.url, post.body) == (address, b"because")
    assert "example" not in repr(post)


def test_a_pings_body_is_no_longer_than_receivers_keep(tmp_path: Path) -> None:
    """10 kB."""
    assert len(forms.ping(HOOK, Ping("fail", server(tmp_path), "7", "x" * 99_999)).body) == 10_000


def test_a_text_for_people_ends_with_what_to_do(tmp_path: Path) -> None:
    """Where there is something to do."""
    assert forms.as_text(message(server(tmp_path), text="broken", hint="mend it")) == "broken\n\nmend it"
    assert forms.as_text(message(server(tmp_path), text="fine")) == "fine"


def test_discord_takes_even_the_longest_message(tmp_path: Path) -> None:
    """It refuses an embed of more than 6,000 characters in all, however short each part is."""
    about = message(server(tmp_path), text="t" * 9000, hint="h" * 9000)
    (embed,) = forms.as_discord(replace(about, panel="p" * 9000))["embeds"]
    (field,) = embed["fields"]
    parts = (embed["description"], embed["footer"]["text"], field["name"], field["value"])
    assert sum(map(len, parts)) <= 6000
