"""Which backups are far too small, told from their sizes in the order they were made.

A world that shrinks to a tenth overnight is a fault far oftener than a clean-up, and a rotation that trusts the tenth
deletes the whole ones. So a backup far smaller than the good ones before it is not believed until three in a row agree
or an operator accepts it. Computed from the listing alone, so that a restart or a lost journal changes nothing.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from statistics import median

from daemon.core.model import Backup
from daemon.core.units import format_size

LOOK_BACK = 5
"""How many good ones before it a backup is measured against."""

AGREEING = 3
"""How many small ones in a row, within a factor of two of each other, are the new normal."""


def too_small(backups: Iterable[Backup], *, share: float, accepted: Collection[str] = ()) -> dict[str, str]:
    """Given successful backups, oldest first, return the suspicious ones by uuid, each with the words that say why.

    Suspicious is one of less than `share` of the median size of up to five good ones before it (locked ones count as
    well as others), unless it is `accepted`. Once three suspicious ones in a row are within a factor of two of each
    other, those are good, the first two as well as the third, and so are earlier ones of that row of such a size. No
    bytes at all are always suspicious.
    """
    words: dict[str, str] = {}
    good: deque[int] = deque(maxlen=LOOK_BACK)
    row: list[Backup] = []
    for backup in backups:
        complaint = _complaint(backup, good, share)
        if complaint is None or (backup.bytes and backup.uuid in accepted):
            good.append(backup.bytes)
            row.clear()
            continue
        words[backup.uuid] = complaint
        row.append(backup)
        believed = _new_normal(row)
        if believed:
            good.extend(member.bytes for member in believed)
            row.clear()
        for member in believed:
            del words[member.uuid]
    return words


def _complaint(backup: Backup, before: Sequence[int], share: float) -> str | None:
    if not backup.bytes:
        return "0 bytes"
    if not before or backup.bytes >= share * max(
        before
    ):  # asked first, since it is quicker and the median is never more
        return None
    usual = median(before)
    if backup.bytes >= share * usual:
        return None
    those = "the good one before it" if len(before) == 1 else f"the median of the {len(before)} good ones before it"
    return f"{format_size(backup.bytes)}, less than {share:.0%} of {format_size(int(usual))}, {those}"


def _new_normal(row: Sequence[Backup]) -> list[Backup]:
    """The members of a row of small ones that its newest three make the new normal; none where they disagree."""
    newest = [member.bytes for member in row[-AGREEING:]]
    if len(newest) < AGREEING or not _alike(newest):
        return []
    return [member for member in row if _alike([member.bytes, *newest])]


def _alike(sizes: Sequence[int]) -> bool:
    return 0 < max(sizes) <= 2 * min(sizes)
