"""What a killed drill, or restore by hand, has left on this machine.

Each daemon looks for it as it begins: this must load nothing.
"""

import shutil
from pathlib import Path

from daemon import files

NAME = "drill"
"""Where a drill fetches an archive to, within the state folder; one drill runs at a time."""


def remove_left(state_dir: Path | None) -> None:
    """Remove what they had fetched; the disk may be slow, or hang."""
    if state_dir is not None:
        shutil.rmtree(state_dir / NAME, ignore_errors=True)
        files.remove_left(state_dir, files.RESTORE)
