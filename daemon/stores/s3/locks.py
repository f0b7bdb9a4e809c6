"""Locks of S3's objects (Object Lock), and what a bucket's owner set up: asked for, read, extended.

An object is locked in compliance mode, which nobody ends early, not even the account's owner. Locks need versions: a
delete of a locked object hides it behind a mark, and the bucket still keeps it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from daemon.stores.base import Traits
from daemon.stores.errors import ObjectMissingError, StorePermissionError, StoreRefusedError
from daemon.stores.s3 import answers
from daemon.stores.s3.client import S3Client
from daemon.stores.s3.http import Answer
from daemon.stores.s3.refusal import UnsupportedError

A = TypeVar("A")

_UNTIL = "x-amz-object-lock-retain-until-date"
_MODE = "x-amz-object-lock-mode"
_HOLD = "x-amz-object-lock-legal-hold"
_COMPLIANCE = "COMPLIANCE"


def lock_headers(until: datetime | None) -> dict[str, str]:
    """Return the headers that lock an object from its first moment; none for no lock."""
    return {} if until is None else {_MODE: _COMPLIANCE, _UNTIL: answers.lock_moment(until)}


class BucketLocks:
    """The locks of one bucket. Names are the bucket's own, with the store's prefix."""

    def __init__(self, store: str, client: S3Client) -> None:
        self._store = store
        self._client = client
        self._traits: Traits | None = None

    async def traits(self) -> Traits:
        """Ask what the bucket's owner set up; a key that may not ask learns nothing."""
        versions = await self._asked("versioning", answers.versioned)
        locks = await self._asked("object-lock", answers.lock_traits, missing=Traits(lockable=False))
        if versions is False and locks is None:
            locks = Traits(lockable=False)  # without versions there are no locks
        return replace(locks or Traits(), versioned=versions)

    async def possible(self) -> bool | None:
        """Return whether the bucket has locks, asked once; None where this installation's key may not ask."""
        if self._traits is None:
            self._traits = await self.traits()
        return self._traits.lockable

    async def of(self, name: str, answer: Answer) -> tuple[datetime | None, bool, bool]:
        """Given the answer to a look at an object: until when it is locked, whether it is held, whether that is known.

        The headers show a lock only to a key that may read locks; so where they show none, it is asked for.
        """
        held = answer.headers.get(_HOLD, "").upper() == "ON"
        if until := answer.headers.get(_UNTIL):
            return answers.header_moment(until), held, True
        possible = await self.possible()
        if not possible:
            return None, held, possible is False
        what = f"{self._store}: the lock of {name} cannot be read"
        try:
            asked = await self._client.call(what, "GET", name, query={"retention": ""})
        except ObjectMissingError:  # it has none
            return None, held, True
        return answers.retention(asked.body), held, True

    async def extend(self, name: str, until: datetime) -> None:
        """Extend an object's retention in its own mode, or begin one."""
        what = f"{self._store}: {name} cannot be locked"
        answer = await self._client.call(what, "HEAD", name)
        locked_until, _, _ = await self.of(name, answer)
        if locked_until and locked_until >= until:
            return
        body = answers.retention_wanted(answer.headers.get(_MODE, _COMPLIANCE), until)
        await self._client.call(what, "PUT", name, query={"retention": ""}, body=body, checked=True)

    async def _asked(self, setting: str, read: Callable[[bytes], A], *, missing: A | None = None) -> A | None:
        """Return what the bucket says of one of its settings; None where it does not say, or has none of this kind."""
        try:
            answer = await self._client.call(f"{self._store}: ?{setting} cannot be read", "GET", query={setting: ""})
        except (ObjectMissingError, UnsupportedError):
            return missing
        except (StorePermissionError, StoreRefusedError):
            return None
        return read(answer.body)
