"""Sliced transport: a joint distribution matched through its 1-D projections."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST, Quantile, lookup
from jaxcolor.measure import Measure
from jaxcolor.transport import directions
from jaxcolor.transport.line import axis_maps, binned, check_shapes

# 64 to 2,048 knots reach the same distance; with fewer the map is smoother (TV, SSIM, bake error
# all a little better), with many a picture's outliers leave the others enough
KNOTS = 512
HELD = 3  # frames of directions held out, to know when to stop
PATIENCE = 3  # frames without progress before it does


@jax.jit(static_argnames=("bases", "knots"))
def solve(
    source: Measure,
    target: Measure,
    key: Array,
    *,
    bases: int = 30,
    relaxation: float | Array = 1.0,
    blur: float | Array = 0.0,
    knots: int = KNOTS,
    tol: float | None = None,
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
        blur: length over which each T_k is smoothed, a standard deviation. The frames that follow
            make up for what that leaves: the distance grows little, the map gets much less steep.
        knots: resolution of each 1-D map (static).
        tol: stop early, when three frames running have not lowered SW_2, along directions that are
            not used otherwise, by this share of what it was at first.

    Returns:
        A `Quantile` map with `bases` frames; those after an early stop do nothing.

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
    check_shapes(source, target, knots)
    if bases < 1:
        raise ValueError(f"bases must be at least 1, got {bases}")
    dimension = source.points.shape[1]
    dtype = source.points.dtype
    drawn = directions.frames(key, bases, dimension).astype(dtype)
    relaxation, blur = jnp.asarray(relaxation, dtype), jnp.asarray(blur, dtype)
    goal = target.points.T

    def match(x, frame):  # x (d, n)
        low, step, shift = axis_maps(frame, x, source.weights, goal, target.weights, knots, blur)
        shift = relaxation * shift
        along = jnp.matmul(frame, x, precision=HIGHEST)
        moved = jax.vmap(lookup)(along, low, step, shift)
        return x + jnp.matmul(frame.T, moved, precision=HIGHEST), (low, step, shift)

    if tol is None:
        _, tables = jax.lax.scan(match, source.points.T, drawn)
    else:
        tables = _until(match, source, target, key, drawn, jnp.asarray(tol, dtype), knots)
    return Quantile(drawn, *tables)


def _until(match, source: Measure, target: Measure, key: Array, drawn: Array, tol: Array, knots):
    """The frames one after another, those after the stop left at the identity."""
    dimension = drawn.shape[1]
    held = directions.orthonormal(jax.random.fold_in(key, 1), HELD * dimension, dimension)
    held = held.astype(drawn.dtype)
    a, goal = source.weights / source.weights.sum(), target.points.T

    def left(x):
        def squared(axis):
            here, there = (jnp.matmul(axis, z, precision=HIGHEST) for z in (x, goal))
            both = binned(here, a, there, target.weights, knots)
            return (both.a * both.shift() ** 2).sum()

        return jnp.sqrt(jax.lax.map(squared, held).mean())

    def go(carry, frame):
        x, least, count, first = carry
        x, tables = match(x, frame)
        now = left(x)
        better = now < least - tol * first
        count = jnp.where(better, 0, count + 1)
        return (x, jnp.minimum(least, now), count, first), tables

    def rest(carry, _):
        none = jnp.zeros((dimension,), drawn.dtype)
        return carry, (none, none + 1, jnp.zeros((dimension, knots), drawn.dtype))

    def one(carry, frame):
        return jax.lax.cond(carry[2] < PATIENCE, go, rest, carry, frame)

    x = source.points.T
    before = left(x)
    start = x, before, jnp.zeros((), jnp.int32), before
    return jax.lax.scan(one, start, drawn)[1]
