"""How exp(-C / epsilon) is stored and applied: in full, or point by point from two clouds.

Solvers never see a cost matrix. They use five verbs, and do not know which kernel they got:

- `softmin(h, epsilon, axis)`: log sum exp(h - C / epsilon) along an axis (1: over the columns, one
  value a row; 0: over the rows);
- `average(h, epsilon, values, axis)`: mean of `values` under the softmax of the same exponents;
- `at(points, axis)`: the kernel with other points in the place of rows (1) or columns (0);
- `span(a, b)`: the greatest cost between points of positive weight;
- `dense()`: the cost matrix, for small problems.

`rows(h, epsilon, stored)` prepares many products with one and the same softmax: `Stored` keeps the
matrix, `Streamed` computes it anew each time. Beside these, nothing is O(n m) in memory.

On a GPU that it is made for, `mosaic` computes what a `Cloud` and its `Streamed` are asked for.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST
from jaxcolor.transport import fused, mosaic
from jaxcolor.transport.blocks import by_blocks, in_blocks, rows_at_once
from jaxcolor.transport.costs import Cost, SqEuclidean
from jaxcolor.tree import pytree

COMPACT = 2**18  # pairs: up to here the costs themselves are kept
STORED = 2**28  # a softmax is kept up to this many entries: 1 GB in float32


class Rows(Protocol):
    """S_ij = softmax_j(h_j - C_ij / epsilon): rows that sum to one."""

    def forward(self, v: Array) -> Array:
        """S v: (m,) -> (n,)."""
        ...

    def backward(self, u: Array) -> Array:
        """S^T u: (n,) -> (m,)."""
        ...


class Kernel(Protocol):
    """What a solver asks for; see the module.

    To be divided between devices (`Sharded`), ROWS names the field whose first array are the rows.
    """

    @property
    def shape(self) -> tuple[int, int]: ...
    def softmin(self, h: Array, epsilon: Array, axis: int) -> Array: ...
    def average(self, h: Array, epsilon: Array, values: Array, axis: int) -> Array: ...
    def at(self, points: Array, axis: int) -> "Kernel": ...
    def span(self, a: Array, b: Array) -> Array: ...
    def dense(self) -> Array: ...
    def rows(self, h: Array, epsilon: Array, stored: bool) -> tuple[Rows, Array]: ...


@pytree
class Stored:
    """The softmax as a matrix (n, m)."""

    matrix: Array

    def forward(self, v: Array) -> Array:
        return jnp.matmul(self.matrix, v, precision=HIGHEST)

    def backward(self, u: Array) -> Array:
        return jnp.matmul(u, self.matrix, precision=HIGHEST)


def _exponents(cost: Array, h: Array, epsilon: Array) -> Array:
    return h[None] - cost / epsilon


def _softmin(z: Array) -> Array:
    """log sum exp along the last axis; exponents may be -infinity, if not all of a row."""
    top = jax.lax.stop_gradient(z.max(-1))
    return top + jnp.log(jnp.exp(z - top[..., None]).sum(-1))


def _average(z: Array, values: Array) -> Array:
    p = jnp.exp(z - jax.lax.stop_gradient(z.max(-1))[..., None])
    total = p.sum(-1).reshape(p.shape[:1] + (1,) * (values.ndim - 1))
    return jnp.matmul(p, values, precision=HIGHEST) / total


def _softmax(z: Array) -> tuple[Array, Array]:
    """Softmax along the last axis, and the log of what it was divided by."""
    top = z.max(-1, keepdims=True)
    p = jnp.exp(z - top)
    total = p.sum(-1, keepdims=True)
    return p / total, (top + jnp.log(total))[:, 0]


@pytree
class Dense:
    """A cost matrix, stored.

    Attributes:
        cost: (n, m).

    Example:
        >>> Dense(jnp.zeros((2, 3))).softmin(jnp.zeros(3), jnp.float32(1), axis=1)
        Array([1.0986123, 1.0986123], dtype=float32)
    """

    ROWS: ClassVar[str] = "cost"

    cost: Array

    @property
    def shape(self) -> tuple[int, int]:
        n, m = self.cost.shape
        return n, m

    def softmin(self, h: Array, epsilon: Array, axis: int) -> Array:
        return self._reduce(lambda c: _softmin(_exponents(c, h, epsilon)), axis)

    def average(self, h: Array, epsilon: Array, values: Array, axis: int) -> Array:
        return self._reduce(lambda c: _average(_exponents(c, h, epsilon), values), axis)

    def at(self, points: Array, axis: int) -> "Dense":
        raise ValueError(
            "a cost matrix knows no points: to evaluate at new ones solve on Cloud(x, y, cost)"
        )

    def span(self, a: Array, b: Array) -> Array:
        inside = (a > 0)[:, None] & (b > 0)[None]
        return jnp.where(inside, self.cost, 0).max()

    def dense(self) -> Array:
        return self.cost

    def rows(self, h: Array, epsilon: Array, stored: bool) -> tuple[Rows, Array]:
        matrix, normaliser = self._reduce(lambda c: _softmax(_exponents(c, h, epsilon)), axis=1)
        return Stored(matrix), normaliser

    def _reduce(self, reduction, axis: int):
        costs = self.cost if axis == 1 else self.cost.T
        return by_blocks(reduction, costs, costs.shape[1])


@pytree
class Cloud:
    """The cost between two clouds, never formed: O(n + m) memory, a block of rows at a time.

    Attributes:
        x: (n, d). y: (m, d).
        cost: a `Cost`.

    Example:
        >>> x = jnp.array([[0.0], [1.0]])
        >>> Cloud(x, x).average(jnp.zeros(2), jnp.float32(0.01), x, axis=1)
        Array([[0.],
               [1.]], dtype=float32)
    """

    ROWS: ClassVar[str] = "x"
    FUSED: ClassVar[bool] = True

    x: Array
    y: Array
    cost: Cost = SqEuclidean()

    @property
    def shape(self) -> tuple[int, int]:
        return self.x.shape[0], self.y.shape[0]

    def softmin(self, h: Array, epsilon: Array, axis: int) -> Array:
        def plain(cloud: Cloud, h, epsilon):
            return cloud._reduce(lambda c: _softmin(_exponents(c, h, epsilon)), axis)

        def kernel(cloud: Cloud, h, epsilon):
            return mosaic.softmin(cloud.cost, *cloud._turned(axis), h, epsilon)

        return self.fastest(plain, kernel, h, epsilon)(self, h, epsilon)

    def average(self, h: Array, epsilon: Array, values: Array, axis: int) -> Array:
        def plain(cloud: Cloud, h, epsilon, values):
            return cloud._reduce(lambda c: _average(_exponents(c, h, epsilon), values), axis)

        def kernel(cloud: Cloud, h, epsilon, values):
            return mosaic.average(cloud.cost, *cloud._turned(axis), h, epsilon, values)

        return self.fastest(plain, kernel, h, epsilon, values)(self, h, epsilon, values)

    def at(self, points: Array, axis: int) -> "Cloud":
        if axis == 1:
            return Cloud(points, self.y, self.cost)
        return Cloud(self.x, points, self.cost)

    def span(self, a: Array, b: Array) -> Array:
        def greatest(c):
            return jnp.where((b > 0)[None], c, 0).max(-1)

        return jnp.where(a > 0, self._reduce(greatest, axis=1), 0).max()

    def dense(self) -> Array:
        return self.cost(self.x, self.y)

    def rows(self, h: Array, epsilon: Array, stored: bool) -> tuple[Rows, Array]:
        if not stored or self._is_fused(h, epsilon):  # which is faster than reading a matrix
            return _streamed(self, h, epsilon)
        matrix, normaliser = self._reduce(lambda c: _softmax(_exponents(c, h, epsilon)), axis=1)
        return Stored(matrix), normaliser

    def fastest(self, plain: Callable, kernel: Callable, *arrays: Array) -> Callable[..., Array]:
        """`kernel`, the GPU's, where it serves; derivatives are those of `plain`."""
        return fused.instead_of(plain, kernel) if self._is_fused(*arrays) else plain

    def _is_fused(self, *arrays: Array) -> bool:
        return self.FUSED and fused.chosen(self.cost, self.x, self.y, *arrays)

    def _turned(self, axis: int) -> tuple[Array, Array]:
        """The cloud that results are for, and the one that is summed over."""
        return (self.x, self.y) if axis == 1 else (self.y, self.x)

    def _reduce(self, reduction, axis: int):
        """A reduction of cost rows (block, m) along their last axis, block by block."""
        n, m = self.shape
        if axis == 1:
            return by_blocks(lambda rows: reduction(self.cost(rows, self.y)), self.x, m)
        if getattr(self.cost, "symmetric", False):  # twice as fast as a transpose
            return by_blocks(lambda columns: reduction(self.cost(columns, self.x)), self.y, n)
        return by_blocks(lambda columns: reduction(self.cost(self.x, columns).T), self.y, n)


