"""Linear filters of a displacement, with weights that follow the edges of a guide."""

from dataclasses import dataclass
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.cells import as_planes, assembled, pooled, window

# the widest half-width of a window, in cells of step x step pixels
BOX_REACH, RANGE_REACH = 12, 5
BOX_SIDE, RANGE_SIDE = 128, 96  # cells along each side of a tile: one compiled shape
BOX_BORDER = 2 * BOX_REACH + 1  # two boxes, and the neighbour to interpolate to
TINY = 1e-20


@dataclass(frozen=True)
class Average:
    """Mean over windows of 2 radius + 1 pixels; it knows no edges.

    Attributes:
        radius: half-width of the window in pixels, >= 1.
    """

    radius: int


@dataclass(frozen=True)
class Guided:
    """Guided filter, channel by channel: locally affine in the guide.

    With means over windows, a = cov(u, v) / (var u + epsilon), b = mean v - a mean u, the result is
    (mean a) u + mean b.

    Attributes:
        radius: half-width of the windows in pixels, >= 1.
        epsilon: variance of the guide, full scale = 1, from which on a window counts as an edge.

    Reference:
        He, Sun, Tang (2010), Guided image filtering, eq. 5-8.
    """

    radius: int
    epsilon: float = 1e-3


@dataclass(frozen=True)
class Yaroslavsky:
    """Mean over the pixels of a window whose colour is near, passes times.

    Y v(x) = sum_y v(y) exp(-|u(x) - u(y)|^2 / sigma^2) / sum_y exp(-|u(x) - u(y)|^2 / sigma^2), |.|
    over all channels.

    Attributes:
        radius: half-width of the window in pixels, >= 1.
        sigma: distance of colours, full scale = 1.
        passes: how often, >= 1, with the same weights.

    Reference:
        Yaroslavsky (1985), Digital picture processing; on displacements: see `smooth`.
    """

    radius: int
    sigma: float
    passes: int


@dataclass(frozen=True)
class Bilateral:
    """One pass of `Yaroslavsky` with weights exp(-2 |x - y|^2 / radius^2) of the distance as well.

    Attributes:
        radius: half-width of the window in pixels, two standard deviations, >= 1.
        sigma: distance of colours, full scale = 1.

    Reference:
        Tomasi, Manduchi (1998), Bilateral filtering for gray and color images.
    """

    radius: int
    sigma: float


Ranged = Average | Yaroslavsky | Bilateral
Kernel = Guided | Ranged


def displacement(kernel: Kernel, guide: ArrayLike, moved: ArrayLike) -> np.ndarray:
    """Y v: a displacement field filtered by weights that depend on the guide alone.

    Linear in v; constants stay. A window wider than 12 (`Guided`) or 5 pixels to each side is
    made of square cells in place of pixels, so that large pictures cost what small ones do: with
    their moments for `Guided` (within .05 of 255 levels r.m.s. of the sum over pixels), with their
    mean colours for the others (.8 levels), where each pixel also counts itself.

    Args:
        kernel: which filter.
        guide: u (H, W, c), c = 1 or 3; uint8, uint16 or float, full scale = 1.
        moved: v (H, W, c) floats.

    Returns:
        (H, W, c) float32.

    Raises:
        ValueError: where shapes differ, or a radius is below 1.

    Example:
        >>> v = np.arange(5, dtype=np.float32).reshape(1, 5, 1)
        >>> displacement(Average(1), np.zeros((1, 5, 1), np.uint8), v).ravel()
        array([0.5, 1. , 2. , 3. , 3.5], dtype=float32)
    """
    u, v = np.asarray(guide), np.asarray(moved, np.float32)
    check(u, v)
    if kernel.radius < 1:
        raise ValueError(f"a window's radius must be at least 1 pixel, got {kernel.radius}")
    return _guided(kernel, u, v) if isinstance(kernel, Guided) else _ranged(kernel, u, v)


def check(u: np.ndarray, v: np.ndarray) -> None:
    """Two fields of one shape.

    Raises:
        ValueError: where they are not.
    """
    if u.shape != v.shape or u.ndim != 3 or u.shape[2] not in (1, 3):
        raise ValueError(
            f"expected two arrays (H, W, c) of one shape, c = 1 or 3, got {u.shape} and {v.shape}"
        )


