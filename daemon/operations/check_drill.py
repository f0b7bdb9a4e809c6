"""What `check` finds about the drills that a server takes part in: what they would be refused for.

Pure: values in, findings out. It names what `daemon.operations.onto` looks at again before it touches anything.
"""

from collections.abc import Collection, Iterable

from daemon.config.values import DrillConfig, ServerConfig
from daemon.core.model import Server
from daemon.errors import ProblemCode
from daemon.operations.drill import needed
from daemon.operations.findings import Finding, Severity, about
from daemon.operations.onto import NEEDED
from daemon.operations.target import DRILL_MARK, marked
from daemon.panel.errors import ServerStateError
from daemon.rotation.preview import lacks

DOWNLOAD = "backup.download"


def drill_findings(config: ServerConfig, server: Server, drills: Iterable[DrillConfig]) -> list[Finding]:
    """Return a warning for all that a drill would be refused for on this server, its spare one or one of its others."""
    findings = []
    for drill in drills:
        if drill.server == config.name:
            findings += _spare(config, server, drill)
        if config.name in drill.sources:
            findings += _lacking(config, server, drill, {DOWNLOAD})
    return findings


def _spare(config: ServerConfig, server: Server, drill: DrillConfig) -> list[Finding]:
    findings = _lacking(config, server, drill, NEEDED | needed(start=drill.start, console=drill.console))
    if server.obstacle is not None:
        error = ServerStateError(f"it is {server.obstacle}", obstacle=server.obstacle)
        findings.append(_refused(config, drill, error.code, error.text, error.hint))
    if not marked(server.description):
        hint = f"write {DRILL_MARK} into it in the panel, if everything on the server may be deleted"
        text = f"its description does not carry {DRILL_MARK}"
        findings.append(_refused(config, drill, ProblemCode.NOT_A_DRILL, text, hint))
    return findings


def _lacking(config: ServerConfig, server: Server, drill: DrillConfig, permissions: Collection[str]) -> list[Finding]:
    if not (lacking := sorted(one for one in permissions if lacks(server, one))):
        return []
    hint = "give the key's user these permissions on the server"
    return [_refused(config, drill, ProblemCode.PERMISSION_LACKING, f"the key lacks {', '.join(lacking)}", hint)]


def _refused(config: ServerConfig, drill: DrillConfig, code: ProblemCode, text: str, hint: str) -> Finding:
    return about(config, Severity.WARNING, code, f"drill {drill.name} would fail: {text}", hint)
