"""Careless changes to what is read, what follows from it, and how a server is restored."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import daemon.core.plan
import daemon.core.proof
import daemon.operations.restore
import daemon.proving.further
import daemon.proving.proving
import daemon.rotation.delete
from daemon.copies.results import ProofFound
from daemon.core.proof import Level, Proof, Proofs
from daemon.core.proof_due import Budget
from daemon.core.proven import Proven
from daemon.core.restores import RestoreEnd
from daemon.operations.read_first import ReadFirst
from daemon.operations.restore_log import RestoreLog
from tests.simulation.builds.registry import PATCH, broken, original


@broken("a rotation deletes though a proof has failed", "17", insist={"archive damaged": 0.5}, first=97)
def _never_freezes() -> AbstractContextManager[Any]:
    return PATCH(Proven, "frozen", property(lambda _: None))


@broken("what could not be read is recorded as proven", "17", insist={"backup's file is not found": 1}, first=3)
def _infers_proofs() -> AbstractContextManager[Any]:
    real = daemon.proving.proving.Proving._found

    async def found(proving: Any, *given: Any) -> ProofFound:
        said = await real(proving, *given)
        return said if said.failure is None else ProofFound(Level.READ)

    return PATCH(daemon.proving.proving.Proving, "_found", found)


@broken("a failed proof is recorded as a passed one", "17", insist={"archive damaged": 0.5}, first=3)
def _forgets_what_was_wrong() -> AbstractContextManager[Any]:
    real = original(daemon.proving.proving, "record")

    async def record(what: Any, found: ProofFound, *rest: Any, **options: Any) -> Any:
        return await real(what, replace(found, problems=()), *rest, **options)

    return PATCH(daemon.proving.proving, "record", record)


@broken("any newer proof ends a freeze, however shallow", "17", insist={"archive damaged": 0.5}, first=234)
def _thaws_by_any_newer_one() -> AbstractContextManager[Any]:
    def made_good(proofs: Proofs, bad: Proof) -> bool:
        return any(one.made_at > bad.made_at for one in proofs)

    return PATCH(Proofs, "_made_good", made_good)


@broken("a day's bytes are not counted", "17", first=23)
def _spends_without_bound() -> AbstractContextManager[Any]:
    return PATCH(Budget, "most_before", lambda *_, **__: None)


@broken("proofs go on in the quiet hours", "17", first=3)
def _minds_no_quiet_hours() -> AbstractContextManager[Any]:
    return PATCH(daemon.proving.proving.Proving, "_is_quiet", lambda *_: False)


@broken("nothing is read to its end", "17", first=256)
def _reads_nothing() -> AbstractContextManager[Any]:
    return PATCH(daemon.proving.proving, "next_up", lambda *_, **__: None)


@broken("each proof that fails makes another backup", "17", insist={"archive damaged": 1}, first=38)
def _makes_one_after_the_other() -> AbstractContextManager[Any]:
    async def never(*_: Any) -> bool:
        return False

    return PATCH(daemon.proving.further.FurtherBackups, "_had_one", never)


@broken("a server is emptied for an archive that nobody read", "19", insist={"restored by hand": 1}, first=5)
def _empties_unread() -> AbstractContextManager[Any]:
    async def whole(*_: Any) -> None:
        return None

    return PATCH(ReadFirst, "not_whole", whole)


@broken(
    "a restore whose end is not known went well", "19", insist={"restored by hand": 1, "restores fail": 0.7}, first=38
)
def _believes_in_restores() -> AbstractContextManager[Any]:
    async def end_of(*_: Any) -> RestoreEnd:
        return RestoreEnd.COMPLETED

    return PATCH(RestoreLog, "end_of", end_of)


@broken(
    "a server is restored though its safety backup failed",
    "19",
    insist={"restored by hand": 1, "backup fails": 1},
    first=38,
)
def _restores_without_safety() -> AbstractContextManager[Any]:
    real = daemon.operations.restore._with
    return PATCH(daemon.operations.restore, "_with", lambda done, safety: real(done, replace(safety, refusal=None)))
