"""Stores: places off the node that hold copies, each behind the same small contract.

What must hold: an object has its name only when it is whole; none is ever replaced; a listing is whole or an error; a
call ends within its deadline; memory stays the same whatever the size. No engine decides anything, and no secret
reaches a message, a process list or another host than the store's own.

base      the contract                           values    where a store is, and how it is reached
errors    what a store can raise                 boundary  what others raise becomes such an error
open      from settings to the open store        keys      which names an object may have
parts     the name of an unfinished file         streams   rate, exact size and blocks of a stream
extras    what may not be installed              threads   blocking calls, each with a deadline
sizes     how large an object's parts must be       held      where parts are until they are sent
directory/    the engine for folders and mounts
sftp/         the engine for SSH hosts
clouds/       the engine for Google and Azure
rclone/       the engine for what rclone knows
s3/           the engine for S3 and what speaks its protocol
"""

__all__ = ["base", "errors", "open", "values"]
