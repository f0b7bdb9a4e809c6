"""Moving the state from a folder to a cluster's database, or back: all of it or nothing, compared row by row.

Both sides have the same tables with the same columns. A table that only one of them knows is a bug, and refused.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count
from typing import Protocol

from daemon.errors import StateError

Row = tuple[object, ...]
BATCH = 2000


class Side(Protocol):
    """Where the state comes from, or goes to. Every call may raise StateError."""

    title: str

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Keep it open; what was filled is there only if the block ends without an error."""
        ...

    async def columns(self) -> dict[str, list[str]]:
        """Return each table's columns, those of its key first; the tables that others refer to come first."""
        ...

    def rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
        """Yield the rows in the order of these columns, in batches."""
        ...

    async def fill(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Add rows."""
        ...

    async def be(self, installation: str) -> None:
        """Have this id from now on, which the manifests of all copies name."""
        ...


async def move(source: Side, target: Side, installation: str) -> dict[str, int]:
    """Copy everything to an empty target, read both again and compare them; return how many rows each table has."""
    async with source.opened(), target.opened():
        tables = await source.columns()
        theirs = await target.columns()
        if {table: sorted(columns) for table, columns in tables.items()} != {
            table: sorted(columns) for table, columns in theirs.items()
        }:
            raise StateError(f"the tables in {source.title} and in {target.title} differ", hint="please report it")
        await _must_be_empty(target, tables)
        copied = {}
        for table, columns in tables.items():
            async for batch in source.rows(table, columns):
                await target.fill(table, columns, batch)
            copied[table] = await _compared(source, target, table, columns)
        await target.be(installation)
        return copied


async def must_be_ready(source: Side, target: Side) -> None:
    """Raise StateError unless there is a journal to move, and an empty place for it."""
    async with source.opened(), target.opened():
        await _must_be_empty(target, await source.columns())


async def _must_be_empty(target: Side, tables: dict[str, list[str]]) -> None:
    for table, columns in tables.items():
        async for _ in target.rows(table, columns):
            raise not_empty(target.title, table)


def not_empty(title: str, table: str) -> StateError:
    """Return what says that there are rows already."""
    hint = "choose another one, or remove what is there if you are sure that it is of no use"
    return StateError(f"{title} is not empty: there are rows in {table}", hint=hint)


def not_the_same(title: str, table: str) -> StateError:
    """Return what says that a table was read back, and was another one."""
    return StateError(f"{table} in {title} is not what was written there", hint="please report it")


async def _compared(source: Side, target: Side, table: str, columns: Sequence[str]) -> int:
    """Return how many rows both have; StateError for the first that differs."""
    ours, theirs = source.rows(table, columns), target.rows(table, columns)
    number = 0
    for _ in count():
        one: list[Row] = await anext(ours, [])
        other: list[Row] = await anext(theirs, [])
        if one != other:
            raise not_the_same(target.title, table)
        number += len(one)
        if not one:
            return number
    raise AssertionError("it counts forever")
