"""What a game needs of its files, looked for in an archive as it comes: nothing is unpacked to disk, little is kept.

`sane` puts it together: it recognises files by name and content, has each read by its reader, and says at the end what
is wrong. An unknown game has no findings, and no problems either. Archives are hostile input: every reader is
bounded in memory, and none raises for what it reads.

sane      all readers over one archive          findings  what is wrong, and where
region    Minecraft Java's region files         nbt       its level.dat, and Bedrock's
bedrock   Bedrock's databases, as a whole       manifest  which tables one has
leveldb   their tables                          sqlite    database files of plugins and other games
expected  files that must be there              indexing  which files there are, for a look at where they went
"""

__all__ = ["expected", "indexing", "sane", "sqlite"]
