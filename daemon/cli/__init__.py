"""The command line: thin, and each command loads only what it needs.

`app` declares every command, `main` turns what comes of it into an exit code, `output` and `tables` are for people,
`documents` holds the keys of the JSON that scripts rely on. The other modules are the commands. Importing this package
imports nothing.
"""
