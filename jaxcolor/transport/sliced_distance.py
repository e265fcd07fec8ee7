"""The sliced Wasserstein distance, and its exact gradient: a rule of its own.

Along one direction the plan is known by sorting; given the plan, the derivative in every position
and weight is known too. So no derivative passes through a sort, and both modes have the memory of
the clouds, not of clouds times directions.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST, lookup
from jaxcolor.measure import Measure
from jaxcolor.transport import line, line_exact
from jaxcolor.transport.costs import Lp

KNOTS = 4096
FEW = 4096  # points in both clouds together that are sorted even on a CPU
METHODS = ("sorted", "binned")

# positions t (n,), masses a (n,), positions u (m,), masses b (m,)
Line = tuple[Array, Array, Array, Array]


def distance(
    source: Measure,
    target: Measure,
    directions: Array,
    *,
    p: float | Array = 2.0,
    method: str | None = None,
) -> Array:
    """SW_p = (mean over theta of W_p^p(<theta, source>, <theta, target>))^(1/p).

    Both measures count with total mass one. `value` has exact first derivatives in points, weights
    and directions, forward and reverse; no second ones (each direction's term has kinks).

    Args:
        source: n points in R^d. target: m points in R^d, each with weights of any total.
        directions: (K, d) unit vectors: `directions.orthonormal`, `independent`, `quadrature`.
        p: at least 1, traced; its own derivative is zero.
        method: "sorted" is exact; "binned" puts each projection on 4,096 knots, O(n + m); by
            default binned on a CPU, where sorting is slow, unless n + m <= 4,096.

    Returns:
        A scalar. Its derivative at distance zero is zero.

    Raises:
        ValueError: where dimensions differ, or the method is not known.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> x, theta = jnp.eye(3), jnp.eye(3)
        >>> distance(point_cloud(x), point_cloud(x + 1), theta).round(6)
        Array(1., dtype=float32)

    Reference:
        Bonneel, Rabin, Peyre, Pfister (2015), Sliced and Radon Wasserstein barycenters of measures,
        equation 5.
    """
    line.check_shapes(source, target, KNOTS)
    if method is not None and method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)} or None, got {method!r}")
    if directions.ndim != 2 or directions.shape[1] != source.points.shape[1]:
        wanted = source.points.shape[1]
        raise ValueError(f"directions must be (K, {wanted}), got {directions.shape}")
    return _distance(source, target, directions, p, method)


@jax.jit(static_argnames="method")
def _distance(source: Measure, target: Measure, directions: Array, p, method) -> Array:
    dtype = jnp.promote_types(source.points.dtype, target.points.dtype)
    x, a, y, b, theta = (
        jnp.asarray(part, dtype)
        for part in (source.points, source.weights, target.points, target.weights, directions)
    )
    a, b = a / a.sum(), b / b.sum()
    # around the middle and in units of the extent: no power overflows, no digit is lost
    middle = jax.lax.stop_gradient(b @ y)
    unit = jax.lax.stop_gradient(_extent(x - middle, a, y - middle, b))
    x, y = (x - middle) / unit, (y - middle) / unit
    power = jax.lax.stop_gradient(jnp.asarray(p, dtype))
    value = _mean_power(x, a, y, b, theta, power, method)
    some = value > 0
    return unit * jnp.where(some, jnp.where(some, value, 1) ** (1 / power), 0)


def _extent(x: Array, a: Array, y: Array, b: Array) -> Array:
    """The greatest distance of a point with weight from zero; one where that is nothing."""
    largest = [jnp.where(w > 0, (z**2).sum(1), 0).max(initial=0) for z, w in ((x, a), (y, b))]
    squared = jnp.maximum(*largest)
    return jnp.where((squared > 0) & jnp.isfinite(squared), jnp.sqrt(squared), 1)


@partial(jax.custom_jvp, nondiff_argnums=(6,))
def _mean_power(x, a, y, b, theta, p, method):
    """Mean over the directions of W_p^p of the projections."""

    def one(direction):
        parts = _project(x, direction), a, _project(y, direction), b
        return _choose(method, x, y, _sorted_value, _binned_value)(parts, p)

    return jax.lax.map(one, theta).mean()


@_mean_power.defjvp
def _mean_power_jvp(method, primals, tangents):
    x, a, y, b, theta, p = primals
    *moves, _ = tangents
    value, gradient = _value_and_gradient(x, a, y, b, theta, p, method)
    pairs = zip(gradient, moves, strict=True)
    return value, sum(((g * move).sum() for g, move in pairs), jnp.zeros_like(value))


def _value_and_gradient(x, a, y, b, theta, p, method):
    """Direction after direction, the gradient summed up on the way."""

    def one(total, direction):
        parts = _project(x, direction), a, _project(y, direction), b
        value, (t, f, u, g) = _choose(method, x, y, _sorted, _binned)(parts, p)
        dx, dy = t[:, None] * direction, u[:, None] * direction
        along = _project(x.T, t) + _project(y.T, u)
        steps = value, dx, f, dy, g
        return jax.tree.map(jnp.add, total, steps), along

    start = jax.tree.map(jnp.zeros_like, (p, x, a, y, b))
    (value, *gradient), along = jax.lax.scan(one, start, theta)
    count = theta.shape[0]
    value, *gradient = (part / count for part in (value, *gradient, along))
    return value, tuple(gradient)


def _project(points: Array, direction: Array) -> Array:
    return jnp.matmul(points, direction, precision=HIGHEST)


def _choose(method, x, y, sort, bins):
    if method is None and x.shape[0] + y.shape[0] <= FEW:
        method = "sorted"
    if method is None:  # XLA's sort of a million numbers takes a CPU 200 ms, bins take 1
        return partial(jax.lax.platform_dependent, cpu=bins, default=sort)
    return {"sorted": sort, "binned": bins}[method]


def _sorted(parts: Line, p: Array) -> tuple[Array, Line]:
    """W_p^p and its gradient in (t, a, u, b), from the monotone plan."""
    t, _, u, _ = parts
    plan = line_exact.couple(*parts, Lp(p))
    gap = t[plan.rows] - u[plan.cols]
    slope = plan.mass * _slope(gap, p)
    rise = jnp.zeros_like(t).at[plan.rows].add(slope), jnp.zeros_like(u).at[plan.cols].add(-slope)
    return plan.value, (rise[0], plan.f, rise[1], plan.g)


def _sorted_value(parts: Line, p: Array) -> Array:
    return line_exact.couple(*parts, Lp(p)).value


def _binned(parts: Line, p: Array) -> tuple[Array, Line]:
    """The same on evenly spaced knots: the map and its inverse are read off at the points."""
    t, a, u, b = parts
    both = line.binned(*parts, KNOTS)
    there = both.shift()
    back = both.step * line.rearrange(both.b, both.a, both.source)
    # the derivative of a potential is that of the cost where its point is sent
    ends = []
    for positions, masses, shift in ((t, a, there), (u, b, back)):
        slope = _slope(-lookup(positions, both.low, both.step, shift), p)
        knots = _slope(-shift, p)
        potential = both.step * jnp.cumsum(
            jnp.concatenate([jnp.zeros(1, t.dtype), (knots[1:] + knots[:-1]) / 2])
        )
        ends += [masses * slope, lookup(positions, both.low, both.step, potential)]
    return (both.a * jnp.abs(there) ** p).sum(), (ends[0], ends[1], ends[2], ends[3])


def _binned_value(parts: Line, p: Array) -> Array:
    both = line.binned(*parts, KNOTS)
    return (both.a * jnp.abs(both.shift()) ** p).sum()


def _slope(gap: Array, p: Array) -> Array:
    """The derivative of |gap|^p; zero at gap zero."""
    some = gap != 0
    return jnp.where(some, p * jnp.sign(gap) * jnp.abs(jnp.where(some, gap, 1)) ** (p - 1), 0)
