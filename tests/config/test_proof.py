"""What is proven, and how much of it a day."""

from datetime import time, timedelta
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.core.proof import Level
from daemon.core.proof_due import ProofRules, Quiet
from tests.config.support import ENVIRONMENT, RIGHT, problems, write


def proving(prove: str, more: str = "") -> str:
    """A configuration that is right but for these."""
    return RIGHT.replace("\nkeep =", f"\nprove = {prove}\nkeep =", 1) + more


def test_what_is_proven_is_the_policy_s_and_a_server_may_differ(tmp_path: Path) -> None:
    """The whole table is replaced."""
    text = proving('{ level = "walked", newest_within = "12h", every = "never", keep_proven = 3, expect = ["*.db"] }')
    text = text.replace("[servers.survival]", '[servers.survival]\nprove = { every = "90d" }')
    config = load(write(tmp_path, text), ENVIRONMENT)
    assert config.policies["standard"].prove == ProofRules(Level.WALKED, timedelta(hours=12), None, 3, ("*.db",))
    assert config.servers["survival"].policy.prove == ProofRules(every=timedelta(days=90))


def test_nothing_is_proven_where_nobody_asks_for_it(tmp_path: Path) -> None:
    """And then no bound matters."""
    config = load(write(tmp_path, RIGHT), ENVIRONMENT)
    assert config.policies["standard"].prove is None
    assert (config.proof.per_day, config.proof.quiet) == (None, None)


def test_how_much_is_read_a_day_and_when_not_is_of_all_servers(tmp_path: Path) -> None:
    """From a file, or from the environment."""
    text = proving("{}", '\n[proof]\nper_day = "200GiB"\nquiet = "22:00-06:00"\n')
    assert load(write(tmp_path, text), ENVIRONMENT).proof.per_day == 200 * 2**30
    assert load(write(tmp_path, text), ENVIRONMENT).proof.quiet == Quiet(time(22), time(6))
    bound = {"PTERO_BACKUPD_PROOF__PER_DAY": "1GiB"}
    assert load(write(tmp_path, RIGHT), ENVIRONMENT | bound).proof.per_day == 2**30


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (proving('{ level = "deep" }'), ("policies.standard.prove.level", 'must be "read", "walked" or "sane"')),
        (proving('{ levle = "sane" }'), ("policies.standard.prove.levle", "unknown key")),
        (proving('{ every = "0s" }'), ("policies.standard.prove.every", "must be longer than nothing")),
        (proving("{ keep_proven = -1 }"), ("policies.standard.prove.keep_proven", "must be at least 0")),
        (
            proving("{}", '\n[proof]\nquiet = "8-23"\n'),
            ("proof.quiet", '"8-23" is not a span of hours: write it as "08:00-23:00"'),
        ),
        (
            'state_dir = "none"\n' + proving("{}"),
            ("state_dir", 'with "none" nothing is remembered of proofs, so that nothing can be proven'),
        ),
    ],
)
def test_a_mistake_is_refused_with_its_key(tmp_path: Path, text: str, told: tuple[str, str]) -> None:
    """And with what would be right."""
    (problem,) = problems(write(tmp_path, text), ENVIRONMENT)
    assert (problem.key, problem.reason) == told


def test_a_short_every_is_warned_of_by_nobody(tmp_path: Path) -> None:
    """Each kept backup is read once in that time, which may be what is wanted."""
    assert load(write(tmp_path, proving('{ newest_within = "7d", every = "7d" }')), ENVIRONMENT).warnings == ()
