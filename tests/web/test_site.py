"""Listening inside the daemon's loop, over real sockets."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr

from daemon.config.values import HttpConfig
from daemon.web.server import Http
from daemon.web.site import ListenError, Site
from tests.web.gallery import Gallery

pytestmark = pytest.mark.anyio

HERE = HttpConfig("127.0.0.1", 0, frozenset(), None)


@pytest.fixture
async def site(gallery: Gallery) -> AsyncIterator[Site]:
    """Listens nowhere yet."""
    made = Site(gallery.fleet_status)
    yield made
    await made.follow(None)


async def status_of(port: int, path: str = "/healthz", **headers: str) -> int:
    """What is answered there."""
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{port}{path}", headers=headers)).status_code


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_it_answers_where_it_is_told_to(site: Site, host: str) -> None:
    """And nowhere once it is told to stop."""
    await site.follow(replace(HERE, host=host))
    port = site.port
    assert await status_of(port) == 200
    assert await status_of(port, "/", Host="evil.example") == 421
    await site.follow(None)
    with pytest.raises(httpx.ConnectError):
        await status_of(port)


async def test_a_load_balancer_that_names_no_host_is_told_the_health(site: Site) -> None:
    """HTTP/1.0 knows no Host."""
    await site.follow(HERE)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_a_taken_port_is_a_clear_error(site: Site) -> None:
    """With the address, the reason and what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError) as refused:
            await site.follow(replace(HERE, port=port))
    assert refused.value.text == f"127.0.0.1:{port} cannot be listened on: {os.strerror(errno.EADDRINUSE)}"
    assert "http.listen" in refused.value.hint


async def test_a_reload_moves_it(site: Site) -> None:
    """The old address is given up once the new one answers."""
    await site.follow(HERE)
    before = site.port
    with socket.create_server(("127.0.0.1", 0)) as found:
        free = found.getsockname()[1]
    await site.follow(replace(HERE, port=free))
    assert await status_of(free) == 200
    with pytest.raises(httpx.ConnectError):
        await status_of(before)


async def test_a_reload_to_a_taken_address_leaves_it_where_it_was(site: Site) -> None:
    """It goes on answering."""
    await site.follow(HERE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ListenError):
            await site.follow(replace(HERE, port=taken.getsockname()[1]))
        assert await status_of(site.port) == 200


async def test_a_reload_of_names_and_token_needs_no_new_socket(site: Site) -> None:
    """Who was let in before the reload is asked for the token after it."""
    await site.follow(HERE)
    assert await status_of(site.port, "/") == 200
    await site.follow(replace(HERE, token=SecretStr("0123456789abcdef"), hosts=frozenset({"page.example"})))
    assert await status_of(site.port, "/") == 401
    assert await status_of(site.port, "/", Host="page.example", Authorization="Bearer 0123456789abcdef") == 200


async def test_stopping_breaks_off_what_is_under_way(site: Site) -> None:
    """A connection that somebody keeps open holds nothing up."""
    await site.follow(HERE)
    async with httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{site.port}/healthz")
        await site.follow(None)
        with pytest.raises(httpx.HTTPError):
            await client.get(f"http://127.0.0.1:{site.port}/healthz")


async def test_the_door_opens_and_closes_with_the_configuration(gallery: Gallery) -> None:
    """After a reload it stays as it was where it cannot go."""
    door = Http(gallery.fleet_status)
    await door.follow(None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        there = replace(HERE, port=taken.getsockname()[1])
        with pytest.raises(ListenError):
            await door.follow(there)
        await door.follow(HERE)
        await door.follow_or_stay(there)
        assert door._site
        assert await status_of(door._site.port) == 200
    await door.follow_or_stay(None)


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
async def test_it_answers_by_ipv6_too(site: Site) -> None:
    """Where the machine has it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        with pytest.raises(ListenError, match=r"\[::1\]:0 cannot be listened on"):
            await site.follow(replace(HERE, host="::1"))
        return
    await site.follow(replace(HERE, host="::1"))
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://[::1]:{site.port}/healthz")).status_code == 200
