"""`sandbox`: a panel in memory over real HTTP, until Ctrl-C."""

from daemon.cli.app import PROGRAM
from daemon.cli.arguments import read_address
from daemon.cli.output import say
from daemon.errors import Exit, UsageError
from daemon.sandbox.scenes import KEY
from daemon.sandbox.serve import SandboxServer, serve


def serve_sandbox(listen: str) -> int:
    """Serve the demo's panel there, and say how to use it."""
    host, port = read_address("--listen", listen)
    try:
        serve(host, port, ready=_say_how)
    except OSError as error:
        raise UsageError(f"--listen: {listen} cannot be listened on: {error.strerror or error}") from None
    say("the sandbox is gone, with all that was in it")
    return Exit.DONE


def _say_how(server: SandboxServer) -> None:
    say(f"a panel in memory answers at {server.url}; Ctrl-C ends it")
    say(f"its key is {KEY}")
    say("to try it, in another terminal:")
    say(f"  echo {KEY} | {PROGRAM} init --url {server.url} --api-key-file - --output sandbox/config.toml")
    say(f"  {PROGRAM} --config sandbox/config.toml plan")