@pytree
class Unfused(Cloud):
    """A cloud whose every result reverse mode can turn around, on a GPU too."""

    FUSED: ClassVar[bool] = False


def transposable(part: Any) -> Any:
    """A kernel, or its rows, without the GPU kernel, which reverse mode cannot turn around.

    For derivatives by hand, which apply it to tangents; all others are as they should be.
    """
    if isinstance(part, Cloud):
        return Unfused(part.x, part.y, part.cost)
    for name in ("kernel", "parts"):  # of Streamed and Sharded, of a sharded kernel's rows
        if hasattr(part, name):
            return replace(part, **{name: transposable(getattr(part, name))})
    return part


def compact(kernel: Kernel) -> Kernel:
    """The kernel that is fastest to evaluate often: small clouds as their cost matrix."""
    n, m = kernel.shape
    divided = hasattr(kernel, "mesh")  # between devices, where it is to stay
    return Dense(kernel.dense()) if n * m <= COMPACT and not divided else kernel


@pytree
class Streamed:
    """The softmax of a `Cloud`, computed anew for each product.

    Its entries exp(h_j - C_ij / epsilon - normaliser_i) are at most one, so no product needs a
    maximum first.
    """

    kernel: Cloud
    h: Array
    epsilon: Array
    normaliser: Array

    def forward(self, v: Array) -> Array:
        return self.kernel.fastest(Streamed._forward, _by_kernel(mosaic.forward), v)(self, v)

    def backward(self, u: Array) -> Array:
        return self.kernel.fastest(Streamed._backward, _by_kernel(mosaic.backward), u)(self, u)

    def _forward(self, v: Array) -> Array:
        def block(rows):
            return jnp.matmul(self._softmax(*rows), v, precision=HIGHEST)

        return by_blocks(block, (self.kernel.x, self.normaliser), self.kernel.shape[1])

    def _backward(self, u: Array) -> Array:
        @jax.checkpoint  # or reverse mode would keep the softmax of all blocks
        def part(x, normaliser, u):
            return jnp.matmul(u, self._softmax(x, normaliser), precision=HIGHEST)

        def add(total, rows):
            return total + part(*rows), None

        n, m = self.kernel.shape
        size = rows_at_once(m)
        # the rows that fill the last block weigh nothing
        u = jnp.concatenate([u, jnp.zeros(-n % size, u.dtype)]).reshape(-1, size)
        blocks = (in_blocks(self.kernel.x, size), in_blocks(self.normaliser, size), u)
        return jax.lax.scan(add, jnp.zeros_like(self.h), blocks)[0]

    def _softmax(self, x: Array, normaliser: Array) -> Array:
        cost = self.kernel.cost(x, self.kernel.y)
        return jnp.exp(_exponents(cost, self.h, self.epsilon) - normaliser[:, None])


def _by_kernel(product):
    """A product of `mosaic` as a function of `Streamed` and a vector."""

    def function(s: Streamed, vector: Array) -> Array:
        k = s.kernel
        return product(k.cost, k.x, k.y, s.h, s.epsilon, s.normaliser, vector)

    return function


def _streamed(kernel: Cloud, h: Array, epsilon: Array) -> tuple[Rows, Array]:
    normaliser = kernel.softmin(h, epsilon, axis=1)
    return Streamed(kernel, h, epsilon, normaliser), normaliser
