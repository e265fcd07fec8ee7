"""Structure and artefacts: what a result kept of its source, measured on pixels."""

from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.pixels import full_scale, view
from jaxcolor.image.spaces import Lab

WINDOW = 7
SIDE = 512  # windows along each side of a tile: one compiled shape


def as_rgb(image: ArrayLike) -> np.ndarray:
    """A picture as (H, W, 3) float32 in [0, 1]: alpha dropped, grey repeated, clipped.

    Example:
        >>> as_rgb(np.array([[0, 255]], np.uint8))[0, 1]
        array([1., 1., 1.], dtype=float32)
    """
    array = np.asarray(image)
    view(array)
    color = array[..., None] if array.ndim == 2 else array[..., : 1 if array.shape[2] == 2 else 3]
    floats = np.clip(color.astype(np.float32) / np.float32(full_scale(array.dtype)), 0, 1)
    return np.broadcast_to(floats, (*array.shape[:2], 3))


@jax.jit
def _ssim_tile(a: Array, b: Array, rows: Array, columns: Array) -> Array:
    """Sum of SSIM over the first rows x columns windows of two RGB tiles."""
    x, y = (Lab().encode(t.reshape(-1, 3))[:, 0].reshape(t.shape[:2]) / 100 for t in (a, b))

    def mean(v: Array) -> Array:  # over 7 x 7 windows, by shifted sums along each axis
        for axis in (0, 1):
            size = v.shape[axis] - WINDOW + 1
            shifted = [jax.lax.slice_in_dim(v, k, k + size, axis=axis) for k in range(WINDOW)]
            v = reduce(jnp.add, shifted)
        return v / WINDOW**2

    # about 1/2, so that float32 loses nothing in E[x^2] - E[x]^2
    x, y = x - 0.5, y - 0.5
    mx, my = mean(x), mean(y)
    sample = WINDOW**2 / (WINDOW**2 - 1)
    vx, vy = sample * (mean(x * x) - mx**2), sample * (mean(y * y) - my**2)
    vxy = sample * (mean(x * y) - mx * my)
    mx, my = mx + 0.5, my + 0.5
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    inside = (jnp.arange(SIDE) < rows)[:, None] & (jnp.arange(SIDE) < columns)[None]
    return jnp.where(inside, index, 0).sum()


def ssim(a: ArrayLike, b: ArrayLike) -> float:
    """Structural similarity of the CIELAB lightness of two pictures, 1 for equal ones.

    Mean over 7 x 7 windows that lie inside the picture, of (2 mx my + c1)(2 vxy + c2) /
    ((mx^2 + my^2 + c1)(vx + vy + c2)), L/100 as values, c1 = .01^2, c2 = .03^2. NaN for pictures
    with a side below 7.

    Args:
        a, b: two pictures of one size, any dtype and channels.

    Raises:
        ValueError: where sizes differ.

    Example:
        >>> ramp = np.linspace(0, 1, 300, dtype=np.float32).reshape(10, 10, 3)
        >>> round(ssim(ramp, ramp), 4)
        1.0

    Reference:
        Wang, Bovik, Sheikh, Simoncelli (2004), Image quality assessment, eq. 13.
    """
    first, second = np.asarray(a), np.asarray(b)
    if first.shape[:2] != second.shape[:2]:
        raise ValueError(f"ssim: sizes differ, {first.shape[:2]} and {second.shape[:2]}")
    height, width = (n - WINDOW + 1 for n in first.shape[:2])
    if min(height, width) < 1:
        return float("nan")
    total = 0.0
    for top in range(0, height, SIDE):
        for left in range(0, width, SIDE):
            part = np.s_[top : top + SIDE + WINDOW - 1, left : left + SIDE + WINDOW - 1]
            tiles = [_padded(as_rgb(image[part])) for image in (first, second)]
            total += float(_ssim_tile(*tiles, min(SIDE, height - top), min(SIDE, width - left)))
    return total / (height * width)


def _padded(tile: np.ndarray) -> np.ndarray:
    side = SIDE + WINDOW - 1
    return np.pad(tile, [(0, side - tile.shape[0]), (0, side - tile.shape[1]), (0, 0)])


def tv_ratio(source: ArrayLike, result: ArrayLike) -> float:
    """Total variation of the result over that of the source: above 1, grain or banding grew.

    TV is the mean absolute forward difference, along both axes, over all channels.

    Example:
        >>> x = np.eye(4, dtype=np.float32)
        >>> tv_ratio(x, x / 2)
        0.5
    """

    def variation(image: ArrayLike) -> float:
        array = np.asarray(image)
        sums = np.zeros(2)
        for top in range(0, array.shape[0], 256):  # strips: no float copy of the picture
            strip = as_rgb(array[top : top + 257])
            sums[0] += np.abs(np.diff(strip, axis=0)).sum(dtype=np.float64)
            sums[1] += np.abs(np.diff(strip[:256], axis=1)).sum(dtype=np.float64)
        height, width = array.shape[:2]
        counts = 3 * np.array([(height - 1) * width, height * (width - 1)])
        return float(np.sum(sums / np.maximum(counts, 1)))

    return variation(result) / max(variation(source), 1e-12)
