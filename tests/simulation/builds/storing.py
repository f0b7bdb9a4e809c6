"""Careless changes to what is copied to stores, and deleted from them."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import daemon.copies.look
import daemon.copies.make
import daemon.copies.one_pass
import daemon.copies.prune
import daemon.copies.renew
import daemon.copies.run
import daemon.copies.shelf
import daemon.core.room
import daemon.rotation.delete
import daemon.rotation.judging
from daemon.copies.undeleted import Undeleted
from daemon.core.copies_wanted import Choice, Taken
from daemon.core.copy import Copy
from daemon.core.plan import Refusal
from daemon.errors import ProblemCode
from daemon.stores.base import Store
from tests.simulation.builds.registry import PATCH, broken, original, together


@broken("what the node sent is not compared", "13", insist={"download is another file": 0.9}, first=54)
def _not_compared() -> AbstractContextManager[Any]:
    return PATCH(daemon.copies.one_pass, "_refuse_wrong", lambda *_: None)


@broken("a copy's data is deleted before its manifest", "15", first=18)
def _data_first() -> AbstractContextManager[Any]:
    async def delete(_: Any, store: Store, result: Any, __: Any) -> None:
        for copy in result.decided.deletions if result.decided else ():
            await store.delete(copy.name.data)
            await store.delete(copy.name.manifest)

    return PATCH(daemon.copies.prune.Pruner, "_delete", delete)


@broken("a store is pruned by what it lists, and no lock is looked at", "15", first=54)
def _looks_at_no_lock() -> AbstractContextManager[Any]:
    async def with_lock(_: Store, copy: Copy) -> Copy:
        return copy

    return PATCH(daemon.copies.prune, "_with_lock", with_lock)


@broken("no lock is renewed", "15", first=54)
def _renews_no_lock() -> AbstractContextManager[Any]:
    return PATCH(daemon.copies.renew, "renewals", lambda *_: ())


@broken("copies are locked by a clock that is in doubt", "15", insist={"both clocks jump by months": 0.4}, first=272)
def _locks_in_doubt() -> AbstractContextManager[Any]:
    target = daemon.copies.run.Copier._target
    return together(
        PATCH(daemon.copies.make, "jumped", lambda _: ""),
        PATCH(daemon.copies.run.Copier, "_target", lambda *given, doubt: target(*given, doubt="")),
    )


@broken("what a store refuses to delete is told as deleted", "15", insist={"store refuses to delete": 1}, first=54)
def _tells_what_was_refused() -> AbstractContextManager[Any]:
    async def delete(_: Any, store: Store, result: Any, undeleted: Undeleted) -> None:
        for copy in result.decided.deletions if result.decided else ():
            result.deleted.append(copy)
            with undeleted.noted():
                await store.delete(copy.name.manifest)
                await store.delete(copy.name.data)

    return PATCH(daemon.copies.prune.Pruner, "_delete", delete)


@broken("data that was known whole is cleared away", "13", insist={"store loses an object": 1}, first=54)
def _clears_what_was_whole() -> AbstractContextManager[Any]:
    sort_out = original(daemon.copies.shelf, "sort_out")
    return PATCH(daemon.copies.shelf, "sort_out", lambda objects, sizes, _: sort_out(objects, sizes, {}))


@broken("only the newest backup is ever copied", "16", first=69)
def _no_backfill() -> AbstractContextManager[Any]:
    choices = original(daemon.copies.look, "choices")

    def newest(*given: Any, **named: Any) -> tuple[Choice, ...]:
        first, *rest = choices(*given, **named) or (None,)
        return tuple(filter(None, (first, *(replace(one, taken=Taken.REFUSED) for one in rest))))

    return PATCH(daemon.copies.look, "choices", newest)


@broken("a rotation asks no store for copies before it deletes", "14", insist={"store unreachable": 1}, first=257)
def _asks_no_store() -> AbstractContextManager[Any]:
    async def copied_before(*_: Any, **__: Any) -> tuple[()]:
        return ()

    return PATCH(daemon.rotation.judging, "copied_before", copied_before)


@broken(
    "room is made by what is not copied yet", "14", insist={"limit lowered": 0.5, "store unreachable": 1}, first=257
)
def _makes_room_by_uncopied_ones() -> AbstractContextManager[Any]:
    return together(
        PATCH(daemon.core.room, "_copied_first", lambda going, *_, **__: going),
        PATCH(daemon.rotation.delete, "held_back", _nothing_waits),
    )


async def _nothing_waits(*_: Any) -> bool:
    return False


@broken(
    "the refusal at the limit does not name the store",
    "14",
    insist={"limit lowered": 0.5, "store unreachable": 1},
    first=257,
)
def _names_no_store() -> AbstractContextManager[Any]:
    text = "no slot can be freed: backups wait for their copies"
    return PATCH(daemon.core.room, "_waiting_for_copies", lambda *_: Refusal(ProblemCode.NOTHING_DELETABLE, text))
