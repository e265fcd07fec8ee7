"""What a fit returns: functions on colours that need no solver to be understood."""

from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.tree import pytree

HIGHEST = jax.lax.Precision.HIGHEST  # a GPU's default is TF32, a TPU's bfloat16


@runtime_checkable
class ColorMap(Protocol):
    """A pytree that maps colours (n, d) to colours (n, d), anywhere in R^d, unclipped.

    It takes the dtype of the colours, so that one fit serves float32 and float64 pictures.
    """

    def __call__(self, colors: Array) -> Array: ...


class Space(Protocol):
    """A colour space: a pytree that knows the way from encoded RGB to its coordinates and back."""

    def encode(self, rgb: Array) -> Array: ...
    def decode(self, coordinates: Array) -> Array: ...


@pytree
class Affine:
    """T(x) = matrix x + offset.

    Attributes:
        matrix: (d, d).
        offset: (d,).

    Example:
        >>> Affine(2 * jnp.eye(3), jnp.ones(3))(jnp.array([[1.0, 2.0, 3.0]]))
        Array([[3., 5., 7.]], dtype=float32)
    """

    matrix: Array
    offset: Array

    def __call__(self, colors: Array) -> Array:
        matrix, offset = self.matrix.astype(colors.dtype), self.offset.astype(colors.dtype)
        return jnp.matmul(colors, matrix.T, precision=HIGHEST) + offset[None]


@pytree
class Quantile:
    """Composed 1-D maps: for k = 1..K, x <- x + F_k^T s_k(F_k x), s_k acting axis by axis.

    s_k is piecewise linear on evenly spaced knots and constant beyond them, so the map goes on
    with slope one outside the colours that it was fitted on. K = 1 with F = I is channel-wise
    histogram matching; K orthonormal frames are an iterative distribution transfer.

    Attributes:
        frames: (K, d, d), each orthonormal; rows are the axes.
        low: (K, d), position of each axis' first knot.
        step: (K, d), distance between its knots, > 0.
        shift: (K, d, knots), displacement along the axis at each knot.
    """

    frames: Array
    low: Array
    step: Array
    shift: Array

    def __call__(self, colors: Array) -> Array:
        tables = jax.tree.map(lambda leaf: leaf.astype(colors.dtype), self)

        def move(x, one):  # x (d, n): axes first, so that every operation below is contiguous
            along = jnp.matmul(one.frames, x, precision=HIGHEST)
            displacement = jax.vmap(lookup)(along, one.low, one.step, one.shift)
            return x + jnp.matmul(one.frames.T, displacement, precision=HIGHEST), None

        return jax.lax.scan(move, colors.T, tables)[0].T


def lookup(x: Array, low: Array, step: Array, table: Array) -> Array:
    """A table on evenly spaced knots, read at x (n,) by linear interpolation; constant beyond."""
    last = table.shape[0] - 1
    t = jnp.clip((x - low) / step, 0, last)
    # a picture's NaN never reaches this point, but a cast of it would be undefined
    left = jnp.minimum(t.astype(jnp.int32), last - 1)
    rest = t - left.astype(t.dtype)
    ends = [table.at[i].get(mode="promise_in_bounds") for i in (left, left + 1)]
    return ends[0] * (1 - rest) + ends[1] * rest


@pytree
class InSpace:
    """decode . inner . encode: a map that acts in the coordinates of another colour space."""

    space: Space
    inner: ColorMap

    def __call__(self, colors: Array) -> Array:
        return self.space.decode(self.inner(self.space.encode(colors)))


@pytree
class Blend:
    """(1 - strength) x + strength T(x): displacement interpolation, the strength knob.

    Example:
        >>> Blend(jnp.array(0.5), Affine(jnp.zeros((1, 1)), jnp.ones(1)))(jnp.array([[0.0]]))
        Array([[0.5]], dtype=float32)
    """

    strength: Array
    inner: ColorMap

    def __call__(self, colors: Array) -> Array:
        return colors + self.strength.astype(colors.dtype) * (self.inner(colors) - colors)
