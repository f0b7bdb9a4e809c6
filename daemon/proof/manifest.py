"""LevelDB's MANIFEST: which tables a database consists of. The others in its folder are of no use to it.

The format is that of LevelDB's sources (doc/log_format.md and db/version_edit.cc): a log in blocks of 32 KiB, whose
records list what was added to the database and taken from it. A record that the file's end cuts is passed over, as
LevelDB does; one with a wrong checksum lets it open nothing.
"""

from collections.abc import Iterator
from functools import cache

from daemon.proof.leveldb import Numbers, TableError

_BLOCK, _HEADER = 32_768, 7  # bytes; a header is a checksum, a length and a kind
_PADDING, _FULL, _FIRST, _MIDDLE, _LAST = range(5)

_COMPARATOR, _LOG, _NEXT_FILE, _SEQUENCE, _POINTER, _DELETED, _NEW = range(1, 8)
_EARLIER_LOG = 9
_DAMAGED = "it is damaged"
_NEEDED = {_LOG, _NEXT_FILE, _SEQUENCE}
"""Without these LevelDB opens no database."""


def tables_in(manifest: bytes) -> frozenset[int] | None:
    """Return the numbers of a database's tables; None if the manifest has something that is not known here.

    Raises TableError for one by which LevelDB would open no database.
    """
    tables: set[int] = set()
    told: set[int] = set()
    for record in _records(manifest):
        if not _apply(Numbers(record), tables, told):
            return None
    if not told >= _NEEDED:
        raise TableError("it does not say what the database is")
    return frozenset(tables)


def _records(log: bytes) -> Iterator[bytes]:
    """Yield what is logged, up to where the log is cut; raises TableError."""
    begun = bytearray()
    for kind, piece in _pieces(log):
        if kind not in {_FULL, _FIRST, _MIDDLE, _LAST}:
            raise TableError(_DAMAGED)
        if kind in {_FULL, _FIRST}:
            begun.clear()
        begun += piece
        if kind in {_FULL, _LAST}:
            yield bytes(begun)


def _pieces(log: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of records, each with its kind; none goes beyond its block. Raises TableError."""
    for begin in range(0, len(log), _BLOCK):
        block = log[begin : begin + _BLOCK]
        place = 0
        while place + _HEADER <= len(block):
            size, kind = int.from_bytes(block[place + 4 : place + 6], "little"), block[place + 6]
            place += _HEADER + size
            if place > len(block):
                if begin + _BLOCK < len(log):
                    raise TableError(_DAMAGED)
                return
            if kind == _PADDING and not size:
                break
            begins = place - size - _HEADER
            if int.from_bytes(block[begins : begins + 4], "little") != _checksum(block[begins + 6 : place]):
                raise TableError(_DAMAGED)
            yield kind, block[place - size : place]


def _checksum(data: bytes) -> int:
    """Return the checksum of a record's kind and content: CRC-32C, masked as LevelDB does."""
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _crc_table() -> tuple[int, ...]:
    """Return what each byte does to the checksum."""
    table = []
    for crc in range(256):
        for _bit in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)  # noqa: PLW2901 — shifted out bit by bit
        table.append(crc)
    return tuple(table)


def _apply(edit: Numbers, tables: set[int], told: set[int]) -> bool:
    """Do to the tables what a record says, and note what it tells; return whether all of it is known.

    Raises TableError if it ends in the middle.
    """
    while edit.left:
        tag = edit.take()
        told.add(tag)
        if tag == _COMPARATOR:
            edit.skip(edit.take())
        elif tag in {_LOG, _NEXT_FILE, _SEQUENCE, _EARLIER_LOG}:
            edit.take()
        elif tag == _POINTER:
            edit.take()
            edit.skip(edit.take())
        elif tag == _DELETED:
            edit.take()
            tables.discard(edit.take())
        elif tag == _NEW:
            _level, number, _size = (edit.take() for _ in range(3))
            tables.add(number)
            for _bound in range(2):
                edit.skip(edit.take())
        else:
            return False
    return True
