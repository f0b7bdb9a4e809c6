"""Every rule has been seen to fail: daemons that are broken on purpose, and the simulation finds each of them.

The seeds are tried in their order until one shows the break; that none does within `MOST` of them is the failure.
"""

import pytest

from tests.simulation.builds import BREAKS
from tests.simulation.checker import TITLES

pytestmark = pytest.mark.timeout(300)

MOST = 60


@pytest.mark.parametrize("title", BREAKS)
def test_the_simulation_finds_a_broken_daemon(title: str) -> None:
    """Within a few seeds, by the rule that says so."""
    found = BREAKS[title]
    met = []
    with found.make():
        for seed in range(found.first, found.first + MOST):
            report = found.play(seed, insist=found.insist)
            if report.broken & found.rules:
                return
            met.append(report.violation)
    pytest.fail(f"{MOST} seeds do not show it; they show {[violation for violation in met if violation]}")


def test_every_rule_has_a_daemon_that_breaks_it() -> None:
    """One that no other rule may find in its stead: none of the rules is there for show."""
    assert {rule for found in BREAKS.values() for rule in found.rules if len(found.rules) == 1} == set(TITLES)
