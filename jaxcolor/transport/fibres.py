"""Gaussian log-sum-exps along the fibres of a grid, and their softmaxes in factors.

Exponents are pulled out around a few pivots x0 of the result,

    sum_m exp(z_m - (x - y_m)^2 / epsilon) = e^(top - q(x)) sum_m exp(z_m - (x0 - y_m)^2 / epsilon
        - top) exp(2 (x - x0)(y_m - c) / epsilon),

the last factor a matrix product. It stays within e^35 (float32) as long as x is near its pivot: one
pivot is enough for a wide kernel, 32 for one 32 times as narrow (in epsilon); below, every node is
its own and the product an ordinary log-sum-exp.

Everywhere z is (m, F), F fibres, and results are (n, F).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.maps import HIGHEST
from jaxcolor.tree import pytree

PIVOTS = 1, 8, 32  # tried in this order
FIXED = 1, 2, 4, 8, 16, 32  # likewise, where it is done once and beforehand
LOGS = 2**22  # exponents at once, where every node is its own pivot


def softmin(z: Array, x: Array, y: Array, epsilon: Array, pivots: int | None) -> Array:
    """log sum_m exp(z_m - (x - y_m)^2 / epsilon).

    Args:
        z: (m, F). x: (n,) and y: (m,) coordinates.
        pivots: how many; 0, every node by itself; None, as many as it takes.

    Returns:
        (n, F).

    Example:
        >>> line = jnp.array([0.0, 1.0])
        >>> z = softmin(jnp.zeros((2, 1)), line, line, jnp.float32(1), pivots=1)
        >>> [round(v, 3) for v in z.ravel().tolist()]
        [0.313, 0.313]
    """
    if pivots == 0:
        return _each(z, x, y, epsilon)
    if pivots is not None:
        return _around(z, x, y, epsilon, pivots)
    choices = [k for k in PIVOTS if k < x.shape[0]]
    index = sum((tilt(x, y, k) > limit(z.dtype) * epsilon).astype(jnp.int32) for k in choices)
    branches = [partial(_around, x=x, y=y, epsilon=epsilon, pivots=k) for k in choices]
    return jax.lax.switch(index, [*branches, partial(_each, x=x, y=y, epsilon=epsilon)], z)


def limit(dtype) -> float:
    """The greatest exponent: what it raises must not have underflowed where sums fall as much."""
    return 35.0 if jnp.finfo(dtype).bits == 32 else 345.0


def tilt(x: Any, y: Any, pivots: int) -> Any:
    """epsilon times the greatest exponent of the matrix factor; of JAX's or NumPy's arrays."""
    first, last = _ends(x.shape[0], pivots)
    return (x[last] - x[first]).max() * abs(y - y.mean()).max()


@pytree
class Pass:
    """The softmax along fibres, exp(z_m - (x_i - y_m)^2 / epsilon) over their sum, in factors.

    Attributes:
        near: (pivots, m, F) the exponentials around each pivot.
        tilt: (pivots, part, m) what makes them those of the nodes around it.
        total: (n, F) their sums.
    """

    near: Array
    tilt: Array
    total: Array

    def forward(self, v: Array) -> Array:
        """(m, F) -> (n, F)."""

        def around(one):
            near, tilt = one
            return jnp.matmul(tilt, near * v, precision=HIGHEST)

        parts = jax.lax.map(around, (self.near, self.tilt))
        return _joined(parts, self.total.shape[0]) / self.total

    def backward(self, u: Array) -> Array:
        """The transpose, (n, F) -> (m, F)."""
        count, part, _ = self.tilt.shape
        u = jnp.pad(u / self.total, ((0, count * part - u.shape[0]), (0, 0)))

        def add(total, one):
            near, tilt, u = one
            return total + near * jnp.matmul(tilt.T, u, precision=HIGHEST), None

        start = jnp.zeros(self.near.shape[1:], u.dtype)
        parts = self.near, self.tilt, u.reshape(count, part, -1)
        return jax.lax.scan(add, start, parts)[0]


def factor(z: Array, x: Array, y: Array, epsilon: Array, pivots: int) -> tuple[Array, Pass]:
    """`softmin` and the softmax that belongs to it."""
    middle, tilt, rest = _split(x, y, epsilon, pivots)
    top, near = jax.vmap(lambda pivot: _near(z, y, epsilon, pivot))(middle)
    total = _joined(jax.lax.map(lambda one: _product(*one), (tilt, near)), x.shape[0])
    highest = jnp.repeat(top, tilt.shape[1], 0, total_repeat_length=total.shape[0])
    some = jnp.where(total > 0, total, 1)
    return highest + log(total) - rest[:, None], Pass(near, tilt, some)


def log(v: Array) -> Array:
    """The logarithm, -infinity with a derivative of zero where there is nothing."""
    some = v > 0
    return jnp.where(some, jnp.log(jnp.where(some, v, 1)), -jnp.inf)


def _ends(n: int, pivots: int) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last of the nodes around each pivot."""
    part = -(-n // pivots)
    first = np.minimum(np.arange(pivots) * part, n - 1)
    return first, np.minimum(first + part - 1, n - 1)


def _split(x: Array, y: Array, epsilon: Array, pivots: int) -> tuple[Array, Array, Array]:
    """Pivots (count,), their matrices (count, part, m), and what is left of each node (n,)."""
    n = x.shape[0]
    part = -(-n // pivots)
    first, last = _ends(n, pivots)
    middle = (x[first] + x[last]) / 2
    own = jnp.repeat(middle, part, total_repeat_length=n)
    centre = y.mean()
    # (x - y)^2 = (x0 - y)^2 + (x - x0)(x + x0 - 2 c) - 2 (x - x0)(y - c)
    rest = (x - own) * (x + own - 2 * centre) / epsilon
    away = jnp.pad(x - own, (0, pivots * part - n)).reshape(pivots, part)
    return middle, jnp.exp(2 * away[..., None] * (y - centre) / epsilon), rest


def _near(z: Array, y: Array, epsilon: Array, pivot: Array) -> tuple[Array, Array]:
    """Around one pivot: the greatest exponents (F,), and exponentials relative to them (m, F)."""
    tilted = z - ((pivot - y) ** 2 / epsilon)[:, None]
    top = _top(tilted)
    return top, jnp.exp(tilted - top)


def _product(tilt: Array, near: Array) -> Array:
    return jnp.matmul(tilt, near, precision=HIGHEST)


def _joined(parts: Array, n: int) -> Array:
    """(pivots, part, F) -> (n, F)."""
    return parts.reshape(-1, parts.shape[-1])[:n]


def _around(z: Array, x: Array, y: Array, epsilon: Array, pivots: int) -> Array:
    """By matrix products, the exponents pulled out around a few pivots."""
    middle, tilt, rest = _split(x, y, epsilon, pivots)

    def around(one):
        pivot, tilt = one
        top, near = _near(z, y, epsilon, pivot)
        return top + log(_product(tilt, near))

    return _joined(jax.lax.map(around, (middle, tilt)), x.shape[0]) - rest[:, None]


def _each(z: Array, x: Array, y: Array, epsilon: Array) -> Array:
    """Every node by itself: an ordinary log-sum-exp, some fibres at a time."""
    cost = (x[:, None] - y[None]) ** 2 / epsilon

    def fibre(z):
        exponents = z[None] - cost
        top = _top(exponents.T)
        return top + log(jnp.exp(exponents - top[:, None]).sum(-1))

    size = max(1, min(z.shape[1], LOGS // cost.size))
    return jax.lax.map(fibre, z.T, batch_size=size).T


def _top(z: Array) -> Array:
    """The maximum along the first axis; zero where all is -infinity."""
    top = jax.lax.stop_gradient(z.max(0))
    return jnp.where(jnp.isfinite(top), top, 0)
