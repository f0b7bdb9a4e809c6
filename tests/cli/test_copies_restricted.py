"""`copies run` with a key of a bucket that may not do everything: that store says what is lacking, the others fill."""
# ruff: noqa: F811 — the fixtures are those of other tests

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.stores.values import StoreSettings
from tests.cli.conftest import Cli, Panel
from tests.cli.test_copies_after_a_loss import lines
from tests.stores.conftest import s3, s3_service  # noqa: F401 — fixtures
from tests.stores.places import Place, keys
from tests.stores.services import S3Service


async def held(place: Place) -> tuple[list[str], int]:
    """What lies in the bucket, as its owner sees it, and how many uploads were begun and are there still."""
    async with place.open() as store:
        return await keys(store), len(await store.unfinished())


LACKS = {"nolist": "cannot be listed", "putonly": "cannot be listed", "nowrite": "cannot be written"}


@pytest.fixture(params=LACKS)
def limited(request: pytest.FixtureRequest, s3: Place, s3_service: S3Service) -> tuple[StoreSettings, str]:
    """The bucket with such a key, and what is said of it."""
    key = s3_service.settings("plain", who=request.param).credentials
    return replace(s3.settings, credentials=key), LACKS[request.param]


def test_what_a_key_may_not_is_said_and_holds_up_no_other_store(
    cli: Cli, panel: Panel, tmp_path: Path, s3: Place, limited: tuple[StoreSettings, str]
) -> None:
    """It is a right that is missing, not a bucket in trouble; nothing is left there."""
    (tmp_path / "nas").mkdir()
    settings, lacking = limited
    tables = [*lines("vault", settings, tmp_path), "[stores.nas]", f'url = "{(tmp_path / "nas").as_uri()}"']
    config = panel.configure(extra='copies = ["vault", "nas"]\n' + "\n".join(tables))
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert ran.code == 3
    (server,) = ran.json["servers"]
    (trouble,) = server["stores"]
    assert (trouble["store"], trouble["error"]["code"]) == ("vault", "store-permission")
    assert lacking in trouble["error"]["text"]
    assert [one["result"] for one in server["copies"] if one["store"] == "nas"] == ["done"] * 6
    assert asyncio.run(held(s3)) == ([], 0)
