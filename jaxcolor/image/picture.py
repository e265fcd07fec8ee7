"""A picture as its file has it: colours, profile, and all that must survive a change of colours."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcolor.image.curve import delinearize, linearize

if TYPE_CHECKING:
    from jaxcolor.image.pixels import Pixels

HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, eq=False)
class Beside:
    """What a TIFF or OpenEXR file holds beside colours and alpha.

    Attributes:
        kind: 'TIFF' or 'EXR', of the file.
        header: OpenImageIO's description of it.
        places: of the colours, and then alpha, among the file's channels.
        planes: the other channels (H, W) by their place, upright, in their own dtype.
        stored: (H, W, c) colours as the file had them, where it had them multiplied by alpha.
    """

    kind: str
    header: Any
    places: tuple[int, ...]
    planes: dict[int, np.ndarray]
    stored: np.ndarray | None = None

    @property
    def names(self) -> list[str]:
        """Of the other channels."""
        return [self.header.channelnames[place] for place in self.planes]


@dataclass(frozen=True, eq=False)
class Picture:
    """What a file holds.

    Attributes:
        pixels: (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), upright, straight alpha; uint8, uint16
            or a float.
        profile: the ICC profile's bytes, or None, which means sRGB.
        exif: an EXIF block ('II' or 'MM' first), orientation 1, without a thumbnail.
        xmp: an XMP packet, likewise.
        dpi: pixels per inch, across and down.
        text: what a PNG says in words, by their keywords; a JPEG's comment is its 'Comment'.
        linear: `pixels` are linear light, as OpenEXR and Radiance files have it, not encoded.
        half: the file's colours are 16-bit floats.
        beside: channels and settings of the file that are no colours.
    """

    pixels: np.ndarray
    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    text: dict[str, str] = field(default_factory=dict)
    linear: bool = False
    half: bool = False
    beside: Beside | None = None

    @cached_property
    def encoded(self) -> np.ndarray:
        """The pixels as fits and maps take them: linear light on the curve of sRGB, continued
        below 0 and above 1; any other as they are.

        Example:
            >>> Picture(np.array([[-0.5, 8.0]], np.float32), linear=True).encoded.round(2)
            array([[-0.74,  2.45]], dtype=float32)
        """
        return _colors(self.pixels, delinearize) if self.linear else self.pixels

    def view(self, mask: np.ndarray | None = None, name: str = "picture") -> "Pixels":
        """`pixels.view` of it, encoded; there is no end at 0 and 1 for what is made of light."""
        from jaxcolor.image import pixels  # files are read before JAX is

        seen = pixels.view(self.encoded, mask, name)
        return replace(seen, bounded=seen.bounded and not self.linear)

    def recolored(self, encoded: np.ndarray) -> "Picture":
        """It with other pixels, given as `encoded` has them; what is unchanged keeps every bit.

        Example:
            >>> light = Picture(np.array([[0.1, 0.2]], np.float32), linear=True)
            >>> bool((light.recolored(light.encoded).pixels == light.pixels).all())
            True
        """
        if not self.linear:
            return replace(self, pixels=encoded)
        light = _colors(encoded, linearize)
        if encoded.shape == self.pixels.shape:
            light = np.where(encoded == self.encoded, self.pixels, light)
        return replace(self, pixels=light)

    def as_linear(self, wanted: bool) -> "Picture":
        """It in linear light, or encoded; floats, where that is a change."""
        if self.linear == wanted:
            return self
        if self.linear:
            return replace(self, pixels=self.encoded, linear=False, half=False)
        values = self.pixels
        if np.issubdtype(values.dtype, np.integer):
            values = values / np.float32(np.iinfo(values.dtype).max)
        return replace(self, pixels=_colors(values, linearize), linear=True, half=False)


def _colors(pixels: np.ndarray, curve) -> np.ndarray:
    """A curve on all channels but alpha."""
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        return np.dstack([curve(pixels[..., :-1]), pixels[..., -1]])
    return curve(pixels)
