"""What an operator asks for by hand, with the rotation's own pieces.

operation  what each operation shares: the look, the server's lock, and what the panel goes on with
result     what came of an operation, and the exit code that many of them make
pick       which backups are meant
create     one backup, waited for where that is wanted
locks      locking and unlocking
accept     a suspicious one is good after all
restore    a safety backup, the restore, and its end
delete     by name, or what is beyond retention
rotations  rotations and previews of many servers at once
check      whether what is configured can work

Nothing here prints, asks or knows a terminal: an operation tells its steps to a callback, and returns values.
"""
