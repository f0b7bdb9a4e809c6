"""A disk that takes its time: every call of the state is an await in which all else goes on, and a kill may come."""

import pytest

from tests.simulation.run import simulate


@pytest.mark.parametrize("seed", [7003, 7010])
def test_everything_holds_though_each_call_of_the_state_takes_a_moment(seed: int) -> None:
    """Rotations, alerts, reloads and kills meet between a call of the journal and its answer."""
    assert simulate(seed, insist={"slow disk": 1.0}, length=0.5).violation is None
