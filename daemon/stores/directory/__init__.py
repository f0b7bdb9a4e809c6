"""A store in a folder of this machine, which may be a mount of NFS or SMB.

tree      the folder, reached through no link      part      a file until it has its name
store     the engine: all of it in threads         trouble   what the system says, as our errors
"""
