"""Power cells on a grid, their borders a pixel wide: what `semidiscrete` maximises.

A pixel x is shared by the cells that cut it: q minimises <psi, q> + (delta / 2) |q|^2 over the
simplex, psi_j = |x - y_j|^2 - g_j.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST
from jaxcolor.measure import Grid, Measure, nodes
from jaxcolor.transport.costs import SqEuclidean
from jaxcolor.tree import pytree

# delta, in pixels times distances of neighbouring points; with less g is nearer the exact one but
# takes more steps, and with a quarter float32 may stall
WIDTH = 1.0


@pytree
class Problem:
    """Pixels x (k1, rest, d) with masses a (k1, rest), points y (m, d) with weights b (m,)."""

    x: Array
    a: Array
    y: Array
    b: Array


@pytree
class Point:
    """The smoothed dual at g."""

    g: Array
    height: Array
    masses: Array  # (m,)
    even: Array  # (m,) what they would be, were every pixel shared evenly by its cells
    laplacian: Array  # (m, m), minus the Hessian


def problem(density: Grid, target: Measure) -> Problem:
    """Rows of pixels along the first axis, and the points."""
    rows, d = density.weights.shape[0], len(density.axes)
    x = nodes(density.axes).reshape(rows, -1, d)
    return Problem(x, density.weights.reshape(rows, -1), target.points, target.weights)


def centred(p: Problem) -> tuple[Problem, Array]:
    """The same with unit masses and both means at zero, and by how much x was ahead of y."""
    a, b = p.a / p.a.sum(), p.b / p.b.sum()
    x0, y0 = jnp.tensordot(a, p.x, 2, precision=HIGHEST), jnp.matmul(b, p.y, precision=HIGHEST)
    return Problem(p.x - x0, a, p.y - y0, b), x0 - y0


def width(axes: tuple[Array, ...], p: Problem) -> Array:
    """The last delta: psi differs by 2 h |y_i - y_j| from one pixel to the next.

    The points' distance is taken from their spread, as if they were even on a square.
    """
    d = len(axes)
    pixel = math.prod((axis[-1] - axis[0]) / (axis.shape[0] - 1) for axis in axes) ** (1 / d)
    some = (p.b > 0).sum(dtype=p.b.dtype)
    side = jnp.sqrt(12 / d * (p.b[:, None] * p.y**2).sum())
    return WIDTH * pixel * side / some ** (1 / d)


def powers(p: Problem, g: Array, x: Array) -> Array:
    """psi (pixels, m); infinite for points without weight."""
    return jnp.where(p.b > 0, SqEuclidean()(x, p.y) - g, jnp.inf)


def shares(psi: Array, delta: Array) -> Array:
    """q (pixels, m), rows that sum to one: q_j = max(tau - psi_j, 0) / delta.

    tau falls from min psi + delta as fewer and fewer psi_j are seen to lie below it.
    """
    gaps = psi - psi.min(1, keepdims=True)

    def fall(state):
        tau, count, _ = state
        below = gaps < tau[:, None]
        now = below.sum(1, dtype=jnp.int32)
        total = jnp.where(below, gaps, 0).sum(1)
        # never up, or rounding might keep it going for ever
        return jnp.minimum(tau, (delta + total) / now.astype(tau.dtype)), now, (now < count).any()

    tau = jnp.full(gaps.shape[:1], delta)
    start = tau, jnp.full(tau.shape, gaps.shape[1] + 1, jnp.int32), jnp.array(True)
    tau, _, _ = jax.lax.while_loop(lambda state: state[2], fall, start)
    q = jnp.maximum(tau[:, None] - gaps, 0)
    return q / q.sum(1, keepdims=True)


def total(p: Problem, part):
    """The sum of part(x, a) over the rows of the grid, one at a time."""
    nothing = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(part, p.x[0], p.a[0])
    )

    def add(total, row):
        return jax.tree.map(jnp.add, total, jax.checkpoint(part)(*row)), None

    return jax.lax.scan(add, nothing, (p.x, p.a))[0]


def measure(p: Problem, g: Array, delta: Array) -> Point:
    """The smoothed dual with its first two derivatives."""

    def part(x, a):
        psi = powers(p, g, x)
        q = shares(psi, delta)
        cut = q > 0
        some = cut.astype(a.dtype)
        smooth = jnp.where(cut, q * psi, 0).sum(1) + delta / 2 * ((q**2).sum(1) - 1)
        each = (a / some.sum(1))[:, None] * some
        together = jnp.matmul(some.T, each, precision=HIGHEST)
        masses, touched = (jnp.matmul(a, table, precision=HIGHEST) for table in (q, some))
        return (a * smooth).sum(), masses, each.sum(0), touched, together

    height, masses, even, touched, together = total(p, part)
    laplacian = (jnp.diag(touched) - together) / delta
    return Point(g, (p.b * g).sum() + height, masses, even, laplacian)


def value(p: Problem, g: Array, delta: Array) -> tuple[Array, Array]:
    """D(g), with derivatives at fixed g and shares, and the masses (m,) of the cells."""

    def part(x, a):
        psi = powers(p, g, x)
        q = jax.lax.stop_gradient(shares(jax.lax.stop_gradient(psi), delta))
        shared = jnp.where(q > 0, q * jnp.where(q > 0, psi, 0), 0).sum(1)
        least = jax.lax.stop_gradient(psi.min(1) - shared) + shared
        return (a * least).sum(), jnp.matmul(a, q, precision=HIGHEST)

    least, masses = total(p, part)
    return (p.b * g).sum() + least, masses
