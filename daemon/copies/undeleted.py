"""Why objects of a store could not be deleted: one that is refused hinders no other."""

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.copies.errors import CopyError
from daemon.stores.errors import (
    ObjectLockedError,
    StoreError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
)

MOST_UNDELETED = 20  # in one visit of a store
OF_ONE = (ObjectLockedError, StorePermissionError, StoreRefusedError, StoreTroubleError)
"""Errors that may concern one object alone: a lock that nobody told of, a right that its folder lacks."""


class Undeleted:
    """The refusals of one visit."""

    def __init__(self) -> None:
        self._errors: list[StoreError] = []

    @property
    def are_too_many(self) -> bool:
        """Whether nothing more is worth trying."""
        return len(self._errors) >= MOST_UNDELETED

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note a refusal that may concern one object alone, and go on after the block.

        A second error that may pass is the store's own trouble, and is raised; so is one too many of any kind.
        """
        try:
            yield
        except OF_ONE as error:
            if self.are_too_many or (error.transient and any(one.transient for one in self._errors)):
                raise
            self._errors.append(error)

    def as_error(self, what: str) -> CopyError | None:
        """Return the error to tell of what could not be deleted, which is called so; None where nothing was refused."""
        if not self._errors:
            return None
        first, *others = self._errors
        more = f"; nor could {len(others)} more" if others else ""
        return CopyError(f"{what} could not be deleted: {first.text}{more}", hint=first.hint)
