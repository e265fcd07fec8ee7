"""The squared distance between the nodes of two grids, one axis after another.

exp(-|x - y|^2 / epsilon) is a product over the axes, so a log-sum-exp over k^d nodes is d passes
along `fibres` of k: k^(d + 1) work in place of k^(2 d), and O(k^d) memory.

Where epsilon is known outside `jit`, `prepared` says beforehand how many pivots a pass takes. Then
there is one program in place of four, and a softmax is kept in factors: what follows (scaling
updates, conjugate gradients) are matrix products, without another exponential.
"""

import math
from dataclasses import replace
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jaxcolor.measure import nodes
from jaxcolor.transport import fibres
from jaxcolor.transport.costs import SqEuclidean
from jaxcolor.transport.fibres import Pass
from jaxcolor.transport.kernels import Cloud, Rows
from jaxcolor.tree import pytree, static

KEPT = 2**26  # numbers at most in the factors of one axis

Axes = tuple[Array, ...]


@pytree
class GridKernel:
    """|x - y|^2 between all nodes of two grids, flattened in C order.

    Attributes:
        x: coordinates along each axis of the rows' grid, (k1,), .. (kd,), rising.
        y: likewise of the columns' grid.
        pivots: of each pass, for this and larger epsilons; 0, every node by itself; None, as many
            as it takes, chosen anew each time. See `prepared`.

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

    ROWS: ClassVar[str] = "x"

    x: Axes
    y: Axes
    pivots: int | None = static(default=None)

    @property
    def cost(self) -> SqEuclidean:
        return SqEuclidean()

    @property
    def shape(self) -> tuple[int, int]:
        return math.prod(_sizes(self.x)), math.prod(_sizes(self.y))

    def softmin(self, h: Array, epsilon: Array, axis: int) -> Array:
        here, there = (self.x, self.y) if axis == 1 else (self.y, self.x)

        def along(z, pair):
            return fibres.softmin(z, pair[0], pair[1], epsilon, self.pivots), None

        return _through(along, h, here, there)[0]

    def average(self, h: Array, epsilon: Array, values: Array, axis: int) -> Array:
        if self._kept:
            mean = self._factored(h, epsilon, axis)[0].forward
        else:
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
        if self._kept:
            return self._factored(h, epsilon, axis=1)
        normaliser = self.softmin(h, epsilon, axis=1)
        return Separable(self, h, epsilon, normaliser), normaliser

    @property
    def _kept(self) -> bool:
        """Whether a softmax is kept in factors."""
        sizes = *_sizes(self.x), *_sizes(self.y)
        nodes_at_once = max(sizes) ** len(self.x)
        return bool(self.pivots) and self.pivots * nodes_at_once <= KEPT

    def _factored(self, h: Array, epsilon: Array, axis: int) -> tuple["Factored", Array]:
        here, there = (self.x, self.y) if axis == 1 else (self.y, self.x)

        def along(z, pair):
            return fibres.factor(z, pair[0], pair[1], epsilon, self.pivots or 0)

        z, passes = _through(along, h, here, there)
        return Factored(passes), z

    def _weighed(self, h: Array, epsilon: Array, normaliser: Array, axis: int, v: Array) -> Array:
        """sum_j exp(h_j - C_ij / epsilon - normaliser_i) v_j for v of any sign."""

        def one(part):
            return jnp.exp(self.softmin(h + fibres.log(part), epsilon, axis) - normaliser)

        return one(jnp.maximum(v, 0)) - one(jnp.maximum(-v, 0))


@pytree
class Separable:
    """The softmax of a `GridKernel`, evaluated anew for each product."""

    kernel: GridKernel
    h: Array
    epsilon: Array
    normaliser: Array

    def forward(self, v: Array) -> Array:
        return self.kernel._weighed(self.h, self.epsilon, self.normaliser, 1, v)

    def backward(self, u: Array) -> Array:
        # sum_i u_i exp(h_j - C_ij / epsilon - normaliser_i)
        return self.kernel._weighed(-self.normaliser, self.epsilon, -self.h, 0, u)


@pytree
class Factored:
    """The softmax of a `GridKernel` in factors, a `Pass` an axis; stacked where sizes are equal."""

    passes: Pass | tuple[Pass, ...]

    def forward(self, v: Array) -> Array:
        def along(v, one):
            return one.forward(v.reshape(one.near.shape[1:])).T.reshape(v.shape), None

        if isinstance(self.passes, Pass):
            return jax.lax.scan(along, v, self.passes)[0]
        for one in self.passes:
            v = one.forward(v.reshape(one.near.shape[1:])).T
        return v.ravel()

    def backward(self, u: Array) -> Array:
        def along(u, one):
            return one.backward(u.reshape(one.total.shape[::-1]).T).reshape(u.shape), None

        # on the way numbers are e^70 times as large: those of u must leave room for that
        largest = jnp.abs(jax.lax.stop_gradient(u)).max()
        largest = jnp.where(largest > 0, largest, 1)
        u = u / largest
        if isinstance(self.passes, Pass):
            u = jax.lax.scan(along, u, self.passes, reverse=True)[0]
        else:
            for one in reversed(self.passes):
                u = one.backward(u.reshape(one.total.shape[::-1]).T)
        return u.ravel() * largest


def prepared(kernel: GridKernel, epsilon: Array | float | None) -> GridKernel:
    """The kernel with as many pivots as this epsilon needs; as it is, where that is traced.

    Example:
        >>> axis = jnp.linspace(0, 1, 64)
        >>> kernel = GridKernel((axis,) * 3, (axis,) * 3)
        >>> [prepared(kernel, epsilon).pivots for epsilon in (0.1, 2e-3, 1e-6)]
        [1, 8, 0]
    """
    if epsilon is None or any(isinstance(leaf, Tracer) for leaf in (*kernel.x, *kernel.y, epsilon)):
        return kernel
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in zip(kernel.x, kernel.y, strict=True)]
    limit = fibres.limit(jnp.result_type(*kernel.x, *kernel.y)) * float(np.asarray(epsilon))
    for count in fibres.FIXED:
        if all(fibres.tilt(*ends, count) <= limit for x, y in pairs for ends in ((x, y), (y, x))):
            return replace(kernel, pivots=count)
    return replace(kernel, pivots=0)


def _sizes(axes: Axes) -> tuple[int, ...]:
    return tuple(part.shape[0] for part in axes)


def _through(along, z: Array, here: Axes, there: Axes):
    """`along` each axis in turn, (k1 * .. * kd,) -> (n1 * .. * nd,), and what it keeps.

    Always along the first: the one done goes last, so that in the end their order is what it was.
    """
    sizes = _sizes(there)
    if len({*_sizes(here), *sizes}) == 1:
        # one program for all axes: it is compiled in a third of the time
        def step(z, pair):
            after, one = along(z, pair)
            return after.T.reshape(z.shape), one

        z, kept = jax.lax.scan(step, z.reshape(sizes[0], -1), (jnp.stack(here), jnp.stack(there)))
        return z.ravel(), kept
    kept = []
    for pair in zip(here, there, strict=True):
        after, one = along(z.reshape(pair[1].shape[0], -1), pair)
        z = after.T
        kept.append(one)
    return z.ravel(), tuple(kept)


def _box(weights: Array, axes: Axes) -> list[tuple[Array, Array]]:
    """The least and the greatest coordinate with weight along each axis."""
    weights = weights.reshape(_sizes(axes))
    ends = []
    for k, axis in enumerate(axes):
        some = (weights > 0).any(tuple(j for j in range(len(axes)) if j != k))
        ends.append((jnp.where(some, axis, jnp.inf).min(), jnp.where(some, axis, -jnp.inf).max()))
    return ends
