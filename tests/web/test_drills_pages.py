"""What the pages say of drills; without any, nothing."""

import json
from typing import Any

import pytest

from tests.web.gallery import Gallery, drilling
from tests.web.test_pages import got, seen_text

pytestmark = pytest.mark.anyio


async def test_the_pages_say_when_a_drill_went_well_and_how_long_it_took(gallery: Gallery) -> None:
    """On the fleet's page beside the proofs, on the server's among the facts; one that started nothing proved none."""
    assert "drill" not in await got(gallery, "/")
    drilling(gallery)
    assert "proven by a drill 3 d ago, 4 min 10 s" in seen_text(await got(gallery, "/"))
    assert "proven by a drill 3 d ago, 4 min 10 s" in seen_text(await got(gallery, "/servers/survival"))
    assert "unpacked by a drill 10 d ago, 40 s" in seen_text(await got(gallery, "/"))
    assert "none has gone well yet" in seen_text(await got(gallery, "/servers/creative"))
    assert "drill" not in seen_text(await got(gallery, "/servers/modded"))


async def test_a_drill_that_failed_is_trouble_of_the_server_that_it_tried(gallery: Gallery) -> None:
    """With the reason, and what the operator can do."""
    text = seen_text(await got(drilling(gallery), "/servers/lobby"))
    assert "The drill of night-1 on modded, begun at " in text
    assert "failed: modded is offline 20 s after it began to run." in text
    assert "`ptero-backupd drill weekly` tries again" in text or "ptero-backupd drill weekly" in text
    assert "unpacked by a drill 10 d ago, 40 s" in text


async def test_the_document_has_both(gallery: Gallery) -> None:
    """The last one that went well, and the last one if that did not."""
    document = await drilled_document(gallery)
    assert document["survival"]["drill"]["good"]["seconds"] == 250.4
    assert document["survival"]["drill"]["failed"] is None
    assert document["lobby"]["drill"]["failed"]["text"] == "modded is offline 20 s after it began to run"
    assert [one["kind"] for one in document["lobby"]["troubles"]][-1] == "drill_failed"
    assert document["modded"]["drill"] is None


async def drilled_document(gallery: Gallery) -> dict[str, Any]:
    """The servers of `/api/status`, by name."""
    servers = json.loads(await got(drilling(gallery), "/api/status"))["servers"]
    return {one["server"]: one for one in servers}
