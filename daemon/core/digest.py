"""Short digests of texts. Members of a cluster compare theirs, so every version computes the same."""

import hashlib


def hashed(text: str, size: int = 8) -> str:
    """Return a digest of that many bytes, in hexadecimal; also of half a character, which a panel may send."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
