"""Sliced transport: a joint distribution matched through its 1-D projections."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST, Quantile, lookup
from jaxcolor.measure import Measure
from jaxcolor.transport.line import axis_map, check

CANDIDATES = 64
# 64 to 2,048 knots reach the same distance; with fewer the map is smoother (TV, SSIM, bake error
# all a little better), with many a picture's outliers leave the others enough
KNOTS = 512


def frames(key: Array, count: int, dimension: int) -> Array:
    """Random orthonormal frames (count, d, d) that avoid one another.

    Each is the one among 64 uniform draws whose axes are furthest from all axes before it (least
    sum of |cos|^8). On the scotland pair, 10 frames over 8 keys: greatest SW2 .010, .018 for
    independent draws; the medians are alike.

    Example:
        >>> frames(jax.random.key(0), 10, 3).shape
        (10, 3, 3)
    """

    def uniform(key, n):
        q, r = jnp.linalg.qr(jax.random.normal(key, (n, dimension, dimension)))
        return q * jnp.sign(jnp.diagonal(r, axis1=-2, axis2=-1))[:, None, :]

    def choose(chosen, step):
        k, key = step
        drawn = uniform(key, CANDIDATES)
        # rows of `chosen` still to come are zero and cost nothing
        cosine = jnp.einsum("nij,kmj->nikm", drawn, chosen, precision=HIGHEST)
        best = jnp.argmin((cosine**8).sum((1, 2, 3)))
        return chosen.at[k].set(drawn[best]), None

    start = jnp.zeros((count, dimension, dimension))
    return jax.lax.scan(choose, start, (jnp.arange(count), jax.random.split(key, count)))[0]


@partial(jax.jit, static_argnames=("bases", "knots"))
def solve(
    source: Measure,
    target: Measure,
    key: Array,
    *,
    bases: int = 30,
    relaxation: float | Array = 1.0,
    knots: int = KNOTS,
) -> Quantile:
    """Iterative distribution transfer: match the marginals along one orthonormal frame at a time.

    x <- x + relaxation * F_k^T (T_k(F_k x) - F_k x) for k = 1..bases, T_k the monotone maps of the
    source, as moved so far, onto the target along the d axes of frame F_k. The composition
    approaches a map that pushes source to target; it lies near, not at, the optimal one.

    Args:
        source: n points in R^d. target: m points in R^d. Total masses may differ.
        key: typed PRNG key; it draws the frames.
        bases: number of frames (static).
        relaxation: step length in (0, 1].
        knots: resolution of each 1-D map (static).

    Returns:
        A `Quantile` map with `bases` frames.

    Raises:
        ValueError: where dimensions differ, bases < 1 or knots < 2.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> x = jax.random.normal(jax.random.key(1), (2000, 3))
        >>> T = solve(point_cloud(x), point_cloud(2 * x + 5), jax.random.key(0))
        >>> bool(jnp.abs(T(x).mean(0) - 5).max() < 0.2)
        True

    Reference:
        Pitie, Kokaram, Dahyot (2007), Automated colour grading using colour distribution transfer,
        algorithm 1, with quantiles in place of 300 bins.
    """
    check(source, target, knots)
    if bases < 1:
        raise ValueError(f"bases must be at least 1, got {bases}")
    dimension = source.points.shape[1]
    dtype = source.points.dtype
    drawn = frames(key, bases, dimension).astype(dtype)
    relaxation = jnp.asarray(relaxation, dtype)
    fit_axes = jax.vmap(partial(axis_map, knots=knots), (0, None, 0, None))

    def match(x, frame):  # x (d, n)
        along = jnp.matmul(frame, x, precision=HIGHEST)
        goal = jnp.matmul(frame, target.points.T, precision=HIGHEST)
        low, step, shift = fit_axes(along, source.weights, goal, target.weights)
        shift = relaxation * shift
        moved = jax.vmap(lookup)(along, low, step, shift)
        return x + jnp.matmul(frame.T, moved, precision=HIGHEST), (low, step, shift)

    _, tables = jax.lax.scan(match, source.points.T, drawn)
    return Quantile(drawn, *tables)
