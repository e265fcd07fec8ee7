"""From the floats of a recoloured picture to what its file can hold."""

from typing import TypeVar

import numpy as np
from jax import Array

from jaxcolor.image.pixels import from_float, full_scale
from jaxcolor.maps import ColorMap
from jaxcolor.tree import pytree

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of ITU-R BT.709, on encoded values
LOST = 1e-3  # of a level, to rounding
# the generalised golden ratio of the plane: multiples of its inverse powers fill a square evenly
_RATIO = 1.32471795724474602596


Colors = TypeVar("Colors", np.ndarray, Array)


def into_gamut(colors: Colors) -> Colors:
    """Colours (..., 3) moved towards the grey of their own luma until they are within [0, 1].

    Clipping each channel by itself would change hue and lightness; this keeps both as far as the
    cube lets it, at the price of saturation. Colours inside stay as they are.

    Example:
        >>> into_gamut(np.array([[1.2, 0.6, 0.6], [0.5, 0.5, 0.5]], np.float32)).round(2)
        array([[1.  , 0.65, 0.65],
               [0.5 , 0.5 , 0.5 ]], dtype=float32)
    """
    xp = colors.__array_namespace__()  # NumPy's or JAX's
    grey = xp.clip(colors @ xp.asarray(LUMA, dtype=colors.dtype), 0, 1)[..., None]
    away = colors - grey
    # the share of the way from grey at which the first channel meets its end
    room = xp.where(away > 0, 1 - grey, grey) / xp.maximum(xp.abs(away), 1e-9)
    share = xp.minimum(room.min(-1, keepdims=True), 1)
    return xp.where(share < 1, xp.clip(grey + share * away, 0, 1), colors)


@pytree
class InGamut:
    """A map whose colours are moved into [0, 1] by `into_gamut`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxcolor.maps import Affine
        >>> InGamut(Affine(2 * jnp.eye(3), jnp.zeros(3)))(jnp.array([[0.6, 0.3, 0.3]])).round(2)
        Array([[1.  , 0.65, 0.65]], dtype=float32)
    """

    inner: ColorMap

    def __call__(self, colors: Array) -> Array:
        return into_gamut(self.inner(colors))


def dithered(picture: np.ndarray, dtype: np.dtype, first: int = 0) -> np.ndarray:
    """A float picture (H, W, c), from row `first` on, rounded up or down by an even pattern.

    A level v becomes floor(v + t): v itself where it is whole, v in the mean over a few pixels.
    The thresholds t are those of an additive sequence, so neighbours differ much and no texture is
    seen; the channels are out of step.

    Example:
        >>> flat = np.full((64, 64, 1), 100.25 / 255, np.float32)
        >>> dithered(flat, np.dtype(np.uint8)).mean().round(2)
        np.float64(100.25)

    Reference:
        Roberts (2018), The unreasonable effectiveness of quasirandom sequences.
    """
    height, width, channels = picture.shape
    scale = np.float32(full_scale(dtype))
    row = np.arange(first, first + height) / _RATIO
    column = np.arange(width) / _RATIO**2
    phase = np.arange(channels) / channels
    threshold = (row[:, None, None] + column[:, None] + phase) % 1
    # a whole level may have lost, or gained, its last bit on the way here
    threshold = (LOST + (1 - 2 * LOST) * threshold).astype(np.float32)
    return np.clip(np.floor(picture * scale + threshold), 0, scale).astype(dtype)


def finished(
    picture: np.ndarray,
    dtype: np.dtype,
    *,
    bounded: bool,
    gamut: bool,
    dither: bool,
    first: int = 0,
) -> np.ndarray:
    """A float picture (H, W, c), or rows of one, in the dtype of its source.

    Args:
        picture: unclipped, full scale = 1.
        dtype: uint8, uint16 or a float.
        bounded: whether values beyond [0, 1] are to come back within it.
        gamut: by `into_gamut` rather than channel by channel.
        dither: for 8 bits.
        first: which row of the whole comes first.
    """
    if gamut and bounded and picture.shape[2] == 3:
        picture = into_gamut(picture)
    if dither and dtype == np.uint8:
        return dithered(picture, dtype, first)
    return from_float(picture, dtype, clip=bounded)
