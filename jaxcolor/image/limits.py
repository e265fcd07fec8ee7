"""How much a file may ask for: what a few bytes claim is judged before memory is spent on it."""

import mmap
from os import PathLike
from pathlib import Path

from PIL import Image

# deflate, the tightest of the common packings, makes 1,032 bytes of one
RATIO = 1100
FREE = 1 << 30  # bytes that any file may become
PASSES = 1 << 34  # pixels that the scans of a JPEG, or the frames of an animation, may touch


class TooLarge(ValueError):
    """A file asks for more than it may have."""


def check_pixels(path: str | PathLike, width: int, height: int, many: int = 1) -> None:
    """Refuse more pixels than Pillow takes: twice `PIL.Image.MAX_IMAGE_PIXELS`, 179 million.

    Whoever trusts a file raises that number, or sets it to None.

    Args:
        path: for the message.
        width, height: as the file claims.
        many: how often all of them are gone through, which has a limit too.

    Raises:
        TooLarge: then.
        ValueError: for a side of no pixels.

    Example:
        >>> check_pixels("a.exr", 65535, 65535)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        jaxcolor.image.limits.TooLarge: a.exr: refused, too large: 65535x65535 pixels, ...
    """
    if min(width, height) < 1:
        raise ValueError(f"{path}: damaged ({width}x{height} pixels)")
    most = Image.MAX_IMAGE_PIXELS
    if most is None:
        return
    if width * height > 2 * most:
        told = f"{width}x{height} pixels, more than {2 * most}"
        raise TooLarge(f"{path}: refused, too large: {told}")
    if width * height * many > PASSES:
        raise TooLarge(f"{path}: refused, takes too long: {many} times {width}x{height} pixels")


def check_bytes(path: str | PathLike, count: int) -> None:
    """Refuse what no packing can have made so small: its header lies.

    Raises:
        TooLarge: where `count` bytes are more than a GiB, and than 1,100 times the file.

    Example:
        >>> check_bytes(__file__, 1 << 40)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        jaxcolor.image.limits.TooLarge: ... damaged (it claims to hold 1024.0 GiB, ...)
    """
    size = Path(path).stat().st_size
    if count > max(FREE, RATIO * size):
        held = f"{count / 2**30:.1f} GiB, in a file of {size} bytes"
        raise TooLarge(f"{path}: damaged (it claims to hold {held})")


def check_scans(path: str | PathLike, width: int, height: int) -> None:
    """Refuse a JPEG of endless scans, each of which costs as much as a picture.

    Raises:
        TooLarge: then.
    """
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        count, at = 0, data.find(b"\xff\xda")  # nothing but a scan begins so
        while at >= 0:
            count, at = count + 1, data.find(b"\xff\xda", at + 2)
    check_pixels(path, width, height, count)
