"""References in files: pictures, and palettes among them."""

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from jaxcolor.image import files, is_clip, video
from jaxcolor.image.pixels import Pixels, view
from jaxcolor.recipes import palette
from jaxcolor.recipes.palette import Palette
from jaxcolor.recipes.swatch import swatch


def is_palette(path: str | PathLike) -> bool:
    """Whether a file is to be read as a palette: by its suffix, .json, or by what it begins with.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "looks"
        >>> _ = path.write_text(' ["#ff8000"]')
        >>> is_palette(path)
        True
    """
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    return path.suffix.lower() == ".json" or head.startswith((b"{", b"["))


def read(path: str | PathLike) -> files.Picture | Palette:
    """What a file holds; of a clip, some of its frames in one picture.

    Errors as `palette.read`, `files.read` and `video.read_clip`.
    """
    if is_clip(path):
        return files.Picture(pooled(path))
    return palette.read(path) if is_palette(path) else files.read(path)


def pooled(path: str | PathLike) -> np.ndarray:
    """(h, w, 3) uint8: frames from all over a clip, small, on one sheet."""
    video.pyav()
    from jaxcolor.recipes.shots import shots

    [shot] = shots(path, None)
    return shot.picture


def convert(reference: files.Picture | Palette, profile: bytes | None) -> files.Picture | Palette:
    """It in the encoding of another profile, for pictures that have that; see `files.convert`."""
    if isinstance(reference, Palette):
        return converted(reference, profile)
    return files.convert(reference, profile)


def converted(own: Palette, profile: bytes | None) -> Palette:
    """A palette whose encoded RGB is of a profile; its colours are sRGB where that is None.

    Example:
        >>> own = Palette([[50, 20, 30]])
        >>> converted(own, None) is own
        True
    """
    if profile is None:
        return own
    row = files.convert(files.Picture(own.rgb[None]), profile).pixels
    return palette.from_rgb(view(row).values(slice(None)), own.weights, own.spread)


def seen(reference: files.Picture | Palette, mask: ArrayLike | None = None) -> Pixels | Palette:
    """It as a `Look` takes it; a mask is for pictures alone."""
    if isinstance(reference, Palette):
        return reference
    return view(reference.pixels, mask, "reference")


def shown(reference: files.Picture | Palette) -> files.Picture:
    """It as a picture; of a palette, the swatch."""
    if isinstance(reference, Palette):
        return files.Picture(swatch(reference))
    return reference
