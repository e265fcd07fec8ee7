"""What a common look needs of each of its pictures: some colours, few enough for thousands."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np

from jaxcolor import npz
from jaxcolor.image import colors, files
from jaxcolor.image.keys import unpack
from jaxcolor.image.pixels import Pixels, from_float
from jaxcolor.recipes.look import Look

PROFILES = 4  # whose looks are at hand


@dataclass(frozen=True, eq=False)
class Reduced:
    """Colours that stand for a picture.

    Attributes:
        picture: (1, n) or (1, n, 3), a pixel for each colour; its profile and dtype.
        weight: (1, n) float32 in (0, 1), what each counts.
    """

    picture: files.Picture
    weight: np.ndarray

    def view(self, profile: bytes | None) -> Pixels:
        """It as a `Look` takes it, in the encoding of a profile."""
        return files.convert(self.picture, profile).view(self.weight)


def reduced(picture: files.Picture, size: int, name: str = "picture") -> Reduced:
    """A picture's colours with their shares: all distinct ones (of a deep picture all pixels)
    where they are at most `size`; else so many that stand for it, see `colors.sample`.

    Raises:
        ValueError: for NaN in it, or where nothing carries weight.

    Example:
        >>> both = reduced(files.Picture(np.array([[7, 7, 9]], np.uint8)), 8)
        >>> both.picture.pixels, both.weight
        (array([[7, 9]], dtype=uint8), array([[0.5 , 0.25]], dtype=float32))
    """
    pixels = picture.view(name=name)
    whole = slice(0, len(pixels))
    if pixels.color.dtype == np.uint8 and len(pixels.distinct.keys) <= size:
        color, mass = unpack(pixels.distinct.keys), colors.tally(pixels)
    elif pixels.color.dtype != np.uint8 and len(pixels) <= size:
        weight = pixels.weight(whole)
        color, mass = pixels.rgb(whole), np.ones(len(pixels)) if weight is None else weight
    else:
        mu = colors.sample(pixels, size=size)
        color = from_float(np.asarray(mu.points), pixels.color.dtype, clip=False)
        mass = np.asarray(mu.weights)
    color, mass = color[mass > 0], mass[mass > 0]
    if not len(mass):
        raise ValueError(f"{name}: {colors.NOTHING}")
    # by a power of two: counts keep their ratios to the last bit
    weight = np.ldexp(mass, -int(np.frexp(mass.max())[1])).astype(np.float32)
    row = color[None, :, 0] if pixels.grey else color[None]
    return Reduced(files.Picture(np.ascontiguousarray(row), picture.profile), weight[None])


def save(path: str | PathLike, one: Reduced) -> None:
    """Into a file, complete or not at all."""
    profile = np.frombuffer(one.picture.profile or b"", np.uint8)
    with files.aside(path) as temporary, temporary.open("wb") as file:
        np.savez(file, pixels=one.picture.pixels, weight=one.weight, profile=profile)


def load(path: str | PathLike) -> Reduced:
    """Out of a file of `save`.

    Raises:
        ValueError: where it is none.
        OSError: where it cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "one.npz"
        >>> save(path, reduced(files.Picture(np.array([[7, 7, 9]], np.uint8)), 8))
        >>> load(path).picture.pixels
        array([[7, 9]], dtype=uint8)
    """
    held = npz.read(path, ("pixels", "weight", "profile"))
    pixels, weight, profile = held["pixels"], held["weight"], held["profile"]
    size = pixels.shape[1:2]
    whole = (
        pixels.shape in ((1, *size), (1, *size, 3))
        and pixels.dtype in (np.uint8, np.uint16, np.float32, np.float64)
        and (weight.shape, weight.dtype) == ((1, *size), np.float32)
        and profile.dtype == np.uint8
    )
    if not whole or not (np.isfinite(pixels).all() and ((weight >= 0) & (weight <= 1)).all()):
        raise ValueError(f"{path}: holds no colours of a picture")
    return Reduced(files.Picture(pixels, profile.tobytes() or None), weight)


class Common:
    """The look in the middle of many pictures, for whatever profile a picture has.

    A look is fitted to in a picture's own encoding, so there is one for each profile. Threads may
    share it.

    Example:
        >>> dark, light = (files.Picture(np.full((4, 4, 3), v, np.uint8)) for v in (50, 150))
        >>> common = Common([reduced(dark, 8), reduced(light, 8)])
        >>> common.look(None) is common.look(None)
        True
    """

    def __init__(self, members: Sequence[Reduced], weights: Sequence[float] | None = None):
        self._members, self._weights = members, weights
        self._made: OrderedDict[bytes | None, Look] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, profile: bytes | None) -> Look:
        """It in the encoding of a profile; those of the last few are kept."""
        with self._lock:
            if profile not in self._made:
                seen = [one.view(profile) for one in self._members]
                self._made[profile] = Look(seen, self._weights)
            self._made.move_to_end(profile)
            if len(self._made) > PROFILES:
                self._made.popitem(last=False)
            return self._made[profile]
