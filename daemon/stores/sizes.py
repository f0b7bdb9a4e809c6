"""How large the parts of an object must be: a service that takes objects in parts takes at most 10,000 of them.

So the parts grow with an object of more than 48 GiB, and the fewer of them may be in memory at a time.
"""

PART = 5 * 2**20
"""The least that S3 takes."""
MOST_PARTS = 10_000  # of S3 and Google; Azure takes more
PARTS_HELD = 3
"""How many parts of an object are held at a time: two on their way, and one that is being filled."""
MOST_IN_MEMORY = PARTS_HELD * PART
"""How many bytes the parts of one object may take in memory."""


def part_size(size: int | None) -> int:
    """Given the bytes of an object, None where nobody knows, return those of each part but the last.

    They are all of one size, as some services demand (Cloudflare R2), and a whole number of MiB.
    """
    mebibytes = -(-(size or 0) // (MOST_PARTS * 2**20))
    return max(PART, mebibytes * 2**20)


def parts_in_memory(part: int) -> int:
    """Given the bytes of a part, return how many of an object may be in memory at a time; 0: not even one."""
    return min(PARTS_HELD, MOST_IN_MEMORY // part)
