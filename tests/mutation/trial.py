"""The tests of the core against one mutant, in a process of its own.

The process is forked before anything of the daemon is imported, and the mutant takes the place of its module there. It
counts as killed if a test fails, or if one test takes many times the processor time that it needs, which only a loop
that does not end does. It does not count where no test ran, nor where the mutant cannot even be imported.
"""

import gc
import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from itertools import islice
from pathlib import Path
from signal import SIGXCPU
from types import ModuleType

import coverage
import hypothesis
import pytest

from tests.mutation.mutants import Mutant

TESTS = "tests/core"
CORE = Path("daemon/core")
PATIENCE = 20
"""How many times its own processor time a test is given, beside LEAST seconds, before it counts as one without end."""
LEAST = 5
MEMORY = 4 * 1024**3
"""In bytes; a mutant that takes more fails with MemoryError."""

_STILLBORN = 100


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    ENDLESS = "endless"
    SURVIVED = "survived"
    STILLBORN = "stillborn"


@dataclass(frozen=True)
class Baseline:
    """The tests without any mutant: how many seconds each takes, and which lines of which module it runs."""

    seconds: dict[str, float]
    lines: dict[str, dict[str, list[int]]] = field(repr=False)

    def chosen(self, mutant: Mutant) -> list[str]:
        """The tests that can notice a mutant, those of the module and the quick ones first.

        Of what is inside a function only those that run it; of what is outside, all.
        """
        ran = {test for test, lines in self.lines[mutant.change.module].items() if mutant.runs_in(lines)}
        tests = ran if mutant.lines is not None else self.seconds
        return sorted(tests, key=lambda test: (test not in ran, self.seconds[test]))


class Substitute(MetaPathFinder, Loader):
    """Puts a mutant in the place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        """Ask for this one alone."""
        return spec_from_loader(fullname, self) if fullname == self.mutant.module else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's source."""
        exec(compile(self.mutant.source, f"{module.__name__} (mutant)", "exec"), module.__dict__)  # noqa: S102


class Chosen:
    """A plugin that runs the chosen tests, in that order, each with its share of processor time."""

    def __init__(self, tests: dict[str, float]) -> None:
        self.tests = tests

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the others."""
        places = {test: place for place, test in enumerate(self.tests)}
        items[:] = sorted((item for item in items if item.nodeid in places), key=lambda item: places[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Give the test what it may take."""
        allow(LEAST + PATIENCE * self.tests[nodeid])


class Observer:
    """A plugin that notes how long each test takes and which lines of the core it runs."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.coverage = coverage.Coverage(data_file=None, branch=False, include=[f"{CORE}/*"], config_file=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Count what is run from here on as this test's."""
        self.coverage.switch_context(item.nodeid)
        before = processor_time()
        result = yield
        self.seconds[item.nodeid] = processor_time() - before
        return result

    def baseline(self) -> Baseline:
        """What was seen."""
        data = self.coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = {}
        for path in data.measured_files():
            tests = lines.setdefault(Path(path).stem, {})
            for line, contexts in data.contexts_by_lineno(path).items():
                for test in filter(None, contexts):
                    tests.setdefault(test, []).append(line)
        return Baseline(self.seconds, lines)


def observe() -> Baseline:
    """Run all tests without a mutant; RuntimeError where they do not pass."""
    with tempfile.TemporaryFile("w+") as file:

        def observed() -> int:
            observer = Observer()
            with observer.coverage.collect():
                status = run([TESTS], observer)
            baseline = observer.baseline()
            imported = [name for name in sys.modules if name.partition(".")[0] not in {"daemon", "tests", "__main__"}]
            json.dump([imported, baseline.seconds, baseline.lines], file)
            file.flush()
            return status

        _, status = os.waitpid(forked(observed), 0)
        if os.waitstatus_to_exitcode(status) != pytest.ExitCode.OK:
            raise RuntimeError(f"{TESTS} does not pass even without a mutant")
        file.seek(0)
        imported, *seen = json.load(file)
    for name in imported:  # here once, so that no trial has to
        with suppress(ImportError):
            import_module(name)
    return Baseline(*seen)


def trials(mutants: Iterable[Mutant], baseline: Baseline, workers: int) -> Iterator[tuple[Mutant, Fate]]:
    """Try each, `workers` at a time, and tell what became of it, as they end."""
    waiting, running = iter(mutants), dict[int, Mutant]()
    while True:
        for mutant in islice(waiting, workers - len(running)):
            tests = {test: baseline.seconds[test] for test in baseline.chosen(mutant)}
            running[forked(partial(examine, mutant, tests))] = mutant
        if not running:
            return
        process, status = os.wait()
        mutant = running.pop(process)
        yield mutant, fate(mutant, os.waitstatus_to_exitcode(status))


def fate(mutant: Mutant, code: int) -> Fate:
    """What an exit code means; RuntimeError where it means that the tests did not run."""
    fates = {
        pytest.ExitCode.OK: Fate.SURVIVED,
        pytest.ExitCode.TESTS_FAILED: Fate.KILLED,
        pytest.ExitCode.INTERRUPTED: Fate.KILLED,  # a test module failed already where it is built of what was mutated
        _STILLBORN: Fate.STILLBORN,
        -SIGXCPU: Fate.ENDLESS,
    }
    if code not in fates:
        raise RuntimeError(f"the tests did not run (exit code {code}) against {mutant.change.module}, {mutant.change}")
    return fates[code]


def examine(mutant: Mutant, tests: dict[str, float]) -> int:
    """Import the mutant, run the tests until one fails, and return pytest's exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    allow(LEAST * PATIENCE)
    sys.meta_path.insert(0, Substitute(mutant))
    try:
        for module in (mutant.module, *(f"daemon.core.{path.stem}" for path in sorted(CORE.glob("[!_]*.py")))):
            import_module(module)  # some make values of what others define
    except Exception:  # noqa: BLE001 — whatever it is, no test is needed to see it
        return _STILLBORN
    for part in _own_first(mutant.change.module, tests):
        files = dict.fromkeys(test.partition("::")[0] for test in part)
        if code := run(["--exitfirst", *files], Chosen(part)):
            return code
    return pytest.ExitCode.OK


def _own_first(module: str, tests: dict[str, float]) -> Iterator[dict[str, float]]:
    """Yield the tests in the file that is named for the module, then the others: most mutants need no other file."""
    own = {test: seconds for test, seconds in tests.items() if f"/test_{module}.py::" in test}
    others = {test: seconds for test, seconds in tests.items() if test not in own}
    yield from filter(None, (own, others))


def run(arguments: list[str], plugin: object) -> int:
    """Run pytest in this process; what it draws is always the same, and no clock on the wall has a say."""
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")
    options = [
        "--quiet",
        "--tb=no",
        "--timeout=0",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    return pytest.main([*options, *arguments], plugins=[plugin])


def forked(work: Callable[[], int]) -> int:
    """Start a process that does the work in silence and ends with its result; return its number."""
    gc.freeze()
    process = os.fork()
    if process:
        return process
    code = -1
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        code = work()
    finally:
        os._exit(code)


def allow(seconds: float) -> None:
    """Let this process have so much more processor time."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (round(processor_time() + seconds) + 1, most))


def processor_time() -> float:
    """What this process has had, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
