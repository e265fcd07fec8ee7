"""Gradient flows of the sliced distance: a cloud carried onto another, driven by optax."""

from typing import Protocol

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jaxcolor.maps import HIGHEST, lookup
from jaxcolor.measure import Measure
from jaxcolor.transport import directions, line
from jaxcolor.tree import pytree, static

KNOTS = 512
DESCENT = optax.sgd(1.0)


class Draw(Protocol):
    """How a step's directions are drawn: (key, count, dimension) -> (count, dimension)."""

    def __call__(self, key: Array, count: int, dimension: int) -> Array: ...


@pytree
class Flow:
    """The map of a flow: T steps of an optimizer, each along a field of 1-D displacements.

    At step t the field is v(x) = (d / K) sum_k theta_k s_k(<theta_k, x>), s_k piecewise linear on
    evenly spaced knots and constant beyond. A colour that was not there when the flow ran starts
    with the optimizer's state at rest and goes the same T steps.

    Attributes:
        directions: (T, K, d).
        low: (T, K), step: (T, K), shift: (T, K, knots): the tables of s.
        losses: (T,) SW_2^2 before each step, along that step's directions.
        points: (n, d), where the source's points ended.
        optimizer: what drove it; it must act on each point by itself, as all of optax's do that
            know no norms.
    """

    directions: Array
    low: Array
    step: Array
    shift: Array
    losses: Array
    points: Array
    optimizer: optax.GradientTransformation = static()

    def __call__(self, colors: Array) -> Array:
        tables = self.directions, self.low, self.step, self.shift

        def move(carry, tables):
            x, state = carry
            theta, *rest = (part.astype(colors.dtype) for part in tables)
            return _stepped(self.optimizer, x, state, _field(x, theta, *rest)), None

        x = colors.T
        return jax.lax.scan(move, (x, self.optimizer.init(x)), tables)[0][0].T


@jax.jit(static_argnames=("optimizer", "steps", "slices", "knots", "draw"))
def solve(
    source: Measure,
    target: Measure,
    key: Array,
    *,
    optimizer: optax.GradientTransformation = DESCENT,
    steps: int = 30,
    slices: int | None = None,
    knots: int = KNOTS,
    draw: Draw = directions.orthonormal,
) -> Flow:
    """Minimise SW_2^2(T# source, target) / 2 over the positions of the source's points.

    Each step draws fresh directions theta_1 .. theta_K and hands the optimizer, for every point,
    the gradient -(d / K) sum_k theta_k (T_k - 1)(<theta_k, x>), T_k the monotone map between the
    projections. It is scaled so that `sgd(1.0)` along one orthonormal frame puts every projection
    exactly: iterative distribution transfer.

    Args:
        source: n points in R^d: pixels or weighted colours. target: m points; masses may differ.
        key: typed PRNG key; it draws the directions.
        optimizer: any optax transformation, with its schedule (static: keep one object, or each
            call compiles).
        steps: how many (static). slices: K, directions a step, d by default (static).
        knots: resolution of each 1-D map (static).
        draw: `directions.orthonormal` or `independent`, or a function like them (static).

    Returns:
        A `Flow`: the map, and the history of losses.

    Raises:
        ValueError: where dimensions differ, steps < 1, slices < 1 or knots < 2.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> x = jax.random.normal(jax.random.key(1), (500, 3))
        >>> T = solve(point_cloud(x), point_cloud(2 * x + 5), jax.random.key(0), steps=20)
        >>> bool(T.losses[-1] < 1e-3 * T.losses[0])
        True

    Reference:
        Bonneel, Rabin, Peyre, Pfister (2015), Sliced and Radon Wasserstein barycenters of measures,
        section 3.
    """
    line.check_shapes(source, target, knots)
    dimension = source.points.shape[1]
    slices = dimension if slices is None else slices
    if steps < 1 or slices < 1:
        raise ValueError(f"steps and slices must be at least 1, got {steps} and {slices}")
    a = source.weights / source.weights.sum()
    goal = target.points.T

    def step(carry, key):
        x, state = carry
        theta = draw(key, slices, dimension).astype(x.dtype)

        def along(direction):
            here, there = (jnp.matmul(direction, z, precision=HIGHEST) for z in (x, goal))
            return _fit(here, a, there, target.weights, knots)

        # a direction at a time: XLA's scatter into several rows at once takes a CPU five times
        # longer
        low, width, shift, loss = jax.lax.map(along, theta)
        field = _field(x, theta, low, width, shift)
        return _stepped(optimizer, x, state, field), (theta, low, width, shift, loss.mean())

    x = source.points.T
    start = x, optimizer.init(x)
    (x, _), history = jax.lax.scan(step, start, jax.random.split(key, steps))
    return Flow(*history, x.T, optimizer)


def _fit(along: Array, a: Array, wanted: Array, b: Array, knots: int):
    """One direction's table, and W_2^2 along it."""
    both = line.binned(along, a, wanted, b, knots)
    shift = both.shift()
    return both.low, both.step, shift, (both.a * shift**2).sum()


def _field(x: Array, theta: Array, low: Array, step: Array, shift: Array) -> Array:
    """v (d, n) at x (d, n): contiguous along the points."""
    along = jnp.matmul(theta, x, precision=HIGHEST)
    scale = x.shape[0] / theta.shape[0]
    displacement = jax.vmap(lookup)(along, low, step, shift)
    return scale * jnp.matmul(theta.T, displacement, precision=HIGHEST)


def _stepped(optimizer: optax.GradientTransformation, x: Array, state, field: Array):
    with jax.numpy_dtype_promotion("standard"):  # optax counts on it
        updates, state = optimizer.update(-field, state, x)
        return jnp.asarray(optax.apply_updates(x, updates)), state
