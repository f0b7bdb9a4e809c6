"""Digests by which members of a cluster compare what they hold."""

from daemon.core.digest import hashed


def test_every_version_computes_the_same() -> None:
    """Members of two versions compare theirs; of half a character there is one too."""
    assert (hashed("survival"), hashed("\ud800", 4)) == ("faaad3036552adb2", "38da57e7")
