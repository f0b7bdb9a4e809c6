"""What was written, before it is checked: one tree of values that remembers where each of its keys came from."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.config.disk import Look, look
from daemon.config.errors import ENVIRONMENT, ConfigIssue, shown

KeyPath = tuple[str, ...]
PREFIX = "PTERO_BACKUPD_"


@dataclass
class Tree:
    """All sources in one. `values` nests as a file does. `origins` holds the file (or "environment") of each entry and
    key. `problems` and `warnings` are what is wrong or unwise so far. `main` is the main file, if it exists or not.
    """

    main: Path
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    problems: list[ConfigIssue] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    looks: dict[Path, Look | None] = field(default_factory=dict)

    def look_at(self, path: Path) -> Path:
        """Remember which file or folder it is before it is read, and return the path to read that very one."""
        seen = self.looks[path] = look(path)
        return path if seen is None else Path(seen[0])

    def has_changed(self) -> bool:
        """Return whether anything that was read has changed since, so that the values may be half old and half new."""
        return any(look(path) != before for path, before in self.looks.items())

    def origin(self, path: KeyPath) -> str:
        """Return where a key was written; for a missing one, where its table is."""
        known = (self.origins.get(path[:length]) for length in range(len(path), 0, -1))
        return next((origin for origin in known if origin), str(self.main))

    def resolved(self, path: KeyPath, text: str) -> Path:
        """Return the file or folder that a key names, relative to the file that names it; raises ValueError if it
        cannot be known.
        """
        if text.startswith("~"):
            raise ValueError("~ is not read here: write the whole path")
        if "\0" in text:
            raise ValueError("must be a path")
        named, origin = Path(text), self.origin(path)
        if named.is_absolute():
            return named
        if origin == ENVIRONMENT:
            raise ValueError("must be an absolute path, since the environment has no folder")
        return Path(origin).absolute().parent / named

    def refuse(
        self, path: KeyPath, reason: str, suggestion: str = "", *, value: str | None = None, file: str | None = None
    ) -> None:
        """Note a problem with a key, at the place where it was written."""
        self.problems.append(ConfigIssue(file or self.origin(path), dotted(path), value, reason, suggestion))

    def warn(self, path: KeyPath, text: str) -> None:
        """Note that a key is allowed, but unwise."""
        self.warnings.append(f"{dotted(path)}: {text}")

    @property
    def partly_unread(self) -> bool:
        """Whether a whole file is missing or could not be read: what seems to be missing may be in it."""
        return any(not problem.key for problem in self.problems)

    def refused(self, path: KeyPath) -> bool:
        """Return whether there is a problem with this key already."""
        return any(problem.key == dotted(path) for problem in self.problems)


def dotted(path: KeyPath) -> str:
    """Return a key as TOML writes it."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else shown(part) for part in path)


def variable(path: KeyPath) -> str:
    """Return the variable that sets a key."""
    return PREFIX + "__".join(path).replace("-", "_").upper()
