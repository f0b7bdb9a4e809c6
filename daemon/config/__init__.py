"""The configuration: files and environment in, frozen values out, or every mistake at once.

`load` reads it, `values` is what comes out, `opinion` what members of a cluster compare of it, `errors` says what is
wrong. `policy` makes a policy's values. `sources`, `files` and `environment` find what was written, `models`,
`policy_tables` and `kinds` hold every key and its type, `keys` and `secret` find keys and passwords, and `store_places`
which stores are one place. `schema` and `first` write what operators start from.
"""

__all__ = [
    "environment",
    "errors",
    "first",
    "keys",
    "kinds",
    "load",
    "models",
    "opinion",
    "policy",
    "schema",
    "sources",
    "store_places",
    "translate",
    "tree",
    "values",
]
