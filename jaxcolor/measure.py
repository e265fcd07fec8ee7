"""Weighted clouds of colours: the one thing that every solver couples."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxcolor.tree import pytree


@pytree
class Measure:
    """A discrete measure, sum_i weights_i delta(points_i).

    A point of weight zero is legal padding: no solver lets it change a result. The constructor
    checks nothing (it runs on every unflatten); `point_cloud` does.

    Attributes:
        points: (n, d) positions, for colours in the coordinates of one colour space.
        weights: (n,) masses, >= 0. They need not sum to one.
    """

    points: Array
    weights: Array


@pytree
class Grid:
    """A discrete measure on the nodes of a rectangular grid.

    Attributes:
        axes: coordinates along each axis, (k1,), .. (kd,), rising.
        weights: (k1, .., kd) masses, >= 0, any total.

    Example:
        >>> density = Grid((jnp.linspace(0, 1, 3),), jnp.array([1.0, 0.0, 2.0]))
        >>> as_cloud(density).points.ravel().tolist()
        [0.0, 0.5, 1.0]
    """

    axes: tuple[Array, ...]
    weights: Array


def nodes(axes: tuple[Array, ...]) -> Array:
    """(k1 * .. * kd, d) points of a grid, in C order.

    Example:
        >>> nodes((jnp.array([0.0, 1.0]), jnp.array([5.0]))).tolist()
        [[0.0, 5.0], [1.0, 5.0]]
    """
    return jnp.stack([part.ravel() for part in jnp.meshgrid(*axes, indexing="ij")], 1)


def as_cloud(density: Grid) -> Measure:
    """The same measure as weighted points, in C order."""
    return Measure(nodes(density.axes), density.weights.ravel())


def point_cloud(points: ArrayLike, weights: ArrayLike | None = None) -> Measure:
    """A checked `Measure`; without weights, every point gets 1 / n.

    Args:
        points: (n, d), n >= 1. At least float32: integers and halves become it.
        weights: (n,), not negative, not all zero; any total mass.

    Raises:
        ValueError: on a wrong shape, or (outside `jit`) negative, non-finite or all-zero values.

    Example:
        >>> point_cloud([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]).weights
        Array([0.5, 0.5], dtype=float32)
    """
    points = jnp.asarray(points)
    if not jnp.issubdtype(points.dtype, jnp.floating) or points.dtype.itemsize < 4:
        points = points.astype(jnp.float32)
    if points.ndim != 2 or points.shape[0] == 0:
        raise ValueError(f"points must be (n, d) with n >= 1, got shape {points.shape}")
    if weights is None:
        weights = np.full(points.shape[0], 1 / points.shape[0], points.dtype)
    weights = jnp.asarray(weights).astype(points.dtype)
    if weights.shape != points.shape[:1]:
        raise ValueError(
            f"weights must be ({points.shape[0]},) to match points, got {weights.shape}"
        )
    if not isinstance(points, Tracer) and not isinstance(weights, Tracer):
        _check_values(np.asarray(points), np.asarray(weights))
    return Measure(points, weights)


def _check_values(points: np.ndarray, weights: np.ndarray) -> None:
    """In NumPy: nothing to compile for every new shape."""
    if not (np.isfinite(points).all() and np.isfinite(weights).all()):
        raise ValueError("points and weights must be finite, got NaN or infinity")
    if (weights < 0).any() or not (weights > 0).any():
        raise ValueError("weights must be >= 0 with at least one positive")


def padded_size(n: int, smallest: int = 1024) -> int:
    """The least of {2^k, 1.5 * 2^k} that holds n: few shapes, hence few compilations.

    `smallest` is itself one of them, and at least 2.

    Example:
        >>> [padded_size(n) for n in (1, 1025, 1537, 5000)]
        [1024, 1536, 2048, 6144]
    """
    size = smallest
    while size < n:
        # 2^k -> 1.5 * 2^k -> 2^(k+1)
        size = size * 3 // 2 if size & (size - 1) == 0 else size // 3 * 4
    return size


def pad(mu: Measure, size: int | None = None) -> Measure:
    """The same measure with points of weight zero appended, `size` in all.

    Args:
        mu: n points.
        size: at least n; by default `padded_size(n)`.

    Raises:
        ValueError: where size < n.

    Example:
        >>> pad(point_cloud([[0.0], [1.0]]), 3).weights
        Array([0.5, 0.5, 0. ], dtype=float32)
    """
    n = mu.points.shape[0]
    size = padded_size(n) if size is None else size
    if size < n:
        raise ValueError(f"cannot pad {n} points to {size}: size must be at least {n}")
    points, weights, xp = mu.points, mu.weights, jnp
    if not any(isinstance(leaf, Tracer) for leaf in (points, weights)):
        # in NumPy: nothing to compile for every new n
        points, weights, xp = np.asarray(points), np.asarray(weights), np
    first = xp.broadcast_to(points[:1], (size - n, points.shape[1]))
    points = xp.concatenate([points, first])
    weights = xp.concatenate([weights, xp.zeros(size - n, weights.dtype)])
    return Measure(jnp.asarray(points), jnp.asarray(weights))


def stack(*measures: Measure) -> Measure:
    """K measures as one, padded with weightless points to the greatest size.

    Example:
        >>> one, two = (Measure(jnp.zeros((n, 3)), jnp.ones(n)) for n in (1, 2))
        >>> stack(one, two).weights.tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    size = max(one.points.shape[0] for one in measures)
    padded = [pad(one, size) for one in measures]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *padded)
