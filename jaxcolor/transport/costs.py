"""Ground costs c(x, y): pytrees called on two clouds, giving the cost of every pair."""

from typing import ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.tree import pytree


@runtime_checkable
class Cost(Protocol):
    """A pytree with `cost(x (n, d), y (m, d)) -> (n, m)`: any such object may be a ground cost.

    Kernels call it on blocks of rows. To be fast it works coordinate by coordinate (below), never
    on an (n, m, d) array; its leaves may be traced and differentiated. A class attribute
    `symmetric = True` says that cost(x, y) = cost(y, x).T.
    """

    def __call__(self, x: Array, y: Array) -> Array: ...


def _squared(x: Array, y: Array) -> Array:
    """|x - y|^2 by differences: |x|^2 + |y|^2 - 2 x.y loses 2^-23 |x|^2, more than a small epsilon.

    For d = 3 it is no slower (the exponential that follows dominates), and it is exact at x = y.
    """
    return sum(
        ((x[:, None, k] - y[None, :, k]) ** 2 for k in range(1, x.shape[1])),
        (x[:, None, 0] - y[None, :, 0]) ** 2,
    )


@jax.custom_jvp
def _root(squared: Array) -> Array:
    """The square root, with derivative zero (not NaN) where the points coincide.

    The mask is the derivative's alone: in the value it made the cost three times as slow.
    """
    return jnp.sqrt(squared)


@_root.defjvp
def _root_jvp(primals, tangents):
    (squared,), (change,) = primals, tangents
    root = _root(squared)
    apart = squared > 0
    return root, jnp.where(apart, change / (2 * jnp.where(apart, root, 1)), 0)


def _power(squared: Array, exponent: Array) -> Array:
    """squared^exponent, with derivative zero (not NaN) where the points coincide."""
    apart = squared > 0
    return jnp.where(apart, jnp.where(apart, squared, 1) ** exponent, 0)


@pytree
class SqEuclidean:
    """c(x, y) = |x - y|^2.

    Example:
        >>> SqEuclidean()(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]]))
        Array([[25.]], dtype=float32)
    """

    symmetric: ClassVar[bool] = True

    def __call__(self, x: Array, y: Array) -> Array:
        return _squared(x, y)


@pytree
class Euclidean:
    """c(x, y) = |x - y|.

    Example:
        >>> Euclidean()(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]]))
        Array([[5.]], dtype=float32)
    """

    symmetric: ClassVar[bool] = True

    def __call__(self, x: Array, y: Array) -> Array:
        return _root(_squared(x, y))


@pytree
class Lp:
    """c(x, y) = |x - y|^p, the Euclidean norm to any power p > 0.

    Attributes:
        p: scalar, traced: changing it compiles nothing.

    Example:
        >>> Lp(jnp.float32(3))(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]])).round(2)
        Array([[125.]], dtype=float32)
    """

    p: Array | float
    symmetric: ClassVar[bool] = True

    def __call__(self, x: Array, y: Array) -> Array:
        return _power(_squared(x, y), jnp.asarray(self.p, x.dtype) / 2)
