"""What can go wrong on the server that an archive is brought onto; all of it is partly done (exit 3)."""

from daemon.errors import BackupdError, Exit, ProblemCode


class RestoreError(BackupdError):
    """The archive is not on the server as it should be."""

    exit_code = Exit.SOME_FAILED
    code = ProblemCode.FILES_DIFFER
    default_hint = "look at the server's files before starting it"


class NotEmptiedError(RestoreError):
    """Files of the server could not be deleted."""

    code = ProblemCode.NOT_EMPTY


class NotSpareError(RestoreError):
    """The server is not the spare one that it was, so nothing on it is touched."""

    code = ProblemCode.NOT_A_DRILL


class NotStoppedError(RestoreError):
    """The server's process goes on."""

    code = ProblemCode.RUNNING
    default_hint = "stop it in the panel, or kill it there, and run the command again"


class NotStartedError(RestoreError):
    """The server's process does not run, or ended by itself."""

    code = ProblemCode.DRILL_FAILED
    default_hint = "the spare server keeps its files: its console and its log say more"