def _guided(kernel: Guided, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    step = -(-kernel.radius // BOX_REACH)
    cells = pooled(u, v, step, moments=True)
    profile = _profile(kernel, step, BOX_REACH)
    side = BOX_SIDE + 2 * BOX_BORDER

    def prepare(top: int, left: int) -> Array:
        around = window(cells, top - BOX_BORDER, left - BOX_BORDER, side)
        return _coefficients(around, profile, kernel.epsilon)

    def finish(coefficients: Array, here: tuple, offsets: tuple) -> Array:
        return _affine(coefficients, as_planes(u[here], BOX_SIDE), *offsets)

    return assembled(u.shape, step, BOX_SIDE, prepare, finish)


def _ranged(kernel: Ranged, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """All passes but the last over cells, each as one pixel; the last for the pixels themselves."""
    step, channels = -(-kernel.radius // RANGE_REACH), u.shape[2]
    cells = pooled(u, v, step)
    for _ in range(kernel.passes - 1 if isinstance(kernel, Yaroslavsky) else 0):
        guide, field = (np.moveaxis(cells[k : k + channels], 0, -1) for k in (0, channels))
        passed = _ranged_pass(kernel, cells, step, guide, field, 1)
        cells[channels:-1] = np.moveaxis(passed, -1, 0)
    return _ranged_pass(kernel, cells, step, u, v, step)


def _ranged_pass(
    kernel: Ranged, cells: np.ndarray, step: int, u: np.ndarray, v: np.ndarray, fine: int
) -> np.ndarray:
    """At every pixel of u the mean over the cells around it; `fine` pixels make a cell's side."""
    reach = -(-kernel.radius // step)
    sharpness = 0.0 if isinstance(kernel, Average) else kernel.sigma**-2
    own = 0.0 if fine == 1 else fine**-2.0  # with one pixel a cell, its cell is itself

    def prepare(top: int, left: int) -> np.ndarray:
        return window(cells, top - RANGE_REACH, left - RANGE_REACH, RANGE_SIDE + 2 * RANGE_REACH)

    def finish(block: np.ndarray, here: tuple, offsets: tuple) -> Array:
        profiles = (_profile(kernel, step, RANGE_REACH, offset) for offset in offsets)
        pixels = (as_planes(image[here], RANGE_SIDE) for image in (u, v))
        return _range_mean(block, *pixels, *profiles, reach, sharpness, own)

    return assembled(u.shape, fine, RANGE_SIDE, prepare, finish)


def _profile(kernel: Kernel, step: int, reach: int, offset: float = 0.0) -> np.ndarray:
    """(2 reach + 1,) weights of cells along an axis: how much of each a window about offset holds.

    Cells that count by the share that a window covers leave no trace of their borders.
    """
    place, half = np.arange(-reach, reach + 1) - offset, (kernel.radius + 0.5) / step
    weight = np.clip(np.minimum(place + 0.5, half) - np.maximum(place - 0.5, -half), 0, 1)
    if isinstance(kernel, Bilateral):
        weight *= np.exp(-2 * (place * step / kernel.radius) ** 2)
    return weight.astype(np.float32)


@jax.jit
def _coefficients(block: Array, profile: Array, epsilon: Array) -> Array:
    """(2 c, n, n) mean a and mean b of `Guided` at a tile's cells and their next neighbours."""
    mass = block[-1:]
    u, v, variance, covariance = jnp.split(block[:-1], 4)

    def box(planes: Array) -> Array:
        taps = len(profile)
        for axis in (1, 2):
            size = planes.shape[axis] + 1 - taps
            shifted = (jax.lax.slice_in_dim(planes, k, k + size, axis=axis) for k in range(taps))
            planes = reduce(jnp.add, map(jnp.multiply, profile, shifted))
        return planes

    def mean(planes: Array, mass: Array) -> Array:
        return box(planes * mass) / jnp.maximum(box(mass), TINY)

    # about their means, so that float32 loses little in E[uv] - E[u] E[v]
    middle = (block * mass).sum((1, 2), keepdims=True) / mass.sum()
    u, v = u - middle[: len(u)], v - middle[len(u) : 2 * len(u)]
    moments = mean(jnp.concatenate([u, v, variance + u * u, covariance + u * v]), mass)
    mean_u, mean_v, mean_uu, mean_uv = jnp.split(moments, 4)
    a = (mean_uv - mean_u * mean_v) / (mean_uu - mean_u**2 + epsilon)
    inner = slice(BOX_REACH, -BOX_REACH)
    a, b = jnp.split(mean(jnp.concatenate([a, mean_v - a * mean_u]), mass[:, inner, inner]), 2)
    return jnp.concatenate([a, b + middle[len(u) : 2 * len(u)] - a * middle[: len(u)]])


@jax.jit
def _affine(coefficients: Array, u: Array, *offsets: Array) -> Array:
    """a u + b (c, side, side), a and b interpolated between cells, offsets from their centres."""
    for axis, offset in enumerate(offsets, 1):
        parts = (jax.lax.slice_in_dim(coefficients, k, k + BOX_SIDE, axis=axis) for k in range(3))
        weights = jnp.maximum(-offset, 0), 1 - jnp.abs(offset), jnp.maximum(offset, 0)
        coefficients = reduce(jnp.add, map(jnp.multiply, weights, parts))
    a, b = jnp.split(coefficients, 2)
    return a * u + b


@jax.jit
def _range_mean(
    block: Array,
    u: Array,
    v: Array,
    rows: Array,
    columns: Array,
    reach: Array,
    sharpness: Array,
    own: Array,
) -> Array:
    """Mean (c, side, side) of the field over cells, weighted by profiles and nearness to u.

    The pixel's own v counts as much as `own` of a cell: all there is where no cell is like it.
    """
    guide, field, mass = block[: len(u)], block[len(u) : -1], block[-1]
    weighted = [*(mass * plane for plane in field), mass]

    def tap(k: Array, sums: list[Array]) -> list[Array]:
        y, x = (RANGE_REACH - reach + part for part in divmod(k, 2 * reach + 1))
        near = lambda plane: jax.lax.dynamic_slice(plane, (y, x), u.shape[1:])  # noqa: E731
        distance = sum((near(plane) - here) ** 2 for plane, here in zip(guide, u, strict=True))
        weight = jnp.exp(-sharpness * distance) * (rows[y] * columns[x])
        return [total + weight * near(plane) for total, plane in zip(sums, weighted, strict=True)]

    start = [own * plane for plane in (*v, jnp.ones_like(u[0]))]
    *sums, total = jax.lax.fori_loop(0, (2 * reach + 1) ** 2, tap, start)
    return jnp.stack(sums) / jnp.maximum(total, TINY)
