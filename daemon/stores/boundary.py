"""Translate what a library or the operating system raises into one of ours; every engine does it by this module."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from daemon.errors import BackupdError
from daemon.stores.errors import StoreError

Kinds = Sequence[tuple[tuple[type[Exception], ...], type[StoreError]]]
"""Which of our errors stands for which foreign ones; narrower ones first."""


@contextmanager
def translating(errors: tuple[type[Exception], ...], failure_of: Callable[[Exception], BackupdError]) -> Iterator[None]:
    """Raise what `failure_of` makes of each of these errors, without its cause or context: they may quote a secret."""
    try:
        yield
    except errors as error:
        failure = failure_of(error)
    else:
        return
    raise failure from None


def errors_of(kinds: Kinds) -> tuple[type[Exception], ...]:
    """Return every foreign error that the table translates."""
    return tuple(error for errors, _ in kinds for error in errors)


def kind_of(error: Exception, kinds: Kinds) -> type[StoreError]:
    """Return the kind of StoreError that stands for a foreign error."""
    return next(kind for errors, kind in kinds if isinstance(error, errors))
