"""Downloads of whole backups: into a file, to stdout, or only to be verified.

It stands between the panel client and the commands, and knows neither httpx nor a terminal. A file gets its name only
when its size and checksum are what the panel says; memory does not grow with the file; nobody else's file is
overwritten; no link is shown anywhere.

expected  what the panel says a file is           receive  the stream, with new links until it is whole
names     a file name from a backup's name        sinks    where bytes go: the protocol, and a thread for it
files     NAME.part, and what it becomes          stdout   the other place to write to
gzip      unpacking, a bounded piece at a time    tar      walking what was unpacked
headers   one header of a tar                     links     where the links of a tar lead
download  one backup into a file or to stdout     verify   one backup read to its end, and not written
threads   a transfer beside an event loop         split    a large archive as several small ones
progress  who hears how far it is
"""

__all__ = [
    "download",
    "errors",
    "expected",
    "files",
    "names",
    "progress",
    "receive",
    "sinks",
    "split",
    "tar",
    "threads",
    "verify",
]
