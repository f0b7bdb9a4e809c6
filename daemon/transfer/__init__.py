"""Fetching backups from where they lie: into a file, to stdout, or only to look at them.

Above the panel client, below the commands; knows neither httpx nor a terminal. What must hold: a file gets its name
only when its size and checksum are what the panel says; memory stays the same whatever the size; no file of somebody
else is overwritten; a link appears nowhere.

expected  what the panel says a file is           receive  the stream, with new links until it is whole
names     a file name from a backup's name        sinks    where bytes go: the protocol, and a thread for it
files     NAME.part, and what it becomes          stdout   the other place to write to
gzip      unpacking, a bounded piece at a time    tar      walking what was unpacked
download  one backup into a file or to stdout     verify   one backup looked at, nothing written
"""
