"""Any map into a look-up table, and how well that went."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.colors import chunks, sample
from jaxcolor.image.lut import Lut
from jaxcolor.image.pixels import Pixels, evaluate, view
from jaxcolor.lattice import corners
from jaxcolor.maps import ColorMap

COLORS = 1 << 17  # of a picture that a table is fitted to
# weight of the sampled values, where a grid point's own colours have 1 on average: with less the
# table is up to half a decibel closer on the picture, and ten further on colours next to it
STAY = 0.3
STEPS = 100  # of conjugate gradients
ENOUGH = 1e-4  # their relative residual
TINY = 1e-300


def bake(color_map: ColorMap, size: int = 33, *, picture: ArrayLike | Pixels | None = None) -> Lut:
    """A map as a table of size^3 encoded colours, [0, 1] each way, not clipped.

    Sampled on the grid; or, given a picture, such that the table interpolates the map best on that
    picture's colours: least squares, weighted by how often they occur, about 5 dB closer.

    Args:
        color_map: a function on encoded RGB (n, 3).
        size: 2..129 per axis; 33 and 65 are what most programs take.
        picture: whose colours matter; the others keep the map's own values.

    Raises:
        ValueError: where the size is out of range.

    Example:
        >>> from jaxcolor.maps import Affine
        >>> bake(Affine(jnp.eye(3), jnp.zeros(3)), 5).table.shape
        (5, 5, 5, 3)
    """
    if not 2 <= size <= 129:
        raise ValueError(f"LUT size must be within 2..129, got {size}")
    axis = np.linspace(0, 1, size, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    table = evaluate(color_map, grid)
    if picture is not None:
        table = table + _correction(color_map, table, size, view(picture))
    domain = jnp.array([[0.0] * 3, [1.0] * 3], jnp.float32)
    return Lut(jnp.asarray(table.reshape(size, size, size, 3)), domain)


def _correction(color_map: ColorMap, table: np.ndarray, size: int, picture: Pixels) -> np.ndarray:
    """What to add to sampled values (size^3, 3): least squares on a picture's colours.

    min_d |W^(1/2) (A (table + d) - T)|^2 + STAY |d|^2: A interpolates at the colours, W is their
    share times the number of grid points.
    """
    mu = sample(picture, size=COLORS)
    points = np.asarray(mu.points, np.float32)
    place, weight = (np.asarray(part) for part in _interpolation(points, size))
    rows = np.repeat(np.arange(COLORS), place.shape[1])
    shape = COLORS, size**3
    interpolate = sparse.csr_array((weight.ravel(), (rows, place.ravel())), shape=shape)
    share = sparse.diags_array(np.asarray(mu.weights, np.float64) * size**3)
    normal = interpolate.T @ share @ interpolate + STAY * sparse.eye_array(size**3)
    right = interpolate.T @ (share @ (evaluate(color_map, points) - interpolate @ table))
    return _solve(normal, right).astype(table.dtype)


def _solve(matrix: sparse.csr_array, right: np.ndarray) -> np.ndarray:
    """matrix^-1 right (n, k) by conjugate gradients, preconditioned by the diagonal.

    All columns at once, and without BLAS, whose threads would wait for those of XLA.
    """
    scale = 1 / matrix.diagonal()[:, None]
    found, rest = np.zeros_like(right), right.copy()
    towards = scale * rest
    weight = np.einsum("nk,nk->k", rest, towards)
    enough = ENOUGH**2 * weight
    for _ in range(STEPS):
        if (weight <= enough).all():
            break
        ahead = matrix @ towards
        step = weight / np.maximum(np.einsum("nk,nk->k", towards, ahead), TINY)
        found += step * towards
        rest -= step * ahead
        before, weight = weight, np.einsum("nk,nk->k", rest, scale * rest)
        towards = scale * rest + weight / np.maximum(before, TINY) * towards
    return found


@partial(jax.jit, static_argnames="size")
def _interpolation(colors: Array, size: int) -> tuple[Array, Array]:
    """Places and weights (n, 4) of the corners around each colour."""
    places, weights = zip(*corners(colors, size), strict=True)
    return jnp.stack(places, 1), jnp.stack(weights, 1)


def bake_error(lut: Lut, color_map: ColorMap, image: ArrayLike) -> tuple[float, float]:
    """How far a LUT is from its map on the colours of a picture, both clipped to [0, 1].

    Returns:
        PSNR in dB over all pixels and channels, and the greatest difference, full scale = 1.

    Example:
        >>> from jaxcolor.maps import Affine
        >>> half = Affine(0.5 * jnp.eye(3), jnp.zeros(3))
        >>> db, worst = bake_error(bake(half, 2), half, np.zeros((4, 4, 3), np.uint8))
        >>> db > 120, worst < 1e-6
        (True, True)
    """
    total, squares, worst = 0.0, 0.0, 0.0
    for values, mass in chunks(view(image)):
        exact, baked = (np.clip(evaluate(f, values), 0, 1) for f in (color_map, lut))
        gap = np.abs(exact.astype(np.float64) - baked)
        total += mass.sum()
        squares += mass @ (gap**2).mean(1)
        worst = max(worst, float(gap.max()))
    mean = squares / total if total else 0.0
    return (float(-10 * np.log10(mean)) if mean > 0 else float("inf")), worst
