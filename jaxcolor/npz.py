"""Files of arrays, read with suspicion: a damaged or hostile one is refused in one line."""

import io
import math
import zipfile
from collections.abc import Iterable
from os import PathLike
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from jaxcolor.damage import is_of_machine

MOST = 1 << 30  # bytes that the arrays of a file may take together
_HEADS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read(path: str | PathLike | BinaryIO, wanted: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Every array of an .npz file, by its name.

    Nothing is unpickled, and nothing is made room for that the file does not hold.

    Args:
        path: of the file, or the file.
        wanted: names that must be among them.

    Raises:
        ValueError: where it is no such file, a damaged one, or one of more than a GiB.
        OSError: where it cannot be opened.

    Example:
        >>> file = io.BytesIO()
        >>> np.savez(file, one=np.arange(3))
        >>> read(file, ["one"])
        {'one': array([0, 1, 2])}
    """
    try:
        with zipfile.ZipFile(path) as held:
            size = sum(info.file_size for info in held.infolist())
            if size > MOST:
                raise ValueError(f"its arrays take {size} bytes, more than {MOST}")
            found = {part.removesuffix(".npy"): _array(held.read(part)) for part in held.namelist()}
    except Exception as error:  # of many types
        if is_of_machine(error, name(path)):
            raise
        raise ValueError(f"{name(path)}: not arrays, or damaged ({error})") from error
    missing = [one for one in wanted if one not in found]
    if missing:
        raise ValueError(f"{name(path)}: holds no {' and no '.join(missing)}")
    return found


def name(path: str | PathLike | BinaryIO) -> str:
    """What a message calls a file."""
    return str(path if isinstance(path, str | PathLike) else getattr(path, "name", "a file"))


def _array(data: bytes) -> np.ndarray:
    """The array of a member, whose head and data must agree."""
    file = io.BytesIO(data)
    head = _HEADS.get(npy.read_magic(file))
    if head is None:
        raise ValueError("an array of an unknown version")
    shape, _, dtype = head(file)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"an array of shape {shape} and type {dtype} in {len(data)} bytes")
    file.seek(0)
    return npy.read_array(file, allow_pickle=False)
