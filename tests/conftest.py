"""What every test shares."""

import faulthandler
import gc
import logging
from collections.abc import Generator, Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.closed import closing
from tests.fakes import FakeClock
from tests.postgres import Postgres, newest, postgres

# How long an example takes, or is thought up, says more of who else uses the machine than of the program.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# For hours without hurry: pytest tests/fuzz tests/stateful tests/core --hypothesis-profile=long --timeout=0
settings.register_profile("long", settings(), max_examples=5000)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the run: it would look through thousands of tests each time."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the demo: begun last, its half minute would be waited for by all."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")


TEARDOWN_SECONDS = 60.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """End the process where what a test used cannot be taken down; of several, another one goes on.

    A test that was given up, since it waited for too long, still occupies anyio's runner, and its fixtures would wait
    for that for ever.
    """
    faulthandler.dump_traceback_later(TEARDOWN_SECONDS, exit=True, file=2)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def anyio_backend() -> str:
    """The daemon runs on asyncio, because APScheduler does; its tests run there too."""
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves only when somebody sleeps."""
    return FakeClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A real PostgreSQL; each test makes a database of its own in it."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def newest_postgres() -> Iterator[Postgres]:
    """One of a newer version than Debian has."""
    with postgres(newest()) as server:
        yield server


@pytest.fixture
def rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon looks for what is due every ten minutes: for stories of days, in which most looks find nothing."""
    monkeypatch.setattr("daemon.fleet.timekeeper.TICK_SECONDS", 600.0)
    monkeypatch.setattr("daemon.alerts.dispatcher.LOOK_SECONDS", 600.0)
    monkeypatch.setattr("daemon.copying.copying.GLANCE_SECONDS", 600.0)


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Journals in memory are closed before the next test begins."""
    with closing():
        yield


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Commands configure logging for their whole process; the next test starts with what there was before."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in tuple(logging.root.manager.loggerDict))]
    before = [(logger, logger.level, logger.propagate, tuple(logger.handlers)) for logger in loggers]
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)
    known = {logger for logger, *_ in before}
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers
    for name in tuple(logging.root.manager.loggerDict):
        if (new := logging.getLogger(name)) not in known:
            new.setLevel(logging.NOTSET)
            new.handlers.clear()
