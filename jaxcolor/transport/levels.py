"""One entropic problem on two levels: the points, and the bins that they are gathered in.

What `multiscale` asks of them: half-steps of the points over tiles, and how the bins' potentials
answer to what the points' columns lack.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.measure import padded_size
from jaxcolor.transport import newton, tiles
from jaxcolor.transport import problem as pb
from jaxcolor.transport.coupling import Coupling, Start
from jaxcolor.transport.kernels import Cloud
from jaxcolor.transport.marginals import shifted
from jaxcolor.transport.problem import Problem
from jaxcolor.transport.tiles import Leaves, Sorted, Tiles
from jaxcolor.tree import pytree

BINS = 2**26  # pairs of bins, at most
FINEST = 0.5  # width of a bin, in units of sqrt(epsilon): finer ones gain nothing
WIDER = 1.1  # by so much from one attempt to the next
FORCING = 0.1  # the bins' problem is solved again to this part of what the columns lack
FLOOR = 0.2  # but no better than to this part of the tolerance
STEPS = 10  # of newton


@pytree
class Bins:
    """A cloud's points gathered in cells: K bins, and for each place in the leaves its bin.

    Attributes:
        points: (K, d) means. weights: (K,) sums, zero for padding.
        labels: (N, B) int32.
    """

    points: Array
    weights: Array
    labels: Array

    def gather(self, values: Array) -> Array:
        """(N, B) masses -> (K,) their sums."""
        return jnp.zeros_like(self.weights).at[self.labels].add(values)

    def mean(self, leaves: Leaves, values: Array) -> Array:
        """(N, B) -> (K,), weighted."""
        return self.gather(leaves.weights * values) / jnp.where(self.weights > 0, self.weights, 1)


@pytree
class Levels:
    """One problem on two levels.

    Attributes:
        fine: the problem on the points in the leaves' order, (N * B,) and (M * D,).
        coarse: the problem between the bins.
        x, y: the leaves. rows, columns: the bins.
    """

    fine: Problem
    coarse: Problem
    x: Leaves
    y: Leaves
    rows: Bins
    columns: Bins


def _cells(points: np.ndarray, width: float) -> np.ndarray:
    """(n,) the number of each point's cell, 0 .. K - 1."""
    cells = np.floor((points - points.min(0)) / width).astype(np.int64)
    code = np.ravel_multi_index(tuple(cells.T), tuple(cells.max(0) + 1))
    return np.unique(code, return_inverse=True)[1].ravel()


