"""What is known of the proofs of a server's backups, as its rotations ask for it (invariant 17).

Nothing is read here but the journal. What must hold: readings of a store that the server is not copied to any more say
nothing; without a journal nothing is deleted anyhow.
"""

from daemon.config.values import PolicyConfig
from daemon.core.proof import PANEL, Proofs
from daemon.core.proven import NO_RULE, KeepProven, Proven
from daemon.state import Journal


def proven_rule(policy: PolicyConfig) -> KeepProven:
    """Return what a policy keeps for its proofs."""
    return NO_RULE if policy.prove is None else policy.prove.kept


async def proven_of(policy: PolicyConfig, server_uuid: str, journal: Journal) -> Proven:
    """Return what is proven of a server, and what its policy keeps for it; raises StateError."""
    places = {PANEL, *policy.copies}
    known = await journal.proofs(server_uuid)
    return Proven(proven_rule(policy), Proofs(one.proof for one in known if one.proof.store in places))
