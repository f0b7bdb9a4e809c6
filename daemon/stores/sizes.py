"""How large the parts of an object must be: a service that takes objects in parts takes at most 10,000 of them."""

PART = 5 * 2**20
"""The least that S3 takes: three parts of an object are in memory at a time."""
MOST_PARTS = 10_000  # of S3 and Google; Azure takes more


def part_size(size: int | None) -> int:
    """Given the bytes of an object, None where nobody knows, return those of each part but the last.

    They are all of one size, as some services demand (Cloudflare R2).
    """
    mebibytes = -(-(size or 0) // (MOST_PARTS * 2**20))
    return max(PART, mebibytes * 2**20)
