"""Any map into a look-up table, and how well that went."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.colors import chunks, sample
from jaxcolor.image.cube import LONGEST, UNIT
from jaxcolor.image.lut import Curves, Lut
from jaxcolor.image.metrics import ciede2000_of_rgb
from jaxcolor.image.pixels import TILE, Pixels, each, evaluate, view
from jaxcolor.lattice import corners
from jaxcolor.maps import ColorMap

COLORS = 1 << 17  # of a picture that a table is fitted to
# weight of the sampled values, where a grid point's own colours have 1 on average: with less the
# table is up to half a decibel closer on the picture, and ten further on colours next to it
STAY = 0.3
STEPS = 100  # of conjugate gradients
ENOUGH = 1e-4  # their relative residual
TINY = 1e-300
MIXED = 1e-5  # of full scale: what a channel may owe to the others, by rounding


def bake(
    color_map: ColorMap,
    size: int = 33,
    *,
    picture: ArrayLike | Pixels | None = None,
    domain: ArrayLike | None = None,
) -> Lut:
    """A map as a table of size^3 encoded colours, not clipped.

    Sampled on the grid; or, given a picture, such that the table interpolates the map best on that
    picture's colours: least squares, weighted by how often they occur, about 5 dB closer.

    Args:
        color_map: a function on encoded RGB (n, 3).
        size: 2..129 per axis; 33 and 65 are what most programs take.
        picture: whose colours matter; the others keep the map's own values.
        domain: (2, 3), least and greatest encoded RGB in; [0, 1] by default.

    Raises:
        ValueError: where the size is out of range, or the domain is empty.

    Example:
        >>> from jaxcolor.maps import Affine
        >>> bake(Affine(jnp.eye(3), jnp.zeros(3)), 5).table.shape
        (5, 5, 5, 3)
    """
    if not 2 <= size <= 129:
        raise ValueError(f"LUT size must be within 2..129, got {size}")
    limits = _limits(domain)
    axes = np.linspace(limits[0], limits[1], size, dtype=np.float32).T
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    table = evaluate(color_map, grid)
    if picture is not None:
        table = table + _correction(color_map, table, size, limits, view(picture))
    return Lut(jnp.asarray(table.reshape(size, size, size, 3)), jnp.asarray(limits))


def bake_curves(
    color_map: ColorMap, size: int = 4081, *, domain: ArrayLike | None = None
) -> Curves:
    """A map of each channel by itself as a 1-D table, not clipped.

    Args:
        color_map: a function on encoded RGB (n, 3), each channel out a function of itself alone.
        size: 2..65536; `entries` says how many are exact on a picture.
        domain: as for `bake`.

    Raises:
        ValueError: where the map mixes channels, by more than `MIXED`; otherwise as for `bake`.

    Example:
        >>> from jaxcolor.maps import Affine
        >>> bake_curves(Affine(jnp.diag(jnp.array([1.0, 0.5, 2.0])), jnp.zeros(3)), 3).table
        Array([[0.  , 0.  , 0.  ],
               [0.5 , 0.25, 1.  ],
               [1.  , 0.5 , 2.  ]], dtype=float32)
    """
    if not 2 <= size <= LONGEST:
        raise ValueError(f"the size of a 1-D LUT must be within 2..{LONGEST}, got {size}")
    limits = _limits(domain)
    low, high = limits
    probe = low + np.random.default_rng(0).random((TILE, 3), np.float32) * (high - low)
    alone = [evaluate(color_map, np.repeat(probe[:, c : c + 1], 3, 1))[:, c] for c in range(3)]
    mixed = float(np.abs(evaluate(color_map, probe) - np.stack(alone, 1)).max())
    if mixed > MIXED:
        raise ValueError(
            f"the map mixes channels (one changes by up to {mixed:.2g} with the others), which a "
            "1-D LUT cannot hold: bake a 3-D one"
        )
    knots = np.linspace(low, high, size, dtype=np.float32)
    by_channel = [evaluate(color_map, np.repeat(knots[:, c : c + 1], 3, 1))[:, c] for c in range(3)]
    return Curves(jnp.asarray(np.stack(by_channel, 1)), jnp.asarray(limits))


def entries(picture: Pixels) -> int:
    """Of curves such that each level of a picture has an entry of its own: no interpolation."""
    return 16 * 255 + 1 if picture.color.dtype == np.uint8 else LONGEST


def _limits(domain: ArrayLike | None) -> np.ndarray:
    limits = UNIT if domain is None else np.asarray(domain, np.float32)
    if limits.shape != (2, 3) or not (limits[1] > limits[0]).all():
        raise ValueError(f"a domain is (2, 3), the least below the greatest, got {domain}")
    return limits


def covering(picture: Pixels) -> np.ndarray:
    """(2, 3): [0, 1], or wider where the colours of a float picture go beyond it.

    Example:
        >>> covering(view(np.array([[[0.5, -1, 3]]], np.float32)))
        array([[ 0., -1.,  0.],
               [ 1.,  1.,  3.]], dtype=float32)
    """
    limits = UNIT.copy()
    if not picture.bounded:
        for values, _ in chunks(picture):
            limits[0] = np.minimum(limits[0], values.min(0))
            limits[1] = np.maximum(limits[1], values.max(0))
    return limits


def _correction(
    color_map: ColorMap, table: np.ndarray, size: int, limits: np.ndarray, picture: Pixels
) -> np.ndarray:
    """What to add to sampled values (size^3, 3): least squares on a picture's colours.

    min_d |W^(1/2) (A (table + d) - T)|^2 + STAY |d|^2: A interpolates at the colours, W is their
    share times the number of grid points.
    """
    mu = sample(picture, size=COLORS)
    points = np.asarray(mu.points, np.float32)
    unit = (points - limits[0]) / (limits[1] - limits[0])
    place, weight = (np.asarray(part) for part in _interpolation(unit, size))
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
def _interpolation(unit: Array, size: int) -> tuple[Array, Array]:
    """Places and weights (n, 4) of the corners around each colour within the unit cube."""
    places, weights = zip(*corners(unit, size), strict=True)
    return jnp.stack(places, 1), jnp.stack(weights, 1)


class BakeError(NamedTuple):
    """How far a table is from its map on the colours of a picture.

    Attributes:
        decibels: PSNR over all pixels and channels, full scale = 1.
        worst: the greatest difference in a channel.
        delta_e: the greatest CIEDE2000, of colours clipped to [0, 1].
    """

    decibels: float
    worst: float
    delta_e: float


def bake_error(lut: ColorMap, color_map: ColorMap, image: ArrayLike | Pixels) -> BakeError:
    """How far a LUT is from its map on the colours of a picture.

    Both clipped to [0, 1], unless the picture goes beyond it: then it is not clipped either.

    Example:
        >>> from jaxcolor.maps import Affine
        >>> half = Affine(0.5 * jnp.eye(3), jnp.zeros(3))
        >>> db, worst, delta_e = bake_error(bake(half, 2), half, np.zeros((4, 4, 3), np.uint8))
        >>> db > 120, worst < 1e-6, delta_e < 1e-4
        (True, True, True)
    """
    picture = view(image)
    total, squares, worst, delta_e = 0.0, 0.0, 0.0, 0.0
    for values, mass in chunks(picture):
        both = [evaluate(f, values) for f in (color_map, lut)]
        shown = [np.clip(one, 0, 1) for one in both]
        exact, baked = shown if picture.bounded else both
        gap = np.abs(exact.astype(np.float64) - baked)
        total += mass.sum()
        squares += mass @ (gap**2).mean(1)
        worst = max(worst, float(gap.max()))
        delta_e = max(delta_e, _furthest(*shown))
    mean = squares / total if total else 0.0
    return BakeError(float(-10 * np.log10(mean)) if mean > 0 else float("inf"), worst, delta_e)


def _furthest(a: np.ndarray, b: np.ndarray) -> float:
    """The greatest CIEDE2000 between encoded colours (n, 3)."""

    def one(rows: slice) -> float:
        return float(ciede2000_of_rgb(a[rows], b[rows]).max())

    return max(each(one, [slice(i, i + TILE) for i in range(0, len(a), TILE)]))
