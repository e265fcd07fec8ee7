"""Anderson acceleration of a fixed-point iteration, by the last few steps."""

import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST
from jaxcolor.tree import pytree

MEMORY = 5
RIDGE = 10  # times the dtype's rounding, of the Gram matrix' trace
WORSE = 4.0  # a residual this many times the least one remembered: begin anew from there
SUM = 1e2  # of the coefficients' sizes, beyond which rounding would rule


@pytree
class Memory:
    """The last steps of x -> G(x).

    Attributes:
        images: (m, n) G(x) of each. residuals: (m, n) G(x) - x, scaled.
        count: how many there have been since the beginning.
    """

    images: Array
    residuals: Array
    count: Array


def start(like: Array, memory: int = MEMORY) -> Memory:
    """Nothing remembered yet of iterates like `like` (n,)."""
    none = jnp.zeros((memory, *like.shape), like.dtype)
    return Memory(none, none, jnp.zeros((), jnp.int32))


def mix(past: Memory, x: Array, image: Array, scale: Array) -> tuple[Array, Memory]:
    """The next iterate: of all averages of the last images, that with the least residual.

    x+ = sum_j c_j G(x_j), c = argmin |sum_j c_j s_j (G(x_j) - x_j)|^2 over sum_j c_j = 1. Where
    the residual has grown too much, or the c_j are too large to be trusted, it is G(x).

    Args:
        past: the steps before. x: (n,) the present iterate. image: G(x).
        scale: s (n,), how much each coordinate's residual counts.

    Returns:
        x+ (n,), and the memory with this step in it.

    Example:
        >>> G = lambda x: jnp.cos(x)
        >>> x = jnp.ones(1)
        >>> past = start(x)
        >>> for _ in range(9):
        ...     x, past = mix(past, x, G(x), jnp.ones(1))
        >>> x.round(3)
        Array([0.739], dtype=float32)

    Reference:
        Walker, Ni (2011), Anderson acceleration for fixed-point iterations, section 2.
    """
    size = past.images.shape[0]
    residual = scale * (image - x)
    norm = (residual**2).sum()
    known = jnp.arange(size, dtype=jnp.int32) < past.count
    least = jnp.where(known, (past.residuals**2).sum(1), jnp.inf).min()
    count = jnp.where(norm > WORSE**2 * least, 0, past.count)
    slot = count % size
    images, residuals = past.images.at[slot].set(image), past.residuals.at[slot].set(residual)
    known = jnp.arange(size, dtype=jnp.int32) <= count

    gram = jnp.matmul(residuals, residuals.T, precision=HIGHEST)
    trace = jnp.where(known, jnp.diagonal(gram), 0).sum()
    gram = jnp.where(known[:, None] & known, gram / jnp.where(trace > 0, trace, 1), 0)
    ridge = RIDGE * jnp.finfo(gram.dtype).eps
    gram = gram + jnp.diag(jnp.where(known, ridge, 1).astype(gram.dtype))
    share = jnp.linalg.solve(gram, known.astype(gram.dtype))
    share = share / share.sum()
    mixed = jnp.matmul(share, images, precision=HIGHEST)
    trusted = (jnp.abs(share).sum() < SUM) & jnp.isfinite(mixed).all()
    return jnp.where(trusted, mixed, image), Memory(images, residuals, count + 1)
