"""Which names an object may have: those that mean the same file below the prefix in every store, and nothing else.

A key is a path of segments with "/" between them. What leads out of the store ("..", a leading "/"), what a file
system reads otherwise than a bucket, and what marks an unfinished object are all refused.
"""

import re

PART = ".part"
"""What the name of an object ends with while it is written, in a store that has no better way."""

LONGEST_SEGMENT = 230  # bytes; 255 in most file systems, less the mark of an unfinished one
LONGEST_KEY = 900  # bytes; 1,024 in S3, with a prefix
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


def check_key(key: str) -> str:
    """Return the key; raises ValueError if no object may have that name."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{key!a} is not text") from None
    if not key or size > LONGEST_KEY:
        raise ValueError(f"a name has 1 to {LONGEST_KEY} bytes, and this one has {size}")
    if _FORBIDDEN.search(key):
        raise ValueError(f"{key!a} has a control character or a backslash in it")
    for segment in key.split("/"):
        _check_segment(key, segment)
    return key


def check_folder(folder: str) -> str:
    """Return the folder: "" for the whole store, else a key that ends with "/"; raises ValueError for anything else."""
    if folder and (not folder.endswith("/") or not check_key(folder[:-1])):
        raise ValueError(f'{folder!a} does not end with "/"')
    return folder


def is_key(text: str) -> bool:
    """Return whether an object may have that name; we have made none with any other."""
    try:
        check_key(text)
    except ValueError:
        return False
    return True


def _check_segment(key: str, segment: str) -> None:
    if segment in {"", ".", ".."}:
        raise ValueError(f'{key!a} has "{segment}" between two slashes or at an end')
    if segment.endswith(PART):
        raise ValueError(f"{key!a} ends with {PART}, which marks what is unfinished")
    if len(segment.encode()) > LONGEST_SEGMENT:
        raise ValueError(f"{key!a} has a part of more than {LONGEST_SEGMENT} bytes")
