"""What an administrator's key sees of his customers' servers: `type=admin-all`, as the captures 005 and 312 have it."""

import asyncio

import httpx
import pytest
from pydantic import SecretStr

from daemon.panel import errors
from daemon.panel.client import PanelClient
from tests.captures import load
from tests.fakes import FakeClock
from tests.panel.stand_in import KEY, Script, captured

pytestmark = pytest.mark.anyio


def client(script: Script, *, all_servers: bool = True) -> PanelClient:
    """A client that asks for all servers."""
    transport = httpx.MockTransport(script)
    url = "https://panel.example.com"
    return PanelClient("main", url, SecretStr(KEY), clock=FakeClock(), transport=transport, all_servers=all_servers)


async def test_all_servers_are_asked_for_on_every_page() -> None:
    """The panel keeps no query in mind: each page is asked for with it."""
    script = Script(captured("005"))
    async with client(script) as panel:
        servers = await panel.servers()
    assert [server.name for server in servers] == ["srv zero", "srv one"]
    assert {request.url.params["type"] for request in script.asked} == {"admin-all"}
    assert script.asked[1].url.params["page"] == "2"


async def test_without_it_only_ones_own_are_asked_for() -> None:
    """As before."""
    script = Script(captured("004"))
    async with client(script, all_servers=False) as panel:
        await panel.servers()
    assert "type" not in script.asked[0].url.params


async def test_a_key_that_is_no_administrators_is_told_of() -> None:
    """The panel answers 200 and an empty list, which would make every server vanish."""
    assert load("312").json["data"] == []
    async with client(Script(captured("312"))) as panel:
        with pytest.raises(errors.PermissionLackingError) as caught:
            await panel.servers()
    assert caught.value.kind is errors.Lacking.ADMINISTRATOR
    assert 'servers = "all"' in caught.value.hint
    assert caught.value.exit_code == 4


async def test_an_empty_list_of_ones_own_is_no_error() -> None:
    """A user may have no server yet."""
    async with client(Script(captured("312")), all_servers=False) as panel:
        assert await panel.servers() == ()


async def test_servers_that_start_together_are_read_from_that_list_too() -> None:
    """A customer's server is on no other: each would cost a view."""
    document = load("005").json
    document["meta"]["pagination"]["total"] = 2
    for row in document["data"]:
        row["attributes"]["feature_limits"]["backups"] = 5
    script = Script(httpx.Response(200, json=document))
    async with client(script) as panel:
        one, two = await asyncio.gather(panel.seen_server("32f8a4b7"), panel.seen_server("ff52825e"))
    assert {one.name, two.name} == {"srv zero", "srv one"}
    assert [request.url.params["type"] for request in script.asked] == ["admin-all"]
