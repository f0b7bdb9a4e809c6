"""Where a store is: what its url means, and what is said of one that cannot be."""

import re
from pathlib import Path

import pytest

from daemon.stores.values import (
    BucketLocation,
    DirectoryLocation,
    Location,
    RcloneLocation,
    SftpLocation,
    parse_location,
)


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("file:///mnt/nas/game-backups", DirectoryLocation(Path("/mnt/nas/game-backups"))),
        ("file:/mnt/nas", DirectoryLocation(Path("/mnt/nas"))),
        ("file://localhost/mnt/a%20b%23", DirectoryLocation(Path("/mnt/a b#"))),
        ("s3://bucket/prefix/deeper/", BucketLocation("s3", "bucket", "prefix/deeper")),
        ("S3://bucket", BucketLocation("s3", "bucket", "")),
        ("gs://my_bucket.example/", BucketLocation("gs", "my_bucket.example", "")),
        ("az://container/prefix", BucketLocation("az", "container", "prefix")),
        ("sftp://u123@box.example:23/backups", SftpLocation("u123", "box.example", 23, "/backups")),
        ("sftp://u%40home@[::1]/", SftpLocation("u@home", "::1", 22, "/")),
        ("sftp://u@box.example/~/backups/", SftpLocation("u", "box.example", 22, "backups")),
        ("sftp://u@box.example/~", SftpLocation("u", "box.example", 22, "")),
        ("rclone:gdrive:game backups/x", RcloneLocation("gdrive", "game backups/x")),
        ("rclone:my remote:", RcloneLocation("my remote", "")),
    ],
)
def test_a_url_says_where_the_store_is(text: str, location: Location) -> None:
    """Each scheme, with what people add or leave out; and what is shown of it means the same."""
    assert parse_location(text) == location
    assert parse_location(str(location)) == location


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/mnt/nas", "write one of file:///PATH"),
        ("ftp://host/path", "write one of file:///PATH"),
        ("file://mnt/nas", "names the host mnt: write file:///mnt/nas"),
        ("file:backups", "write all of it, such as file:///mnt/nas/backups"),
        ("file:///mnt/../etc", "is not the path of a folder"),
        ("file:///mnt/a?b", "write %3F or %23"),
        ("s3:bucket/prefix", "has no name of a bucket: write s3://BUCKET/PREFIX"),
        ("s3://b/prefix", "has no name of a bucket"),
        ("s3://bucket/a//b", 'has "" between two slashes'),
        ("s3://bucket/../b", 'has ".." between two slashes'),
        ("gs://bucket/world.part", "marks what is unfinished"),
        ("sftp://box.example/backups", "names no user or no host"),
        ("sftp://u@box.example:99999/", "a number from 1 to 65535"),
        ("sftp://u@[::1/", "is not a url"),
        ("rclone:gdrive", "does not name a remote"),
        ("rclone:-v:path", "does not name a remote"),
        ("rclone:s3,access_key_id=x:path", "does not name a remote"),
        ("rclone::s3:path", "does not name a remote"),
        ("rclone:gdrive:/a/../b", 'has ".." between two slashes'),
    ],
)
def test_a_url_that_cannot_be_is_refused_with_what_would_be_right(text: str, said: str) -> None:
    """The operator reads what to write."""
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_location(text)


@pytest.mark.parametrize(
    "text",
    [
        "sftp://u:hunter2@box.example/backups",
        "s3://AKIAEXAMPLE:hunter2@bucket/prefix",
        "http://u:hunter2@box.example",
        "gs://bucket/x?key=hunter2",
        "sftp://u:hunter2@[::1/",
        "rclone:s3,secret_access_key=hunter2:bucket",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    """Neither the message nor a location ever holds one."""
    with pytest.raises(ValueError, match=r"write|holds") as refused:
        parse_location(text)
    assert "hunter2" not in str(refused.value)
