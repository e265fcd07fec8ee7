"""HaldCLUT: a 3-D look-up table as a picture, which any program can open, edit and apply.

Of level L, the table has L^2 points along each axis and the picture L^3 x L^3 pixels, row by row,
red fastest, then green, then blue. Point k stands for the input k / (L^2 - 1), so that the last
pixel is white. (Some generators divide by L^2, and white is none of their colours; a player that
stretches such a picture to [0, 1] darkens, and so does this one: nothing in the file tells.)
"""

import io
import math
import warnings
from os import PathLike
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from PIL import ImageCms

from jaxcolor.image import files
from jaxcolor.image.cube import UNIT
from jaxcolor.image.lut import Lut
from jaxcolor.image.pixels import from_float, to_float

LEVELS = range(2, 17)  # the last has 256 points along each axis, 4096 x 4096 pixels
FORMATS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}


def save(path: str | PathLike, lut: Lut) -> None:
    """Write a table as a 16-bit picture (PNG or TIFF), complete or not at all.

    Values are clipped to [0, 1] and rounded: what the file holds is `stored(lut)`.

    Raises:
        ValueError: where the size is no square, where the domain is not [0, 1], as `stored`.
        OSError: where the disk says no.
    """
    try:
        held = stored(lut)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    side = math.isqrt(lut.size) ** 3
    # C order of (blue, green, red): the last axis runs fastest
    rows = np.asarray(held.table).transpose(2, 1, 0, 3).reshape(side, side, 3)
    files.write(path, files.Picture(from_float(rows, np.dtype(np.uint16))))


def stored(lut: Lut) -> Lut:
    """The table as a file of 16 bits will hold it.

    Raises:
        ValueError: as for `save`; for NaN or infinity.

    Example:
        >>> from jaxcolor.image.bake import bake
        >>> half = stored(bake(lambda colors: colors / 2, 4))
        >>> round(65535 * float(half.table[1, 0, 0, 0]), 3)
        10922.0
    """
    level = math.isqrt(lut.size)
    if level**2 != lut.size or level not in LEVELS:
        raise ValueError(
            f"a Hald picture holds tables of {', '.join(str(one**2) for one in LEVELS)} points "
            f"along each axis, not {lut.size}"
        )
    if not np.array_equal(np.asarray(lut.domain), UNIT):
        raise ValueError(
            f"a Hald picture is of colours within 0..1, this table of {_told(lut)}: write a .cube"
        )
    table = np.asarray(lut.table)
    if not np.isfinite(table).all():
        raise ValueError("the table holds NaN or infinite values")
    levels = from_float(table, np.dtype(np.uint16))
    return Lut(jnp.asarray(to_float(levels, np.dtype(np.float32))), lut.domain, lut.interpolation)


def _told(lut: Lut) -> str:
    return f"{float(lut.domain[0].min()):.4g}..{float(lut.domain[1].max()):.4g}"


def load(path: str | PathLike) -> Lut:
    """Read a Hald picture: PNG or TIFF, 8 or 16 bits or float, in colour or grey.

    Its numbers are taken as they are; a profile other than sRGB is warned of. Alpha is dropped
    where it is full everywhere.

    Raises:
        ValueError: where it is no picture, of another size, compressed by JPEG, transparent.
        OSError: where it cannot be opened.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: a Hald picture is PNG or TIFF; others would change its colours")
    picture = files.read(path)
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    level = round(height ** (1 / 3))
    if height != width or level**3 != height or level not in LEVELS:
        sizes = ", ".join(f"{one**3}x{one**3}" for one in LEVELS)
        raise ValueError(
            f"{path}: {width}x{height} is no size of a Hald picture; those are {sizes}"
        )
    values = to_float(pixels, np.dtype(np.float32))
    values = values[..., None] if values.ndim == 2 else values
    if values.shape[2] in (2, 4):
        if values[..., -1].min() < 1:
            raise ValueError(f"{path}: is transparent in places; a look-up table cannot be")
        values = values[..., :-1]
    if not np.isfinite(values).all():
        raise ValueError(f"{path}: holds NaN or infinite values")
    _check_profile(path, picture.profile)
    rows = np.broadcast_to(values, (height, width, 3)).reshape(*3 * [level**2], 3)
    return Lut(jnp.asarray(rows.transpose(2, 1, 0, 3)), jnp.asarray(UNIT))


def _check_profile(path: str | PathLike, profile: bytes | None) -> None:
    if profile is None:
        return
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError):
        name = "one that cannot be read"
    if "sRGB" not in name:
        warnings.warn(
            f"{path}: has a colour profile ({name.strip()}); its numbers are taken as they are",
            stacklevel=3,
        )
