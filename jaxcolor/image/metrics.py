"""Structure: what a result kept of its source, and how far it went, measured on pixels."""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.pixels import BLOCK, TILE, each, full_scale, view
from jaxcolor.image.spaces import RGB_TO_XYZ, Lab

WINDOW = 7
SIDE = 512  # windows along each side of a tile: one compiled shape
STRIP = 56  # rows: a multiple of 7 and of 8, so that no window or block is cut

T = TypeVar("T")


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


def same_size(*images: ArrayLike) -> list[np.ndarray]:
    """Pictures as arrays; ValueError where sizes differ or there are no pixels."""
    arrays = [np.asarray(image) for image in images]
    sizes = [array.shape[:2] for array in arrays]
    if len(set(sizes)) > 1:
        raise ValueError(f"sizes differ, {sizes[0]} and {next(n for n in sizes if n != sizes[0])}")
    if 0 in sizes[0]:
        raise ValueError(f"picture: has no pixels, shape {arrays[0].shape}")
    return arrays


def strip_rows(width: int) -> int:
    """Rows of a strip of that width, without its margin."""
    return STRIP * max(1, BLOCK // (STRIP * width))


def by_strips(function: Callable[..., T], *images: ArrayLike, margin: int = 0) -> list[T]:
    """function(strip of each picture) from top to bottom, on every core: no float copy of any.

    Args:
        function: of as many (h, W, 3) strips, as `as_rgb`, as there are pictures.
        images: of one size, or a ValueError is raised.
        margin: rows of the next strip that each one sees; at the end fewer are left.

    Example:
        >>> [len(strip) for strip in by_strips(lambda x: x, np.zeros((70, 8192)), margin=1)]
        [57, 14]
    """
    arrays = same_size(*images)
    height, rows = arrays[0].shape[0], strip_rows(arrays[0].shape[1])

    def one(part: slice) -> T:
        return function(*(as_rgb(array[part]) for array in arrays))

    return each(one, [slice(top, top + rows + margin) for top in range(0, height, rows)])


def down_and_across(
    function: Callable[..., T], *images: ArrayLike, margin: int = 0
) -> tuple[list[T], list[T]]:
    """`by_strips`, and the same of the pictures turned: what lies along columns lies along rows.

    Example:
        >>> down_and_across(np.shape, np.zeros((3, 5)))
        ([(3, 5, 3)], [(5, 3, 3)])
    """
    turned = [np.swapaxes(np.asarray(image), 0, 1) for image in images]
    return by_strips(function, *images, margin=margin), by_strips(function, *turned, margin=margin)


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
    first, second = same_size(a, b)
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
        height, width = np.asarray(image).shape[:2]
        counts = 3 * np.array([(height - 1) * width, height * (width - 1)])
        strips = down_and_across(
            lambda x: np.abs(np.diff(x, axis=0)).sum(dtype=np.float64), image, margin=1
        )
        return float(np.sum([sum(one) for one in strips] / np.maximum(counts, 1)))

    return variation(result) / max(variation(source), 1e-12)


def gradient(source: ArrayLike, result: ArrayLike) -> float:
    """Correlation of the edges of two pictures, 1 for equal ones; no gain or offset changes it.

    <u, v> / |u| |v|, u and v the Sobel derivatives of luma (Rec. 709 weights, encoded values)
    inside the pictures; the mean of both axes, or of the one along which both vary. NaN where
    there is none, or a side is below 3.

    Raises:
        ValueError: where sizes differ.

    Example:
        >>> x = np.random.default_rng(0).random((9, 9))
        >>> round(gradient(x, 1 - x / 2), 6)
        -1.0

    Reference:
        Sobel, Feldman (1968), An isotropic 3x3 image gradient operator.
    """
    moments = np.sum(by_strips(_edge_moments, source, result, margin=2), axis=0)
    along = [xy / np.sqrt(xx * yy) for (xx, xy), (_, yy) in moments if min(xx, yy) > 0]
    return float(np.mean(along)) if along else float("nan")


def _edge_moments(*strips: np.ndarray) -> np.ndarray:
    """(2, 2, 2), down and across: sums of squares and products of two strips' derivatives."""
    lumas = [strip @ RGB_TO_XYZ[1].astype(strip.dtype) for strip in strips]
    edges = [_sobel_down(y).ravel() for y in lumas + [luma.T for luma in lumas]]
    flat = np.array(edges, np.float64).reshape(2, 2, -1)
    return flat @ flat.transpose(0, 2, 1)


def _sobel_down(y: np.ndarray) -> np.ndarray:
    smooth = y[:, :-2] + 2 * y[:, 1:-1] + y[:, 2:]
    return smooth[2:] - smooth[:-2]


@jax.jit
def ciede2000(a: Array, b: Array) -> Array:
    """Colour difference CIEDE2000 between CIELAB colours (n, 3) and (n, 3): (n,), 1 is just seen.

    Example:
        >>> one, other = jnp.array([[50.0, 2.5, 0.0]]), jnp.array([[73.0, 25.0, -18.0]])
        >>> ciede2000(one, other).round(1)
        Array([27.1], dtype=float32)

    Reference:
        Sharma, Wu, Dalal (2005), The CIEDE2000 color-difference formula, eq. 2-22.
    """
    (l1, a1, b1), (l2, a2, b2) = a.T, b.T

    def weight(chroma: Array) -> Array:  # of grey axes against colourful ones: to the 7th / 25^7
        return jnp.sqrt(chroma**7 / (chroma**7 + 25.0**7))

    stretch = 1.5 - 0.5 * weight((jnp.hypot(a1, b1) + jnp.hypot(a2, b2)) / 2)
    a1, a2 = stretch * a1, stretch * a2
    c1, c2 = jnp.hypot(a1, b1), jnp.hypot(a2, b2)
    h1, h2 = (jnp.rad2deg(jnp.arctan2(y, x)) % 360 for y, x in ((b1, a1), (b2, a2)))
    grey = c1 * c2 == 0
    far = jnp.abs(h2 - h1) > 180  # the shorter way round leads through 0
    turn = jnp.where(grey, 0, h2 - h1 - jnp.where(far, 360 * jnp.sign(h2 - h1), 0))
    hue = jnp.where(grey, h1 + h2, (h1 + h2 + jnp.where(far, 360, 0)) / 2) % 360
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2

    def wave(times: int, shift: float) -> Array:
        return jnp.cos(jnp.deg2rad(times * hue + shift))

    t = 1 - 0.17 * wave(1, -30) + 0.24 * wave(2, 0) + 0.32 * wave(3, 6) - 0.2 * wave(4, -63)
    off = (light - 50) ** 2
    d_light = (l2 - l1) / (1 + 0.015 * off / jnp.sqrt(20 + off))
    d_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    d_hue = 2 * jnp.sqrt(c1 * c2) * jnp.sin(jnp.deg2rad(turn / 2)) / (1 + 0.015 * chroma * t)
    angle = 60 * jnp.exp(-(((hue - 275) / 25) ** 2))
    cross = -2 * weight(chroma) * jnp.sin(jnp.deg2rad(angle)) * d_chroma * d_hue
    return jnp.sqrt(jnp.maximum(d_light**2 + d_chroma**2 + d_hue**2 + cross, 0))


_of_rgb = jax.jit(lambda a, b: ciede2000(Lab().encode(a), Lab().encode(b)))


def ciede2000_of_rgb(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) `ciede2000` between encoded colours (n, 3), n <= TILE: one compiled shape.

    Example:
        >>> ciede2000_of_rgb(np.zeros((2, 3)), np.array([[0, 0, 0], [1, 1, 1]])).round()
        array([  0., 100.], dtype=float32)
    """
    tiles = (np.pad(colors, [(0, TILE - len(colors)), (0, 0)]) for colors in (a, b))
    return np.asarray(_of_rgb(*tiles))[: len(a)]


def delta_e(source: ArrayLike, result: ArrayLike) -> float:
    """Mean `ciede2000` between the pixels of two pictures: how far the colours went, 0 for equal.

    Raises:
        ValueError: where sizes differ.

    Example:
        >>> grey = np.full((4, 4), 119, np.uint8)
        >>> round(delta_e(grey, grey + 1), 2)
        0.4
    """
    lines = [array.reshape(1, -1, *array.shape[2:]) for array in same_size(source, result)]
    count = lines[0].shape[1]

    def total(part: slice) -> float:
        both = (as_rgb(line[:, part])[0] for line in lines)
        return float(ciede2000_of_rgb(*both).sum(dtype=np.float64))

    return sum(each(total, [slice(i, i + TILE) for i in range(0, count, TILE)])) / count


def flicker(sources: Iterable[ArrayLike], results: Iterable[ArrayLike]) -> float:
    """How much a sequence flickers beyond its source: mean |dr - ds| over frames and values.

    dr and ds are the differences of successive frames of result and source, full scale = 1. 0 for
    a clip that stands still under one map; NaN for fewer than two frames. Two are held at a time.

    Raises:
        ValueError: where numbers or sizes differ.

    Example:
        >>> black, white = np.zeros((2, 2)), np.ones((2, 2))
        >>> flicker([black, black, black], [black, white, white])
        0.5
    """
    before, changes = None, []
    for frames in zip(sources, results, strict=True):
        now = [np.array(frame) for frame in frames]  # copies: readers may reuse their buffers
        if before is not None:
            strips = by_strips(_change, *before, *now)
            changes.append(sum(strips) / (3 * np.prod(now[0].shape[:2])))
        before = now
    return float(np.mean(changes)) if changes else float("nan")


def _change(s0: np.ndarray, r0: np.ndarray, s1: np.ndarray, r1: np.ndarray) -> float:
    return float(np.abs((r1 - r0) - (s1 - s0)).sum(dtype=np.float64))
