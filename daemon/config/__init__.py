"""The configuration: files and environment in, frozen values out, or every mistake at once.

`load.load` is the way in, `values` is what comes out; `errors` says what is wrong. `sources` reads the files and the
environment, `models` holds every key, `keys` finds the panels' keys; `schema` and `first` write what operators start
from. Import the modules themselves: this file stays empty, so that a command that needs no configuration pays nothing.
"""
