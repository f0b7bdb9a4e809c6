"""The panel client: with the alerts' sender, the only importer of httpx.

`client` has a method per endpoint, of which `reader` has those that only read, and `errors` is all that they raise.
Below it: `endpoints` says which request each one is, `transport` takes turns and repeats, `http` sends. `listing` makes
whole lists of pages, `reconcile` settles lost answers, `wire` reads the panel's JSON. `server_files` has the calls for
a server's files and process. `download` fetches files from their hosts, `upload` sends them there, and `console` reads
a server's console, by the same certificates (`reach`) and proxies (`proxies`).
"""

__all__ = [
    "client",
    "console",
    "download",
    "errors",
    "hindrance",
    "listing",
    "proxies",
    "rate_limiter",
    "reach",
    "reconcile",
    "server_files",
    "upload",
]
