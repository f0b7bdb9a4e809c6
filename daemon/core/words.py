"""Words that several messages share: lists as people read them, and what installs what is missing."""

from collections.abc import Sequence


def first_few(names: Sequence[str], most: int) -> str:
    """Return the first of these names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def that_installs(extra: str) -> str:
    """Return the command that installs an extra of this program."""
    return f"pip install 'ptero-backupd[{extra}]'"
