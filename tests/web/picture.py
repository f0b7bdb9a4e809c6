"""Draw the picture of the status page in the docs: `python -m tests.web.picture`; it needs Debian's chromium."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from daemon.config.values import HttpConfig
from daemon.web.site import Site
from tests.web.gallery import NOW, fleet
from tests.web.test_chromium import chromium

PICTURE = Path(__file__).parents[2] / "docs/status-page.png"
SIZE = "1280,961"


async def draw(folder: Path) -> None:
    """Servers in every state, and a store that got no copy last night."""
    site = Site(fleet(folder, stores=True, since=NOW - timedelta(hours=8)).fleet_status)
    await site.follow(HttpConfig("127.0.0.1", 0, frozenset(), None))
    light = "--blink-settings=preferredColorScheme=1"
    await chromium(folder, f"--window-size={SIZE}", light, f"--screenshot={PICTURE}", f"http://127.0.0.1:{site.port}/")
    await site.follow(None)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(draw(Path(name)))
