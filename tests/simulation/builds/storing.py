"""Careless changes to what is copied to stores, and deleted from them."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import daemon.copies.one_pass
import daemon.copies.prune
import daemon.copies.run
from daemon.core.copies_wanted import Choice, Taken
from daemon.stores.base import Store
from tests.simulation.builds.registry import PATCH, broken, original


@broken("what the node sent is not compared", "13", insist={"download is another file": 0.9}, first=54)
def _not_compared() -> AbstractContextManager[Any]:
    return PATCH(daemon.copies.one_pass, "_refuse_wrong", lambda *_: None)


@broken("a copy's data is deleted before its manifest", "15", first=18)
def _data_first() -> AbstractContextManager[Any]:
    async def delete(_: Any, store: Store, result: Any) -> None:
        for copy in result.decided.deletions if result.decided else ():
            await store.delete(copy.name.data)
            await store.delete(copy.name.manifest)

    return PATCH(daemon.copies.prune.Pruner, "_delete", delete)


@broken("only the newest backup is ever copied", "16", first=69)
def _no_backfill() -> AbstractContextManager[Any]:
    choices = original(daemon.copies.run, "choices")

    def newest(*given: Any, **named: Any) -> tuple[Choice, ...]:
        first, *rest = choices(*given, **named) or (None,)
        return tuple(filter(None, (first, *(replace(one, taken=Taken.REFUSED) for one in rest))))

    return PATCH(daemon.copies.run, "choices", newest)
