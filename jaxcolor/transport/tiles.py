"""Squared distances between two clouds, only where mass moves: leaves of k-d trees, and tiles.

Each cloud is sorted into leaves of some 64 to 128 points that lie together. A tile is a pair of
leaves; given potentials it is left out where no entry of the plan in it can matter (`kept`), and
sums over the plan's rows and columns visit the others only.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.maps import HIGHEST
from jaxcolor.measure import padded_size
from jaxcolor.tree import pytree

LEAF = 128  # points, at most
ENTRIES = 2**20  # of tiles at once: enough to share between cores, and they stay near them


@pytree
class Leaves:
    """A cloud in N leaves of B points, in the order of a k-d tree.

    Attributes:
        centres: (d, N) middle of each leaf's box.
        offsets: (d, N, B) points, from there.
        weights: (N, B), zero for those that only fill.
    """

    centres: Array
    offsets: Array
    weights: Array

    def points(self) -> Array:
        """(N * B, d)."""
        return (self.centres[..., None] + self.offsets).reshape(len(self.centres), -1).T


class Sorted(NamedTuple):
    """Leaves, and how their values go back to the order of the points."""

    leaves: Leaves
    order: np.ndarray  # (N * B,) for each place the point; from n on fillers
    size: int

    def back(self, values: Array) -> np.ndarray:
        """(N, B) -> (n,) in the points' order."""
        out = np.empty(self.order.size, values.dtype)
        out[self.order] = np.asarray(values).ravel()
        return out[: self.size]

    def there(self, values: np.ndarray) -> Array:
        """(n,) -> (N, B); fillers get the value of the point that they repeat."""
        filled = values[_filling(self.size, self.order.size)]
        return jnp.asarray(filled[self.order].reshape(self.leaves.weights.shape))


def _filling(n: int, total: int) -> np.ndarray:
    """Indices 0 .. n - 1, then some of them again, all over, up to `total`."""
    return np.concatenate([np.arange(n), np.linspace(0, n - 1, total - n).astype(int)])


