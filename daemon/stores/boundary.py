"""The one way in which what a library or the system raises becomes a StoreError."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from daemon.stores.errors import StoreError

Kinds = Sequence[tuple[tuple[type[Exception], ...], type[StoreError]]]
"""What each foreign error has become, the narrower ones first."""


@contextmanager
def translating(errors: tuple[type[Exception], ...], failure_of: Callable[[Exception], StoreError]) -> Iterator[None]:
    """Raise what `failure_of` makes of each of these errors, and keep nothing of it: it may quote a secret."""
    try:
        yield
    except errors as error:
        failure = failure_of(error)
    else:
        return
    raise failure from None


def errors_of(kinds: Kinds) -> tuple[type[Exception], ...]:
    """Return all foreign errors of which it is known what they have become."""
    return tuple(error for errors, _ in kinds for error in errors)


def kind_of(error: Exception, kinds: Kinds) -> type[StoreError]:
    """Return what a foreign error has become."""
    return next(kind for errors, kind in kinds if isinstance(error, errors))
