"""`config schema`: the JSON schema of the configuration file."""

import json

from daemon.cli.ui.output import write
from daemon.config.schema import schema
from daemon.errors import Exit


def show_schema() -> int:
    """Print the schema as it is, without our schema number: an editor reads it."""
    write(json.dumps(schema(), indent=2) + "\n")
    return Exit.DONE
