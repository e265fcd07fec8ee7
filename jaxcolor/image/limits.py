"""How much a file may ask for: what a few bytes claim is judged before memory is spent on it.

A picture may have twice `PIL.Image.MAX_IMAGE_PIXELS`, 179 million pixels. Whoever trusts larger
ones raises that number, sets it to None, or sets JAXCOLOR_MAX_MEGAPIXELS.
"""

import mmap
import os
import re
from os import PathLike
from pathlib import Path

from PIL import Image

SWITCH = "JAXCOLOR_MAX_MEGAPIXELS"
# deflate makes 1,032 bytes of one, LZW 1,340, Zstandard of blank rows thousands
RATIO = 20_000
FREE = 1 << 30  # bytes that any file may become
PASSES = 1 << 34  # pixels that the scans of a JPEG, or the frames of an animation, may touch


# the end of a scan: a marker that is neither a restart nor a byte that only looks like one
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_SCAN, _END, _ALONE = 0xDA, 0xD9, (0x01, 0xD8)


class TooLarge(ValueError):
    """A file asks for more than it may have."""


def too_large(path: str | PathLike, told: object) -> TooLarge:
    """The refusal of a picture, for a reason, with what to do about it."""
    return TooLarge(f"{path}: refused, too large: {told}; {SWITCH} lets in larger ones")


def allow(megapixels: str) -> None:
    """Let in pictures of so many megapixels.

    Raises:
        ValueError: where that is no whole number above 0.

    Example:
        >>> allow("many")
        Traceback (most recent call last):
        ValueError: JAXCOLOR_MAX_MEGAPIXELS is 'many': set it to a whole number, or not at all
    """
    if not megapixels.isdecimal() or not int(megapixels):
        raise ValueError(f"{SWITCH} is {megapixels!r}: set it to a whole number, or not at all")
    Image.MAX_IMAGE_PIXELS = int(megapixels) * 500_000  # Pillow takes twice that


if os.environ.get(SWITCH):
    allow(os.environ[SWITCH])


def check_pixels(path: str | PathLike, width: int, height: int, many: int = 1) -> None:
    """Refuse more pixels than Pillow takes, see above.

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
        raise too_large(path, f"{width}x{height} pixels, more than {2 * most}")
    if width * height * many > PASSES:
        raise TooLarge(f"{path}: refused, takes too long: {many} times {width}x{height} pixels")


def check_bytes(path: str | PathLike, count: int) -> None:
    """Refuse what no packing can have made so small: its header lies.

    Raises:
        TooLarge: where `count` bytes are more than a GiB, and than 20,000 times the file.

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
        count = _scans(data)
    check_pixels(path, width, height, count)


def _scans(data: mmap.mmap) -> int:
    """How many scans a JPEG has up to its end; a phone's video may follow, or another picture.

    Segments are skipped by their lengths, for anything may stand in them.
    """
    count, at = 0, 2
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _END:
            break
        count += marker == _SCAN
        if marker not in _ALONE:
            at += max(2, int.from_bytes(data[at : at + 2]))
    return count
