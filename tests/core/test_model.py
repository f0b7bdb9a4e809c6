"""The words of the model, and what a server says of itself."""

from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.core.model import Action, Backup, Completeness, Listing, Obstacle, Scope, Server, State, Verdict

SERVER: dict[str, Any] = {"uuid": "u", "identifier": "1a7ce997", "name": "Survival", "node": "node1", "backup_limit": 3}


def test_the_words_are_those_of_the_configuration_the_journal_and_the_documents() -> None:
    """Whoever reads them, in whatever file, relies on their spelling."""
    assert [*Scope] == ["own", "all"]
    assert [*Action] == ["keep", "delete", "ignore"]
    assert [*State] == ["good", "failed", "pending", "suspicious", "strange"]
    assert [*Completeness] == ["complete", "steady", "partial"]


def test_what_is_not_told_is_nothing_out_of_the_ordinary() -> None:
    """A panel, and a test, tells what matters."""
    server = Server(**SERVER)
    assert (server.status, server.description, server.permissions) == (None, "", None)
    assert (server.suspended, server.installing, server.transferring, server.node_under_maintenance) == (False,) * 4
    assert (server.owned, server.disk_limit) == (False, None)
    backup = Backup("u", "auto", successful=True, locked=False, bytes=1, created_at=None, completed_at=None)
    assert (backup.checksum, backup.ignored, backup.unreadable) == (None, (), None)
    listing = Listing((), 0, datetime(2026, 4, 1, tzinfo=UTC), Completeness.COMPLETE)
    assert (listing.pages, listing.earlier, listing.doubt) == (1, (), "")
    assert Verdict(backup, State.GOOD, True, Action.KEEP, ()).because == ""


@pytest.mark.parametrize(
    ("says", "obstacle"),
    [
        ({}, None),
        ({"status": None, "suspended": False}, None),
        ({"suspended": True}, "suspended"),
        ({"status": "suspended"}, "suspended"),
        ({"installing": True}, "installing"),
        ({"status": "installing"}, "installing"),
        ({"transferring": True}, "transferring"),
        ({"status": "restoring_backup"}, "restoring a backup"),
        ({"status": "install_failed", "installing": True}, "not installed (install_failed)"),
        ({"status": "install_failed"}, "not installed (install_failed)"),
        ({"status": "reinstall_failed", "installing": True}, "not installed (reinstall_failed)"),
        ({"status": "reinstall_failed"}, None),
        ({"status": "something_new"}, None),
        ({"node_under_maintenance": True}, "on a node under maintenance"),
        ({"suspended": True, "node_under_maintenance": True}, "suspended"),
    ],
)
def test_what_stands_in_the_way_is_said_in_words(says: dict[str, Any], obstacle: str | None) -> None:
    """Every state that the panel would answer with 409, the gravest first.

    Pterodactyl lets a server whose reinstallation failed be backed up, and says that it is not installing; Pelican does
    neither. A state that is not known here is for the panel to judge.
    """
    assert Server(**SERVER, **says).obstacle == obstacle


def test_some_obstacles_end_by_themselves() -> None:
    """What does not needs somebody, and is nothing to wait for."""
    lasting = {Obstacle.SUSPENDED, Obstacle.INSTALL_FAILED, Obstacle.REINSTALL_FAILED}
    assert {obstacle for obstacle in Obstacle if not obstacle.passes} == lasting
