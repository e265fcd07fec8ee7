"""The squared distance between the nodes of two grids, one axis after another.

exp(-|x - y|^2 / epsilon) is a product over the axes, so a log-sum-exp over k^d nodes is d passes
along fibres of k: k^(d + 1) work in place of k^(2 d), and O(k^d) memory.

Along an axis exponents are pulled out around a few pivots x0 of the result,

    sum_m exp(z_m - (x - y_m)^2 / epsilon) = e^(top - q(x)) sum_m exp(z_m - (x0 - y_m)^2 / epsilon
        - top) exp(2 (x - x0)(y_m - c) / epsilon),

the last factor a matrix product. It stays within e^35 (float32) as long as x is near its pivot: one
pivot is enough for a wide kernel, 32 for one 32 times as narrow (in epsilon); below, every node is
its own and the product an ordinary log-sum-exp.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST
from jaxcolor.measure import nodes
from jaxcolor.transport.costs import SqEuclidean
from jaxcolor.transport.kernels import Cloud, Rows
from jaxcolor.tree import pytree

PIVOTS = 1, 8, 32  # tried in this order
LOGS = 2**22  # exponents at once, where every node is its own pivot

Axes = tuple[Array, ...]


@pytree
class GridKernel:
    """|x - y|^2 between all nodes of two grids, flattened in C order.

    Attributes:
        x: coordinates along each axis of the rows' grid, (k1,), .. (kd,), rising.
        y: likewise of the columns' grid.

    Example:
        >>> axis = jnp.linspace(0, 1, 4)
        >>> kernel = GridKernel((axis, axis), (axis, axis))
        >>> kernel.shape
        (16, 16)
        >>> bool(jnp.allclose(kernel.softmin(jnp.zeros(16), jnp.float32(1), axis=1),
        ...                   Cloud(nodes(kernel.x), nodes(kernel.y)).softmin(
        ...                       jnp.zeros(16), jnp.float32(1), axis=1)))
        True
    """

    x: Axes
    y: Axes

    @property
    def cost(self) -> SqEuclidean:
        return SqEuclidean()

    @property
    def shape(self) -> tuple[int, int]:
        return math.prod(self._sizes(self.x)), math.prod(self._sizes(self.y))

    def softmin(self, h: Array, epsilon: Array, axis: int) -> Array:
        here, there = (self.x, self.y) if axis == 1 else (self.y, self.x)

        def along_first(z, pair):
            own, other = pair
            # the axis done goes last: after all of them, their order is what it was
            return _fibres(jnp.moveaxis(z, 0, -1), own, other, epsilon), None

        z = h.reshape(self._sizes(there))
        if len({*self._sizes(here), *self._sizes(there)}) == 1:
            # one program for all axes: it is compiled in a third of the time
            z, _ = jax.lax.scan(along_first, z, (jnp.stack(here), jnp.stack(there)))
        else:
            for pair in zip(here, there, strict=True):
                z, _ = along_first(z, pair)
        return z.ravel()

    def average(self, h: Array, epsilon: Array, values: Array, axis: int) -> Array:
        normaliser = self.softmin(h, epsilon, axis)
        mean = partial(self._weighed, h, epsilon, normaliser, axis)
        return mean(values) if values.ndim == 1 else jax.vmap(mean, 1, 1)(values)

    def at(self, points: Array, axis: int) -> Cloud:
        if axis == 1:
            return Cloud(points, nodes(self.y))
        return Cloud(nodes(self.x), points)

    def span(self, a: Array, b: Array) -> Array:
        """The greatest cost between the boxes around what has weight."""
        boxes = _box(a, self.x), _box(b, self.y)
        reach = [jnp.maximum(q - r, s - p) for (p, q), (r, s) in zip(*boxes, strict=True)]
        reach = jnp.stack([jnp.where(jnp.isfinite(gap), gap, 0) for gap in reach])
        return (reach**2).sum()

    def dense(self) -> Array:
        return self.cost(nodes(self.x), nodes(self.y))

    def rows(self, h: Array, epsilon: Array, stored: bool) -> tuple[Rows, Array]:
        normaliser = self.softmin(h, epsilon, axis=1)
        return Separable(self, h, epsilon, normaliser), normaliser

    def _weighed(self, h: Array, epsilon: Array, normaliser: Array, axis: int, v: Array) -> Array:
        """sum_j exp(h_j - C_ij / epsilon - normaliser_i) v_j for v of any sign."""

        def one(part):
            return jnp.exp(self.softmin(h + _log(part), epsilon, axis) - normaliser)

        return one(jnp.maximum(v, 0)) - one(jnp.maximum(-v, 0))

    @staticmethod
    def _sizes(axes: Axes) -> tuple[int, ...]:
        return tuple(part.shape[0] for part in axes)


@pytree
class Separable:
    """The softmax of a `GridKernel`, applied one axis after another."""

    kernel: GridKernel
    h: Array
    epsilon: Array
    normaliser: Array

    def forward(self, v: Array) -> Array:
        return self.kernel._weighed(self.h, self.epsilon, self.normaliser, 1, v)

    def backward(self, u: Array) -> Array:
        # sum_i u_i exp(h_j - C_ij / epsilon - normaliser_i)
        return self.kernel._weighed(-self.normaliser, self.epsilon, -self.h, 0, u)


def _log(v: Array) -> Array:
    some = v > 0
    return jnp.where(some, jnp.log(jnp.where(some, v, 1)), -jnp.inf)


def _box(weights: Array, axes: Axes) -> list[tuple[Array, Array]]:
    """The least and the greatest coordinate with weight along each axis."""
    weights = weights.reshape(GridKernel._sizes(axes))
    ends = []
    for k, axis in enumerate(axes):
        some = (weights > 0).any(tuple(j for j in range(len(axes)) if j != k))
        ends.append((jnp.where(some, axis, jnp.inf).min(), jnp.where(some, axis, -jnp.inf).max()))
    return ends


def _fibres(z: Array, x: Array, y: Array, epsilon: Array) -> Array:
    """log sum_m exp(z_m - (x - y_m)^2 / epsilon) along the last axis: (..., m) -> (..., n)."""
    # what the matrix raises by e^limit must not have underflowed where the sum falls by as much
    limit = 35.0 if z.dtype == jnp.float32 else 345.0
    n = x.shape[0]
    half = jnp.abs(y - y.mean()).max()

    def tilt(pivots: int) -> Array:
        """The greatest exponent of the matrix."""
        return 2 * jnp.abs(x - _pivots(x, pivots)[0]).max() * half / epsilon

    choices = [k for k in PIVOTS if k < n]
    index = sum((tilt(k) > limit).astype(jnp.int32) for k in choices)
    branches = [partial(_around, x=x, y=y, epsilon=epsilon, pivots=k) for k in choices]
    branches.append(partial(_each, x=x, y=y, epsilon=epsilon))
    return jax.lax.switch(index, branches, z)


def _pivots(x: Array, count: int) -> tuple[Array, Array]:
    """For each node its pivot's position (n,); and the pivots (count,)."""
    n = x.shape[0]
    part = -(-n // count)
    first = jnp.minimum(jnp.arange(count) * part, n - 1)
    last = jnp.minimum(first + part - 1, n - 1)
    middle = (x[first] + x[last]) / 2
    return jnp.repeat(middle, part, total_repeat_length=n), middle


def _around(z: Array, x: Array, y: Array, epsilon: Array, pivots: int) -> Array:
    """By matrix products, the exponents pulled out around a few pivots."""
    n = x.shape[0]
    part = -(-n // pivots)
    own, middle = _pivots(x, pivots)
    centre = y.mean()
    # (x - y)^2 = (x0 - y)^2 + (x - x0)(x + x0 - 2 c) - 2 (x - x0)(y - c)
    rest = (x - own) * (x + own - 2 * centre) / epsilon
    away = jnp.pad(x - own, (0, pivots * part - n)).reshape(pivots, part)
    tilt = jnp.exp(2 * away[:, None] * (y - centre)[:, None] / epsilon)

    def around(one):
        pivot, factors = one  # (), (m, part)
        tilted = z - (pivot - y) ** 2 / epsilon
        top = _top(tilted)
        return top + _log(jnp.matmul(jnp.exp(tilted - top), factors, precision=HIGHEST))

    pieces = jnp.moveaxis(jax.lax.map(around, (middle, tilt)), 0, -2)
    return pieces.reshape(*z.shape[:-1], pivots * part)[..., :n] - rest


def _each(z: Array, x: Array, y: Array, epsilon: Array) -> Array:
    """Every node by itself: an ordinary log-sum-exp, some fibres at a time."""
    cost = (x[:, None] - y[None]) ** 2 / epsilon

    def fibre(z):
        exponents = z[None] - cost
        top = _top(exponents)
        return top[:, 0] + _log(jnp.exp(exponents - top).sum(-1))

    flat = z.reshape(-1, z.shape[-1])
    size = max(1, min(len(flat), LOGS // cost.size))
    out = jax.lax.map(fibre, flat, batch_size=size)
    return out.reshape(*z.shape[:-1], x.shape[0])


def _top(z: Array) -> Array:
    """The maximum along the last axis, kept; zero where all is -infinity."""
    top = jax.lax.stop_gradient(z.max(-1, keepdims=True))
    return jnp.where(jnp.isfinite(top), top, 0)
