"""Regrain: the colours of one picture with the gradients, hence the grain, of another."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.pixels import each, full_scale, to_float

SWEEPS = (4, 16, 32, 64, 64, 64)  # Jacobi steps at each scale, fine to coarse
SMALLEST = 20  # pixels: halves with a side as short are not made
KEPT = 1 / 5  # of the old value in a Jacobi step
ROUND = 16  # steps between two exchanges of borders
SIDE = 256  # pixels along each side of a tile, its borders included: one compiled shape
BORDER = ROUND + 2  # as far as the steps and their weights reach
STRIP = 64  # rows resized at a time
INSIDE = slice(1, -1), slice(1, -1)
AROUND = (slice(2, None), slice(1, -1)), (slice(-2), slice(1, -1))  # below, above, right, left
AROUND += tuple((x, y) for y, x in AROUND)


def regrain(source: ArrayLike, moved: ArrayLike, smoothness: float = 1.0) -> np.ndarray:
    """The picture near `moved` whose gradients are near those of `source`.

    J minimises int phi |grad J - grad u|^2 + psi |J - g|^2 for u = source, g = moved. With
    d = |grad u| by differences u(x+1) - u(x-1), psi = min(256 d / 5, 1) and
    phi = 30 / (1 + 10 d / smoothness): edges take their colours from g, flat parts their grain
    from u. Four to 64 damped Jacobi steps at each of up to six scales, coarse to fine.

    Args:
        source: (H, W, c), uint8, uint16 or float, full scale = 1.
        moved: (H, W, c) floats, of any range.
        smoothness: > 0; with more of it gradients stay the source's at stronger edges, too.

    Returns:
        (H, W, c) float32, not clipped.

    Raises:
        ValueError: where shapes differ, or smoothness is not positive.

    Example:
        >>> ramp = np.linspace(0, 1, 48, dtype=np.float32).reshape(4, 4, 3)
        >>> bool(np.allclose(regrain(ramp, ramp), ramp, atol=1e-6))
        True

    Reference:
        Pitie, Kokaram, Dahyot (2007), Automated colour grading using colour distribution transfer,
        section 5; constants and scales are those of the authors' program.
    """
    u, g = np.asarray(source), np.asarray(moved, np.float32)
    if u.shape != g.shape or u.ndim != 3:
        raise ValueError(f"regrain: expected two arrays (H, W, c), got {u.shape} and {g.shape}")
    if not smoothness > 0:
        raise ValueError(f"regrain: smoothness must be positive, got {smoothness}")
    return _level(u, g, smoothness, 0)


def _level(u: np.ndarray, g: np.ndarray, smoothness: float, level: int) -> np.ndarray:
    """J at one scale, begun from J at half of it, or from u where there is none."""
    height, width, _ = u.shape
    half = (height + 1) // 2, (width + 1) // 2
    if level + 1 < len(SWEEPS) and min(half) > SMALLEST:
        coarse = _level(resized(u, *half), resized(g, *half), smoothness, level + 1)
        result = resized(coarse, height, width)
    else:
        result = resized(u, height, width)
    for done in range(0, SWEEPS[level], ROUND):
        steps = min(ROUND, SWEEPS[level] - done)
        result = _swept(u, g, result, steps, smoothness, 0.5**level)
    return result


def mirrored(places: np.ndarray, size: int) -> np.ndarray:
    """Positions on the line, folded into 0 .. size - 1 by reflection at the borders' far sides.

    Example:
        >>> mirrored(np.arange(-3, 5), 2).tolist()
        [1, 1, 0, 0, 1, 1, 0, 0]
    """
    folded = places % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)


def _taps(size: int, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of `wanted` samples along an axis of `size`: positions (wanted, k), weights alike.

    Triangles, as wide as two samples of the coarser of the two axes.
    """
    scale = wanted / size
    slope = min(scale, 1)
    centre = (np.arange(wanted) + 0.5) / scale - 0.5
    first = np.ceil(centre - 1 / slope).astype(int)
    place = first[:, None] + np.arange(int(np.floor(2 / slope)) + 1)
    weight = np.maximum(1 - slope * np.abs(place - centre[:, None]), 0)
    weight /= weight.sum(1, keepdims=True)
    return mirrored(place, size), weight.astype(np.float32)


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width, c) float32, full scale = 1: linear, and without aliasing where it shrinks.

    Example:
        >>> resized(np.array([[[0], [51], [102], [255]]], np.uint8), 1, 2)[0, :, 0]
        array([0.125, 0.675], dtype=float32)
    """
    result = np.empty((height, width, image.shape[2]), np.float32)
    row_taps, column_taps = _taps(image.shape[0], height), _taps(image.shape[1], width)
    row_taps[1][:] /= np.float32(full_scale(image.dtype))

    def one(rows: slice) -> None:
        place, weight = (part[rows].T for part in row_taps)
        strip = sum(w[:, None, None] * image[p] for p, w in zip(place, weight, strict=True))
        place, weight = (part.T for part in column_taps)
        result[rows] = sum(
            w[:, None] * np.take(strip, p, axis=1) for p, w in zip(place, weight, strict=True)
        )

    each(one, [slice(top, top + STRIP) for top in range(0, height, STRIP)])
    return result


def _swept(
    u: np.ndarray, g: np.ndarray, j: np.ndarray, steps: int, smoothness: float, fineness: float
) -> np.ndarray:
    """Up to ROUND Jacobi steps, tile by tile.

    Tiles reach past the picture into its mirror image. There the steps do as they do inside, so
    that replicated edges need no case of their own.
    """
    result = np.empty(u.shape, np.float32)
    inner = SIDE - 2 * BORDER
    down, across = (-(-size // inner) for size in u.shape[:2])

    def one(tile: slice) -> None:
        top, left = (inner * k for k in divmod(tile.start, across))
        tiles = (_tile(image, top, left) for image in (u, g, j))
        done = np.asarray(_relaxed(*tiles, steps, smoothness, fineness))
        part = result[top : top + inner, left : left + inner]
        part[:] = np.moveaxis(done, 0, -1)[: part.shape[0], : part.shape[1]]

    each(one, [slice(k, k + 1) for k in range(down * across)])
    return result


def _tile(image: np.ndarray, top: int, left: int) -> np.ndarray:
    """(c, SIDE, SIDE) float32, full scale = 1: the tile whose inner part starts at (top, left)."""
    starts, ends = zip(*[(k - BORDER, k - BORDER + SIDE) for k in (top, left)], strict=True)
    inside = tuple(slice(max(k, 0), end) for k, end in zip(starts, ends, strict=True))
    planes = np.moveaxis(to_float(image[inside], np.dtype(np.float32)), -1, 0)
    beyond = [
        (max(-k, 0), max(end - size, 0))
        for k, end, size in zip(starts, ends, image.shape, strict=False)
    ]
    return np.pad(planes, [(0, 0), *beyond], "symmetric")


@jax.jit
def _relaxed(
    u: Array, g: Array, j: Array, steps: Array, smoothness: Array, fineness: Array
) -> Array:
    """Jacobi steps J <- (1 - r) [psi g + sum_n phi_n (J_n - u_n + u)] / (psi + sum_n phi_n) + r J.

    In w = J - u they read w <- (1 - r) [psi (g - u) + sum_n phi_n w_n] / (psi + sum_n phi_n) + r w.
    """
    # channel by channel: XLA's sums over an axis are slow here
    slope = jnp.sqrt(
        sum(
            (c[2:, 1:-1] - c[:-2, 1:-1]) ** 2 + (c[1:-1, 2:] - c[1:-1, :-2]) ** 2
            for c in (u[k] for k in range(u.shape[0]))
        )
    )
    psi = jnp.minimum(256 / 5 * slope, 1)[INSIDE]
    phi = 15 * fineness / (1 + 10 * slope / smoothness)  # half: they are added to a neighbour's
    here = phi[INSIDE]
    weights = [phi[around] + here for around in AROUND]
    share = (1 - KEPT) / (psi + sum(weights))
    weights = [weight * share for weight in weights]
    pulled = share * psi * (g - u)[:, 2:-2, 2:-2]

    def step(_, w: Array) -> Array:
        ring = w[:, 1:-1, 1:-1]
        moved = sum(a * ring[:, y, x] for a, (y, x) in zip(weights, AROUND, strict=True))
        return w.at[:, 2:-2, 2:-2].set(pulled + moved + KEPT * w[:, 2:-2, 2:-2])

    w = jax.lax.fori_loop(0, steps, step, j - u)
    inner = slice(BORDER, -BORDER)
    return (u + w)[:, inner, inner]
