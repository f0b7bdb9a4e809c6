"""The command line: thin, and each command loads only what it needs.

`app` declares every command, with `config_app` those below `config`, and `main` turns how one ends into an exit code.
`context`, `options` and `arguments` are what many commands begin with, `streams` guards stdin, stdout and stderr.
`commands/` has one module per command, `backups/` and `copies/` the commands below these, `ui/` what they print and
ask.
"""

__all__ = ["main", "streams"]
