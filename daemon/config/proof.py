"""What is proven, how often, and how much of it a day: a policy's `prove`, and the table `[proof]`."""

from pydantic import ValidationError

from daemon.config.models import ProofTable
from daemon.config.policy_tables import PolicyTable, ProveTable
from daemon.config.translate import refuse_all
from daemon.config.tree import KeyPath, Tree
from daemon.config.values import ProofConfig
from daemon.core.proof import Level
from daemon.core.proof_due import ProofRules, Quiet
from daemon.core.units import parse_duration, parse_size


def proof_config(tree: Tree) -> ProofConfig:
    """Return how much may be read a day, and when not; without a bound or, with a problem, if the table is wrong."""
    try:
        table = ProofTable.model_validate(tree.values["proof"])
    except ValidationError as error:
        refuse_all(error, ("proof",), tree)
        return ProofConfig()
    per_day = None if table.per_day == "off" else parse_size(table.per_day)
    return ProofConfig(per_day, None if table.quiet == "off" else Quiet.parse(table.quiet))


def rules_of(table: ProveTable | None) -> ProofRules | None:
    """Given what was written as `prove`, return the rules; None if nothing is to be proven."""
    if table is None:
        return None
    return ProofRules(
        Level(table.level),
        parse_duration(table.newest_within),
        None if table.every == "never" else parse_duration(table.every),
        table.keep_proven,
        tuple(table.expect),
    )


def check_prove(path: KeyPath, table: PolicyTable, tree: Tree) -> None:
    """Refuse proofs that nothing would remember."""
    if table.prove is not None and tree.values["state_dir"] == "none" and not tree.refused(("state_dir",)):
        reason = 'with "none" nothing is remembered of proofs, so that nothing can be proven'
        tree.refuse(("state_dir",), reason, f"name a folder, or leave {path[0]}.{path[1]}.prove out")
