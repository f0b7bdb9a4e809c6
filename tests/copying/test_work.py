"""The jobs of the daemon's copying, done in this very process: by which clock, and what a doubted one may do."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from daemon.copies.jobs import Job, PruneInputs
from daemon.copies.work import OwnProcess
from tests.copying.conftest import Rig
from tests.copying.test_process import link
from tests.transfer.conftest import ProgressListener

pytestmark = pytest.mark.anyio

DOUBT = "the panel's clock is 2 h behind ours"


async def filled(rig: Rig, worker: OwnProcess, job: Job) -> Job:
    """Copy what is wanted; return the job with what is remembered then."""
    for one in (await worker.look(job)).wanted:
        done = await worker.copy(job, one.backup, partial(link, rig, one.backup), ProgressListener())
        assert [copy.failure for copy in done.copies] == [None] * len(one.stores)
    return replace(job, remembered=(await worker.look(job)).remembered)


async def test_what_is_wanted_goes_by_the_later_of_two_clocks(rig: Rig) -> None:
    """Pruning goes by ours. If the panel's was set back, the copies that it has not come to yet would count for
    nothing: an older backup would be copied, pruned, and copied again.
    """
    worker = OwnProcess(rig.clock)
    job = await filled(rig, worker, await rig.job(rig.config({"nas": "keep = { last = 2 }"})))
    newest = max(one.created_at for one in job.listing.backups if one.created_at)
    behind = replace(job, listing=replace(job.listing, taken_at=newest - timedelta(hours=1)))
    assert (await worker.look(behind)).wanted == ()
    assert (await worker.prune(behind, "nas", PruneInputs())).deleted == ()


async def test_by_a_doubted_clock_a_copy_is_made_without_its_lock_and_that_is_told(rig: Rig) -> None:
    """A clock that is years ahead would set a lock that nobody can end. This store cannot lock: it tells who tried."""
    worker, job = OwnProcess(rig.clock), await rig.job(rig.config({"nas": ""}))
    locking = replace(job, stores={"nas": replace(job.stores["nas"], object_lock=timedelta(days=30))})
    doubted = replace(locking, listing=replace(job.listing, doubt=DOUBT))
    assert (await worker.look(locking)).problems == ()
    newest = (await worker.look(locking)).wanted[0].backup
    refused = await worker.copy(locking, newest, partial(link, rig, newest), ProgressListener())
    assert [one.bytes for one in refused.copies] == [None]
    assert rig.files("nas") == []
    ((store, problem),) = (await worker.look(doubted)).problems
    assert (store, problem.text) == ("nas", f"copied without a lock: {DOUBT}")
    assert (await filled(rig, worker, doubted)).remembered
    assert len(rig.files("nas")) == 6


async def test_by_a_doubted_clock_nothing_is_cleared_away(rig: Rig) -> None:
    """A clock that jumps ahead takes what another writes at this moment for two days old."""
    worker = OwnProcess(rig.clock)
    job = await filled(rig, worker, await rig.job(rig.config({"nas": ""})))
    manifest = next(rig.place("nas").rglob("*.json"))
    manifest.unlink()
    job = replace(job, remembered=(await worker.look(job)).remembered)
    rig.clock.elapsed += timedelta(hours=49).total_seconds()
    doubted = replace(job, listing=replace(job.listing, doubt=DOUBT))
    await worker.look(doubted)
    said = await worker.prune(doubted, "nas", PruneInputs(doubt=DOUBT))
    assert (said.cleared, said.refused) == (0, f"{DOUBT}, so nothing is deleted")
    assert len(rig.files("nas")) == 5
    assert (await worker.prune(job, "nas", PruneInputs())).cleared == 1
