"""Which backups a remembered shelf has copies of: read quickly, for what only shows it."""

import json


def backups_listed(detail: str) -> frozenset[str]:
    """Given what the catalogue holds of a shelf, return the uuids of the backups that have a whole copy there.

    What cannot be read holds none: it is a cache.
    """
    try:
        return frozenset(str(one["backup"]["uuid"]) for one in json.loads(detail)["manifests"].values())
    except (AttributeError, KeyError, TypeError, ValueError):
        return frozenset()
