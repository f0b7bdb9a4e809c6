"""`sandbox`: a panel in memory over real HTTP, until Ctrl-C."""

from pathlib import Path
from tempfile import TemporaryDirectory

from daemon.cli.arguments import read_address
from daemon.cli.settings import PROGRAM
from daemon.cli.ui.output import say
from daemon.clock import SystemClock
from daemon.errors import Exit, UsageError
from daemon.sandbox.scenes import KEYS, add_spare, demo
from daemon.sandbox.serve import SandboxServer, serve
from daemon.sandbox.settings import Kind


def serve_sandbox(listen: str, kind: str) -> int:
    """Serve the demo's panel at that address, as a panel of that kind, and print how to use it.

    It has a server more, for drills.
    """
    host, port = read_address("--listen", listen)
    if kind not in KEYS:
        raise UsageError(f"--kind: {kind!r} is none; there are {' and '.join(KEYS)}")
    world = demo(SystemClock(), Kind(kind))
    try:
        with TemporaryDirectory(prefix="ptero-backupd-sandbox-") as folder:
            add_spare(world, "survival", Path(folder))
            serve(host, port, world=world, ready=_say_how)
    except OSError as error:
        raise UsageError(f"--listen: {listen} cannot be listened on: {error.strerror or error}") from None
    say("the sandbox is gone, with all that was in it")
    return Exit.DONE


def _say_how(server: SandboxServer) -> None:
    kind = server.world.settings.kind
    say(f"a panel in memory answers at {server.url}, as a {kind.capitalize()} does; Ctrl-C ends it")
    say(f"its key is {KEYS[kind]}")
    say("to try it, in another terminal:")
    say(f"  echo {KEYS[kind]} | {PROGRAM} init --url {server.url} --api-key-file - --output sandbox/config.toml")
    say(f"  {PROGRAM} --config sandbox/config.toml plan")
