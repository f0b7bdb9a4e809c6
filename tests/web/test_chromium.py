"""The pages in a real browser: Debian's Chromium without a window, as a phone and as a desktop, light and dark."""

import html
import os
import re
import shutil
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from daemon.config.values import HttpConfig
from daemon.web.site import Site
from tests.web.gallery import Gallery

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is missing (Debian package: chromium)"),
]

WIDTHS = {"phone": 390, "desktop": 1280}
SCHEMES = {"light": 1, "dark": 0}
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--enable-logging=stderr",
)  # fmt: skip


@pytest.fixture
async def site(stocked: Gallery) -> AsyncIterator[str]:
    """Where the page is."""
    made = Site(stocked.fleet_status)
    await made.follow(HttpConfig("127.0.0.1", 0, frozenset(), None))
    yield f"http://127.0.0.1:{made.port}"
    await made.follow(None)


async def chromium(folder: Path, *words: str) -> tuple[str, str]:
    """What it writes and what it complains of, with a profile of its own."""
    command = ["chromium", *QUIET, f"--user-data-dir={folder / 'profile'}", *words]
    ran = await anyio.run_process(command, check=False, env={**os.environ, "HOME": str(folder)})
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode(), ran.stderr.decode()


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize("path", ["/", "/servers/skyblock"])
async def test_the_browser_shows_all_of_it_and_complains_of_nothing(site: str, tmp_path: Path, path: str) -> None:
    """The style is let through by its own hash, and nothing else is asked for."""
    page, complaints = await chromium(tmp_path, "--dump-dom", f"{site}{path}")
    assert "<h1>" in page
    assert "skyblock" in page
    assert "ptero-backupd backups accept skyblock" in page
    assert "CONSOLE" not in complaints
    assert "Content Security Policy" not in complaints


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["/", "/servers/survival", "/stores/offsite"])
async def test_the_page_is_drawn(site: str, tmp_path: Path, path: str, width: str, scheme: str) -> None:
    """At that width, with something on it."""
    picture = tmp_path / "page.png"
    await chromium(
        tmp_path,
        f"--window-size={WIDTHS[width]},1200",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        f"--screenshot={picture}",
        f"{site}{path}",
    )
    drawn = picture.read_bytes()
    assert size_of(drawn) == (WIDTHS[width], 1200)
    assert len(drawn) > 20_000, "a page without its style, or an empty one, is smaller"


async def test_no_width_needs_scrolling_sideways(site: str, tmp_path: Path) -> None:
    """The browser itself says how wide each page has become, in a frame of each width."""
    paths, widths = ["/", "/servers/skyblock", "/servers/survival", "/stores/offsite"], [360, 700, 1000, 1280]
    async with httpx.AsyncClient() as client:
        pages = {path: html.escape((await client.get(f"{site}{path}")).text) for path in paths}
    frames = {
        (path, width): f'<iframe width="{width}" height="900" srcdoc="{page}"></iframe>'
        for path, page in pages.items()
        for width in widths
    }
    script = "document.title = 'wide ' + Array.from(frames, one => one.document.documentElement.scrollWidth)"
    outer = tmp_path / "outer.html"
    outer.write_text(f'<!doctype html><meta charset="utf-8"><body onload="{script}">{"".join(frames.values())}')
    shown, _ = await chromium(tmp_path, "--dump-dom", f"file://{outer}")
    told = re.search(r"<title>wide ([\d,]+)</title>", shown)
    assert told
    wide = dict(zip(frames, map(int, told[1].split(",")), strict=True))
    assert [(where, pixels) for where, pixels in wide.items() if pixels > where[1]] == []
