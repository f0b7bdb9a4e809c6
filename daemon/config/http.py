"""The `[http]` table: where the daemon answers, to which names, and who may read it.

Without a token only this machine may read, unless the operator sets `expose = true`. The page holds no secret, but it
would tell strangers which servers there are and how far back they could be restored.
"""

import re
from collections.abc import Mapping

from pydantic import SecretStr, ValidationError

from daemon.config.addresses import is_loopback, split_listen
from daemon.config.errors import shown
from daemon.config.models import HttpTable
from daemon.config.secret import Place, credential_file, find_secret
from daemon.config.translate import refuse_all
from daemon.config.tree import Tree, variable
from daemon.config.values import HttpConfig

SHORTEST_TOKEN = 16
_TOKEN = Place(("http", "token"), "token", "no token")
_LISTEN = ("http", "listen")
_SAMPLE = re.compile(r"^example|change.?me|your.?token|openssl", re.IGNORECASE)
_GENERATE = "`openssl rand -hex 32` makes a good one"


def http_config(environ: Mapping[str, str], tree: Tree) -> HttpConfig | None:
    """Return where the daemon answers HTTP; None if it does not or, with a problem, if the table is wrong."""
    try:
        table = HttpTable.model_validate(tree.values["http"])
    except ValidationError as error:
        refuse_all(error, ("http",), tree)
        return None
    if table.listen is None:
        if table.model_fields_set:
            tree.warn(_LISTEN, "is not set, so the rest of [http] does nothing")
        return None
    host, port = split_listen(table.listen)
    wants_token = _wants_token(table, environ)
    token = _token(table, environ, tree) if wants_token else None
    if not (is_loopback(host) or wants_token or table.expose):
        suggestion = f"set {variable(_TOKEN.path)} or token_file, or write expose = true"
        tree.refuse(_LISTEN, "others could read the page without a token", suggestion, value=shown(table.listen))
    return HttpConfig(host, port, frozenset(table.hosts), token, table.external_url or "")


def _wants_token(table: HttpTable, environ: Mapping[str, str]) -> bool:
    """Return whether a token was given in any of the three places."""
    credential = credential_file(_TOKEN.path, environ)
    return table.token is not None or table.token_file is not None or credential is not None


def _token(table: HttpTable, environ: Mapping[str, str], tree: Tree) -> SecretStr | None:
    found = find_secret(_TOKEN, table.token, table.token_file, environ, tree)
    if found is None:
        return None
    token, path = found
    if any(character <= " " or character > "~" for character in token):
        tree.refuse(path, "the token holds a space or another character that a header cannot carry", _GENERATE)
    elif len(token) < SHORTEST_TOKEN:
        tree.refuse(path, f"the token is shorter than {SHORTEST_TOKEN} characters", _GENERATE)
    elif _SAMPLE.search(token):
        tree.refuse(path, "the token is the sample of an example, which everybody knows", _GENERATE)
    else:
        return SecretStr(token)
    return None
