"""A rotation whose server another member of the cluster has taken over in its midst."""

import pytest

from daemon.errors import ProblemCode, TakenOverError
from daemon.rotation.outcome import Result
from daemon.sandbox.orders import Call
from daemon.state.local.journal import SqliteJournal
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio


async def test_what_another_member_refused_to_let_be_announced_is_not_asked_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That member makes the backup, and would not know of this one."""

    def refused(*_: object, **_detail: object) -> None:
        raise TakenOverError("another member has taken over", hint="wait")

    rig.fill(5)
    monkeypatch.setattr(SqliteJournal, "announce", refused)
    outcome = await rig.rotate()
    assert outcome.result is Result.FAILED
    assert {problem.code for problem in outcome.problems} == {ProblemCode.JOURNAL}
    assert (rig.requests(Call.CREATE), rig.requests(Call.DELETE)) == (0, 0)
