"""Whether the names of an archive lead out of the folder that it is unpacked in, by themselves or through its links.

What must hold: each part of a name is looked at once, and of a link only two numbers are remembered, so that time is
bounded by the length of the names and memory by the number of links. If in doubt, a name counts as leading outside.
"""

import sys

MOST_LINKS = 200_000

_ROOT = 0
_ANYWHERE = sys.maxsize  # so far up leads a link whose end cannot be told


class Links:
    """The symbolic links of an archive so far, hard links to them included."""

    def __init__(self) -> None:
        self._up: dict[int, int] = {}  # by the key of a link, how many folders up from its own it leads
        self._any_outward = False

    def __len__(self) -> int:
        return len(self._up)

    def leads_out(self, name: str) -> bool:
        """Return whether a name leads out of the folder, or may do so through a link before it."""
        if not self._up and ".." not in name:
            return name.startswith("/")  # what most names are, at once
        return self._place(name) is None

    def add(self, name: str, target: str) -> bool:
        """Remember a symbolic link, whose own name stays inside; return whether it leads outside."""
        return self._remember(name, _levels_up(target))

    def add_hard(self, name: str, target: str) -> bool:
        """Remember a hard link if it is one to a symbolic link; return whether that leads outside from there."""
        place = self._place(target)
        up = self._up.get(place[0]) if place else None
        return up is not None and self._remember(name, up)

    def _remember(self, name: str, up: int) -> bool:
        place = self._place(name)
        if place is None:
            return True
        key, depth, through = place
        self._up[key] = max(up, self._up.get(key, 0))
        outward = up > (0 if through else depth - 1)
        self._any_outward |= outward
        return outward

    def _place(self, name: str) -> tuple[int, int, bool] | None:
        """Return the key of where a name leads, how deep that is, and whether through a link; None for outside.

        A key is made from that of the folder and the last part. (Python's hashes of text differ in each process, so
        nobody can make an archive in which two names share a key.)
        """
        if name.startswith("/"):
            return None
        path, through = [_ROOT], False
        for part in name.split("/"):
            if part in {"", "."}:
                continue
            through = through or path[-1] in self._up
            if part != "..":
                path.append(hash((path[-1], part)))
            elif through or len(path) == 1:  # behind a link ".." is the folder above its target
                return None
            else:
                path.pop()
        return None if through and self._any_outward else (path[-1], len(path) - 1, through)


def _levels_up(target: str) -> int:
    """Return how many folders up a link leads; if ".." follows a name, that name may itself be a link."""
    if target.startswith("/"):
        return _ANYWHERE
    parts = [part for part in target.split("/") if part not in {"", "."}]
    up = next((count for count, part in enumerate(parts) if part != ".."), len(parts))
    return _ANYWHERE if ".." in parts[up:] else up
