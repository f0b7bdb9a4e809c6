"""One thing by hand on one server: what an operator asks of the panel, with the rotation's own pieces.

errand   what each deed shares: the look, the server's lock, and what the panel goes on with
handled  what came of a deed, and the exit code that many of them make
pick     which backups are meant
create   one backup, waited for where that is wanted
locks    locking and unlocking
accept   a suspicious one is good after all
restore  a safety backup, the restore, and its end
delete   by name, or what is beyond retention

Nothing here prints, asks or knows a terminal: a deed tells its steps to a callback, and returns values.
"""
