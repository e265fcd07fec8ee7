"""Linear systems that are only ever multiplied with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array


def conjugate_gradients(
    matvec: Callable[[Array], Array], rhs: Array, forcing: Array, most: int
) -> tuple[Array, Array]:
    """An inexact solution of a positive (semi-)definite system A z = rhs.

    Not `jax.scipy.sparse.linalg.cg`: callers want the count, and a direction without curvature (a
    null vector, or rounding) has to end the search, not to blow it up.

    Args:
        matvec: z (m,) -> A z (m,).
        rhs: (m,), in the range of A.
        forcing: stop at |A z - rhs| <= forcing |rhs|.
        most: products at most.

    Returns:
        z (m,) and the number of products.

    Example:
        >>> scale = jnp.array([1.0, 4.0])
        >>> z, count = conjugate_gradients(lambda z: scale * z, jnp.ones(2), jnp.float32(1e-5), 9)
        >>> z.round(3), int(count)
        (Array([1.  , 0.25], dtype=float32), 2)

    Reference:
        Hestenes, Stiefel (1952), Methods of conjugate gradients for solving linear systems.
    """
    goal = forcing**2 * jnp.vdot(rhs, rhs)

    def going(state):
        _, _, _, rest, count = state
        return (rest > goal) & (count < most)

    def improve(state):
        z, r, d, rest, count = state
        q = matvec(d)
        bend = jnp.vdot(d, q)
        convex = bend > 0
        length = jnp.where(convex, rest / jnp.where(convex, bend, 1), 0)
        r = r - length * q
        after = jnp.where(convex, jnp.vdot(r, r), 0)
        return z + length * d, r, r + (after / rest) * d, after, count + 1

    start = (jnp.zeros_like(rhs), rhs, rhs, jnp.vdot(rhs, rhs), jnp.zeros((), jnp.int32))
    z, _, _, _, count = jax.lax.while_loop(going, improve, start)
    return z, count
