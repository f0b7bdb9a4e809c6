"""Download one backup into a file, or to stdout."""

from pathlib import Path
from typing import BinaryIO

from daemon.core.units import format_size
from daemon.transfer.errors import NoSpaceError, WrongFileError
from daemon.transfer.expected import Expected
from daemon.transfer.files import PartFile, is_there
from daemon.transfer.receive import Source, Transfer
from daemon.transfer.stdout import StreamSink


def download(source: Source, expected: Expected, path: Path, *, replace: bool = False) -> bool:
    """Fetch a backup into `path`; return True once it is there and right, False if it already was.

    Raises TransferError, HostError, PanelError. If it breaks off, it leaves NAME.part only if the same call can
    continue it: the host can resume, and a checksum will tell whether the pieces fit. On a full disk it is removed too.
    """
    if is_there(path, expected, replace=replace):
        return False
    with PartFile(path, expected.algorithm) as part:
        part.keep = part.tally.size > 0
        if expected.checksum is None or part.tally.size > expected.size:
            part.restart()
        part.foresee(expected.size)
        transfer = Transfer(source, part, expected)
        try:
            difference = transfer.run()
        except NoSpaceError:
            part.keep = False  # what else runs on this disk needs the room more
            raise
        except BaseException:
            part.keep = transfer.continues and expected.checksum is not None and part.tally.size > 0
            if part.tally.size > 0:  # where it was refused, nothing ever came
                source.listener.said(_left(part))
            raise
        if difference is not None:
            part.keep = False
            raise WrongFileError(difference)
        part.publish(replace=replace)
    return True


def _left(part: PartFile) -> str:
    """Return in words what a broken transfer leaves."""
    if part.keep:
        return f"{part.part} keeps the first {format_size(part.tally.size)}, and the same command goes on with it"
    return "nothing is left of what came"


def download_to(source: Source, expected: Expected, stream: BinaryIO) -> None:
    """Fetch a backup to a stream. WrongFileError comes at the end, when everything is written."""
    difference = Transfer(source, StreamSink(stream, expected.algorithm), expected).run()
    if difference is not None:
        raise WrongFileError(difference)
