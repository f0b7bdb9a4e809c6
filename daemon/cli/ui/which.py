"""Which server and which backup it is: for documents, and for people."""

from daemon.cli.ui.output import one_line
from daemon.cli.ui.verdicts import created, size, whose
from daemon.config.values import ServerConfig
from daemon.core.model import Verdict
from daemon.documents.commands import About
from daemon.rotation.preview import Preview


def about(config: ServerConfig) -> About:
    """Return the server as documents name it."""
    return About(config.name, config.panel.name, config.id)


def where(seen: Preview) -> str:
    """Return which server it is, for people."""
    server = seen.server
    known = f'{seen.config.name} is "{one_line(server.name)}" ({server.identifier})'
    return f"{known} on {server.node}, panel {seen.config.panel.name}"


def line(seen: Preview, verdict: Verdict) -> str:
    """Return which backup it is, for people, and what a proof has found wrong with it."""
    backup = verdict.backup
    when, failed = created(backup, seen.config.policy.zone), seen.proven.proofs.failed(backup.uuid)
    wrong = f"; WARNING: {one_line(failed.wrong)}" if failed is not None else ""
    return f"{one_line(backup.name)}, made {when}, {size(backup)}, {verdict.state}, {whose(verdict)}{wrong}"
