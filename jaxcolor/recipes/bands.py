"""Rasters of any number of bands, with pixels that hold nothing: matched band with band, jointly.

Satellite scenes and microscopy have more than red, green and blue, and numbers that are no shares
of a full scale. The solvers take points in any dimension; here they see the bands divided by their
common spread.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.pixels import TILE, as_pytree, each
from jaxcolor.maps import ColorMap
from jaxcolor.measure import Measure, pad, point_cloud
from jaxcolor.recipes import COUPLED, known
from jaxcolor.recipes.coupled import POINTS, couple
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.transport import gaussian, line, sliced

BANDED = ("histogram", "gaussian", "sliced", *COUPLED)  # methods of any dimension
SAMPLE = 1 << 15  # pixels of each raster that a fit sees, but by moments: that sees all
# distance to neglect, in spreads of a band: a photograph's channel has about a quarter of full
# scale, by which these are what colours have
BLUR = {"sliced": 0.04, "newton": 0.25, "sinkhorn": 0.25}


class Scale(NamedTuple):
    """What makes bands comparable: (value - middle) / spread, each (c,) float64."""

    middle: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True, eq=False)
class Rows:
    """Those (N, c) of a raster, and which of them (N,) hold something in every band."""

    rows: np.ndarray
    valid: np.ndarray


def transfer(
    source: ArrayLike,
    reference: ArrayLike,
    *,
    method: str = "gaussian",
    strength: float = 1.0,
    nodata: float | None = None,
    reference_nodata: float | None = None,
    key: Array | None = None,
    blur: float | None = None,
) -> np.ndarray:
    """`source` with the joint distribution of the bands of `reference`; its dtype and shape.

    Args:
        source, reference: (H, W, c) or (H, W), of any sizes and as many bands; integers or floats.
        method: 'histogram', each band by itself; 'gaussian', mean and covariance; 'sliced', the
            whole distribution; 'newton', 'sinkhorn' and 'exact', optimal transport.
        strength: 0 (nothing) .. 1.
        nodata: a pixel with this value, or with NaN or infinity, in any of its bands takes no part
            and stays as it is; no other becomes one. None: every pixel counts.
        reference_nodata: the same of `reference`; by default `nodata`.
        key: PRNG key of the sample and of 'sliced'; `jax.random.key(0)` by default.
        blur: for 'sliced', 'newton' and 'sinkhorn', the distance to neglect, in standard deviations
            of a band.

    Raises:
        ValueError: unlike numbers of bands, no valid pixels, NaN without nodata, unknown names.
        RuntimeError: where a coupling did not converge.

    Example:
        >>> scene = np.random.default_rng(0).integers(1, 9000, (40, 50, 6)).astype(np.uint16)
        >>> scene[0] = 0
        >>> result = transfer(scene, scene[5:] // 2 + 100, nodata=0)
        >>> result.dtype, bool((result[0] == 0).all()), abs(int(result[1:].mean()) - 2350) < 50
        (dtype('uint16'), True, True)
    """
    known(method, BANDED, "method for bands")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be within 0..1, got {strength}")
    Relaxation(blur=blur).check(method)
    own = _rows(source, nodata, "source")
    goal = _rows(reference, nodata if reference_nodata is None else reference_nodata, "reference")
    if own.rows.shape[1] != goal.rows.shape[1]:
        raise ValueError(
            f"both need as many bands: source has {own.rows.shape[1]}, "
            f"reference {goal.rows.shape[1]}"
        )
    key = jax.random.key(0) if key is None else key
    blur = BLUR.get(method, 0.0) if blur is None else blur
    color_map, scale = _fitted(own, goal, method, blur, key)
    result = np.array(own.rows)
    each(
        lambda rows: _apply(color_map, scale, own, rows, strength, nodata, result),
        [slice(first, first + TILE) for first in range(0, len(result), TILE)],
    )
    return result.reshape(np.shape(source))


def _rows(image: ArrayLike, nodata: float | None, name: str) -> Rows:
    array = np.asarray(image)
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"{name}: expected an array (H, W, c) or (H, W), got shape {array.shape}")
    if array.dtype.kind not in "uif":
        raise ValueError(f"{name}: expected integers or floats, got {array.dtype}")
    rows = array.reshape(-1, 1 if array.ndim == 2 else array.shape[2])
    valid = np.isfinite(rows).all(1) if array.dtype.kind == "f" else np.ones(len(rows), bool)
    if nodata is None and not valid.all():
        raise ValueError(f"{name}: holds NaN or infinite values; nodata (nan) leaves them out")
    if nodata is not None:
        valid = valid & np.all(rows != nodata, axis=1)
    if not valid.any():
        raise ValueError(f"{name}: no pixel holds a value in every band; nodata is {nodata}")
    return Rows(rows, np.asarray(valid))


def _fitted(own: Rows, goal: Rows, method: str, blur: float, key: Array) -> tuple[ColorMap, Scale]:
    """The map between standardised bands, and what standardises them."""
    size = POINTS if method in COUPLED else SAMPLE
    keys = jax.random.split(key, 3)
    seen = [_sampled(one, size, k) for one, k in zip((own, goal), keys[:2], strict=True)]
    both = np.concatenate(seen)
    spread = both.std(0)
    scale = Scale(both.mean(0), np.where(spread > 0, spread, 1))
    if method == "gaussian":
        parts = (*_moments(own, scale), *_moments(goal, scale))
        return gaussian.between(*(jnp.asarray(part, np.float32) for part in parts)), scale
    mu, nu = (_measure(rows, scale, size) for rows in seen)
    if method == "histogram":
        return line.solve(mu, nu), scale
    if method == "sliced":
        return sliced.solve(mu, nu, keys[2], blur=blur), scale
    return couple(method, mu, nu, Relaxation(), blur), scale


def _sampled(raster: Rows, size: int, key: Array) -> np.ndarray:
    """(n, c) float64 at most so many of the rows that hold something."""
    found = np.flatnonzero(raster.valid)
    if len(found) > size:
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        found = rng.choice(found, size, replace=False)
    return raster.rows[found].astype(np.float64)


def _measure(rows: np.ndarray, scale: Scale, size: int) -> Measure:
    """Padded to `size`: one shape for every raster."""
    return pad(point_cloud(((rows - scale.middle) / scale.spread).astype(np.float32)), size)


def _moments(raster: Rows, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Mean (c,) and covariance (c, c) of all standardised pixels that hold something, float64."""
    count = raster.rows.shape[1]
    sums, products = np.zeros(count), np.zeros((count, count))
    for first in range(0, len(raster.rows), TILE):
        part = raster.rows[first : first + TILE][raster.valid[first : first + TILE]]
        points = (part - scale.middle) / scale.spread
        sums += points.sum(0)
        products += points.T @ points
    total = raster.valid.sum()
    mean = sums / total
    return mean, products / total - np.outer(mean, mean)


@jax.jit
def _call(color_map: ColorMap, points: Array) -> Array:
    return color_map(points)


def _apply(
    color_map: ColorMap,
    scale: Scale,
    own: Rows,
    rows: slice,
    strength: float,
    nodata: float | None,
    result: np.ndarray,
) -> None:
    """One tile of the raster, through one compiled shape."""
    inside = own.valid[rows]
    before = own.rows[rows][inside]
    points = np.zeros((TILE, before.shape[1]), np.float32)
    points[: len(before)] = (before - scale.middle) / scale.spread
    moved = np.asarray(_call(as_pytree(color_map), points))[: len(before)]
    change = (moved - points[: len(before)]).astype(np.float64) * scale.spread * strength
    result[rows][inside] = _stored(before + change, result.dtype, nodata)


def _stored(values: np.ndarray, dtype: np.dtype, nodata: float | None) -> np.ndarray:
    """In the raster's dtype, rounded and clipped to what it holds; nothing becomes nodata."""
    if dtype.kind == "f":
        most = float(np.finfo(dtype).max)
        return np.clip(values, -most, most).astype(dtype)
    ends = np.iinfo(dtype)
    whole = np.clip(np.rint(values), ends.min, ends.max)
    if nodata is not None:
        whole[whole == nodata] = nodata + (1 if nodata < ends.max else -1)
    return whole.astype(dtype)