def _labels(x: np.ndarray, y: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """The bins of both clouds, as narrow as can be."""
    width = FINEST * epsilon**0.5
    extent = max(np.ptp(x, axis=0).max(), np.ptp(y, axis=0).max())
    width = max(width, extent / 2**20)  # cells can be counted
    while True:
        labels = _cells(x, width), _cells(y, width)
        if (labels[0].max() + 1) * (labels[1].max() + 1) <= BINS:
            return labels
        width *= WIDER


def _bins(cloud: Sorted, points: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> Bins:
    count = labels.max() + 1
    size = padded_size(count, smallest=512)
    masses = np.bincount(labels, weights, size)
    moments = np.stack([np.bincount(labels, weights * one, size) for one in points.T], 1)
    means = moments / np.where(masses > 0, masses, 1)[:, None]
    means[count:] = means[0]
    means, masses = (jnp.asarray(part.astype(points.dtype)) for part in (means, masses))
    return Bins(means, masses, cloud.there(labels.astype(np.int32)))


def build(p: Problem) -> tuple[Levels, Sorted, Sorted]:
    x, y, a, b = (np.asarray(part) for part in (p.kernel.x, p.kernel.y, p.a, p.b))  # pyright: ignore[reportAttributeAccessIssue]
    sides = tiles.sort(x, a), tiles.sort(y, b)
    labels = _labels(x.astype(np.float64), y.astype(np.float64), float(p.epsilon))
    rows, columns = _bins(sides[0], x, a, labels[0]), _bins(sides[1], y, b, labels[1])
    coarse = replace(
        p, kernel=Cloud(rows.points, columns.points), a=rows.weights, b=columns.weights
    )
    left, right = (side.leaves for side in sides)
    fine = replace(
        p,
        kernel=Cloud(left.points(), right.points()),
        a=left.weights.ravel(),
        b=right.weights.ravel(),
    )
    return Levels(fine, coarse, left, right, rows, columns), *sides


@jax.jit
def extend(levels: Levels, coarse: Coupling) -> tuple[Array, Array]:
    """The potentials at the points, each by a half-step from the other side's bins."""
    p = coarse.problem
    x, y = levels.fine.kernel.x, levels.fine.kernel.y  # pyright: ignore[reportAttributeAccessIssue]
    f = pb.best_f(replace(p, kernel=p.kernel.at(x, 1)), coarse.g)
    g = pb.best_g(replace(p, kernel=p.kernel.at(y, 0)), coarse.f)
    return f.reshape(levels.x.weights.shape), g.reshape(levels.y.weights.shape)


@jax.jit
def half_steps(p: Problem, pairs: Tiles, f: Array, g: Array):
    """Half-steps in f and then in g, over the tiles.

    `f` is near what the half-step gives: it keeps the exponents small.

    Returns:
        Both potentials after, the columns' masses and the masses that they lack, and the error.
    """
    a, b, scale = pairs.x.weights, pairs.y.weights, pb.mass(p)
    tiny = jnp.finfo(f.dtype).tiny

    def half(weights, other, own, partner, axis, marginal):
        u = pb.leaning(weights, own, p.epsilon, scale)
        v = pb.leaning(other, partner, p.epsilon, scale)
        sums = (u, v) if axis == 1 else (v, u)
        # u holds the weight: what is summed is the mass of the row
        masses = scale * pairs.sums(*sums, p.epsilon, axis)
        missing = jnp.log(jnp.maximum(masses, tiny)) - jnp.log(jnp.where(weights > 0, weights, 1))
        hard = jnp.where(weights > 0, own - p.epsilon * missing, own)
        return masses, hard, marginal.step(hard, p.epsilon)

    _, _, f = half(a, b, f, g, 1, p.source_marginal)
    columns, hard, after = half(b, a, g, f, 0, p.target_marginal)
    ideal = pb.moved(b, after, hard, p.epsilon)
    error = jnp.abs(columns - ideal).sum() / scale
    lack = b * p.target_marginal.mass(g) - columns
    return f, jnp.where(b > 0, after, 0), columns, lack, error


@jax.jit
def from_bins(levels: Levels, g: Array, after: Array, lack: Array, tol: Array):
    """What the bins' potentials change when their columns are to gain what the points' lack.

    Returns:
        For each point the change of f / epsilon (N, B), and of g / epsilon beyond its own half-step
        (M, D); the sums over pairs that it took.
    """
    p, bins = levels.coarse, levels.columns
    now = bins.mean(levels.y, g)
    hard_f = pb.hard_f(p, now)
    hard_g = pb.hard_g(p, p.source_marginal.step(hard_f, p.epsilon))
    masses = pb.moved(p.b, now, hard_g, p.epsilon)
    missing = bins.gather(lack)
    # the same plan as of a target with these weights: its potential is less by their logarithm
    wanted = jnp.maximum(masses + missing, 0.1 * masses) / p.target_marginal.mass(now)
    if pb.both_hard(p):
        wanted = wanted * (p.a.sum() / wanted.sum())
    some = p.b > 0
    wanted = jnp.where(some, wanted, 0)
    log = jnp.where(some, jnp.log(jnp.where(some, wanted / jnp.where(some, p.b, 1), 1)), 0)
    log = log - 0.5 * jnp.log(wanted.sum() / p.b.sum())  # the reference's mass is another, too
    q = replace(
        p,
        b=wanted,
        target_marginal=shifted(p.target_marginal, p.epsilon * log),
    )
    # less than what rounding leaves is not asked for: what hardly couples would answer with noise
    tol = jnp.maximum(FORCING * jnp.abs(missing).sum() / pb.mass(p), FLOOR * tol)
    start = Start(now - p.epsilon * log, p.epsilon)
    found = newton.run(q, start, newton.options(g.dtype, tol, STEPS))
    df = (found.f - p.source_marginal.step(hard_f, p.epsilon)) / p.epsilon
    dg = (found.g - now) / p.epsilon + log
    own = bins.mean(levels.y, after - g) / p.epsilon
    return df[levels.rows.labels], (dg - own)[bins.labels], found.passes + 2


@jax.jit
def rise(levels: Levels, f: Array, g: Array, f0: Array, g0: Array) -> Array:
    """By how much f + g may have risen anywhere, in units of epsilon."""
    high = jnp.where(levels.x.weights > 0, f - f0, -jnp.inf).max()
    return (high + jnp.where(levels.y.weights > 0, g - g0, -jnp.inf).max()) / levels.fine.epsilon