def sort(points: np.ndarray, weights: np.ndarray) -> Sorted:
    """A cloud in leaves, by halving it across its widest side again and again; on the host.

    Args:
        points: (n, d). weights: (n,) > 0.

    Example:
        >>> line = sort(np.arange(200.0)[::-1, None], np.ones(200))
        >>> line.leaves.centres.tolist(), line.back(line.leaves.points().reshape(2, -1))[:2]
        ([[49.5, 149.5]], array([199., 198.], dtype=float32))
    """
    n = len(points)
    count = 1 << max(0, math.ceil(math.log2(n / LEAF)))
    total = count * 8 * math.ceil(n / count / 8)
    points = points[_filling(n, total)]
    order = np.arange(total)[None]
    while len(order) < count:
        parts = points[order]
        widest = np.ptp(parts, axis=1).argmax(1)
        along = np.take_along_axis(parts, widest[:, None, None], 2)[..., 0]
        halves = np.argpartition(along, order.shape[1] // 2, axis=1)
        order = np.take_along_axis(order, halves, 1).reshape(2 * len(order), -1)
    parts = np.moveaxis(points[order], 2, 0)
    centres = ((parts.min(2) + parts.max(2)) / 2).astype(points.dtype)
    weights = np.concatenate([weights, np.zeros(total - n, weights.dtype)])[order]
    offsets = jnp.asarray(parts - centres[..., None])
    return Sorted(Leaves(jnp.asarray(centres), offsets, jnp.asarray(weights)), order.ravel(), n)


@pytree
class Tiles:
    """Pairs of leaves, the rows' and the columns', by which sums over a plan go.

    Attributes:
        x: leaves of the rows. y: leaves of the columns.
        rows, columns: (k,) int32, the tiles; what is beyond `count` of them is padding.
        count: int32.
    """

    x: Leaves
    y: Leaves
    rows: Array
    columns: Array
    count: Array

    def sums(self, u: Array, v: Array, epsilon: Array, axis: int) -> Array:
        """sum exp(u_i + v_j - C_ij / epsilon), along an axis (1: over the columns).

        Args:
            u: (N, B) of the rows, and v: (M, D) of the columns; -infinity is nothing.

        Returns:
            (N, B); for axis 0 (M, D).
        """
        at_once = _at_once(self.x, self.y)

        def add(k, total):
            i, j = (
                jax.lax.dynamic_slice_in_dim(part, k * at_once, at_once)
                for part in (self.rows, self.columns)
            )
            part = jnp.exp(self._exponents(i, j, u, v, epsilon)).sum(2 if axis == 1 else 1)
            return total.at[i if axis == 1 else j].add(part, mode="drop")

        chunks = (self.count + at_once - 1) // at_once
        return jax.lax.fori_loop(0, chunks, add, jnp.zeros_like(u if axis == 1 else v))

    def _exponents(self, i: Array, j: Array, u: Array, v: Array, epsilon: Array) -> Array:
        """(tiles, B, D), by differences from the leaves' centres: no |x|^2 that would be rounded.

        |d + x - y|^2 = |d|^2 + (2 d.x + |x|^2) - (2 d.y - |y|^2) - 2 x.y, d between the centres.
        """
        sides = (self.x, i), (self.y, j)
        centres = [leaves.centres.at[:, k].get(mode="clip") for leaves, k in sides]
        x, y = (leaves.offsets.at[:, k].get(mode="clip") for leaves, k in sides)
        d = (centres[0] - centres[1])[..., None]
        left = u.at[i].get(mode="clip") - ((d * d + 2 * d * x + x * x) / epsilon).sum(0)
        right = v.at[j].get(mode="clip") + ((2 * d * y - y * y) / epsilon).sum(0)
        cross = jnp.einsum("ctb,cte->tbe", x * (2 / epsilon), y, precision=HIGHEST)
        return cross + left[:, :, None] + right[:, None]


def _at_once(x: Leaves, y: Leaves) -> int:
    return max(1, ENTRIES // (x.weights.shape[1] * y.weights.shape[1]))


@jax.jit
def heights(x: Leaves, y: Leaves, f: Array, g: Array, rows: Array) -> Array:
    """(k, M) no less than the greatest f_i + g_j - C_ij of each tile in the rows' leaves.

    With d between the centres: the greatest f_i - 2 d.x_i, that of g_j + 2 d.y_j, less |d|^2. Both
    potentials fall where the cost does, so that bounds by boxes alone would hold for hardly more
    than nothing.

    Args:
        f: (N, B) and g: (M, D), -infinity where there is no weight.
        rows: (k,) int32.
    """

    def one(i):
        apart = x.centres[:, i, None] - y.centres  # (d, M)
        slope = 2 * jnp.matmul(apart.T, x.offsets[:, i], precision=HIGHEST)
        highest = (f[i] - slope).max(1)
        lowest = (g + (2 * apart[..., None] * y.offsets).sum(0)).max(1)
        return highest + lowest - (apart * apart).sum(0)

    return jax.lax.map(one, rows)


def kept(x: Leaves, y: Leaves, f: Array, g: Array, least: float) -> Tiles:
    """The tiles in which f_i + g_j - C_ij may exceed `least`; on the host.

    With least = epsilon log(delta s / max(|a|, |b|)) all that is left out of any row or column is
    at most the part delta of its mass: the sum of (b_j / s) exp(least / epsilon) over a row.
    """
    f = jnp.where(x.weights > 0, f, -jnp.inf)
    g = jnp.where(y.weights > 0, g, -jnp.inf)
    count = x.weights.shape[0]
    step = max(1, min(count, 2**24 // y.weights.shape[0]))
    found = []
    for low in range(0, count, step):
        rows = jnp.minimum(jnp.arange(low, low + step, dtype=jnp.int32), count - 1)
        inside = np.asarray(heights(x, y, f, g, rows))[: count - low] > least
        i, j = np.nonzero(inside)
        found.append((i + low, j))
    i, j = (np.concatenate(part).astype(np.int32) for part in zip(*found, strict=True))
    size = padded_size(max(i.size, 1), smallest=max(2, _at_once(x, y)))
    beyond = np.iinfo(np.int32).max // 2
    rows, columns = (
        jnp.asarray(np.pad(part, (0, size - part.size), constant_values=beyond)) for part in (i, j)
    )
    return Tiles(x, y, rows, columns, jnp.asarray(len(i), jnp.int32))
