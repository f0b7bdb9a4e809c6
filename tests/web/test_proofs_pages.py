"""What the page says of proofs; where nothing is to be proven, nothing."""

import re

import pytest

from tests.web.gallery import Gallery, proving
from tests.web.test_pages import got, seen_text

pytestmark = pytest.mark.anyio


async def test_the_column_says_what_is_proven_how_deep_and_when(gallery: Gallery) -> None:
    """A server with a bad backup is told on top, with what is wrong in it."""
    assert "proven" not in await got(gallery, "/")
    page = await got(proving(gallery), "/")
    assert '<th scope="col">proven</th>' in page
    row = re.search(r'href="/servers/survival".*?data-th="proven">(.*?)</td>', page, re.DOTALL)
    assert row
    assert "sane, " in row[1]
    assert "ago" in row[1]
    assert 'class="bad">not sound' in page
    assert "chunk 0,0 is torn. Nothing is deleted until a newer backup is proven." in seen_text(page)


async def test_a_bad_backup_is_shown_of_a_server_of_which_no_proof_is_asked_for(gallery: Gallery) -> None:
    """A drill read it, or a restore: deletion freezes there as well. The metrics tell of that alone."""
    text = seen_text(await got(proving(gallery, None), "/"))
    assert "chunk 0,0 is torn. Nothing is deleted until a newer backup is proven." in text
    assert "not sound: world/region/r.0.0.mca" in seen_text(await got(gallery, "/servers/lobby"))
    scraped = await got(gallery, "/metrics")
    frozen = [line for line in scraped.splitlines() if line.startswith("ptero_backupd_deletion_frozen{")]
    assert frozen == ['ptero_backupd_deletion_frozen{server="lobby"} 1.0']
    assert 'ptero_backupd_proof_failures_total{server="lobby"} 1.0' in scraped
    assert 'ptero_backupd_proofs_total{server="survival"} 1.0' in scraped
    assert "unproven_backups" not in scraped


async def test_a_servers_page_says_of_each_backup_how_it_is_proven(gallery: Gallery) -> None:
    """Where proofs are asked for, and something was read."""
    assert "proven sane" not in seen_text(await got(gallery, "/servers/survival"))
    page = seen_text(await got(proving(gallery), "/servers/survival"))
    assert page.count("proven sane, 1 d ago") == 1
    assert "proven sane" not in seen_text(await got(gallery, "/servers/lobby"))
