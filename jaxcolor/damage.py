"""Whose word an error is that comes up while a file is read: the machine's, or the file's."""

import contextlib
import errno
from os import PathLike


def is_of_machine(error: Exception, path: str | PathLike) -> bool:
    """Whether memory ran out or the disk failed; then it names the file, if it may.

    All else that readers raise, of whatever type, says that a file is damaged. So does EINVAL: a
    place before the file's beginning was asked for.

    Example:
        >>> is_of_machine(OSError(errno.EIO, "disk"), "a.png"), is_of_machine(KeyError(2), "a.png")
        (True, False)
    """
    if isinstance(error, OSError) and error.errno in errno.errorcode:
        with contextlib.suppress(AttributeError):  # those of PyAV know their file
            error.filename = error.filename or str(path)
        return error.errno != errno.EINVAL
    return isinstance(error, MemoryError)
