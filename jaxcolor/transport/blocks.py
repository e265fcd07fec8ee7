"""Rows some at a time: as many as stay in cache, and are enough to share between cores."""

import jax
import jax.numpy as jnp
from jax import Array

BLOCK = 512  # rows at once, at most
EXPONENTS = 2**21  # numbers at once, about


def by_blocks(function, rows, width: int):
    """function on all rows, some at a time; its derivatives recompute what they need.

    Args:
        function: of a pytree of arrays (block, ...), giving arrays (block, ...).
        rows: a pytree of arrays (n, ...).
        width: how many numbers it makes of each row.

    Example:
        >>> by_blocks(lambda x: x**2, jnp.arange(3.0), 1)
        Array([0., 1., 4.], dtype=float32)
    """
    n = jax.tree.leaves(rows)[0].shape[0]
    size = rows_at_once(width)
    if n <= size:
        return function(rows)
    blocks = jax.tree.map(lambda leaf: in_blocks(leaf, size), rows)
    out = jax.lax.map(jax.checkpoint(function), blocks)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:n], out)


def rows_at_once(width: int) -> int:
    """A power of two within 16 .. BLOCK whose rows hold about `EXPONENTS` numbers."""
    return min(BLOCK, max(16, 1 << (max(EXPONENTS // width, 1)).bit_length() - 1))


def in_blocks(leaf: Array, size: int) -> Array:
    """(n, ...) -> (blocks, size, ...), the last row repeated."""
    blocks = -(-leaf.shape[0] // size)
    rest = jnp.broadcast_to(leaf[-1:], (blocks * size - leaf.shape[0], *leaf.shape[1:]))
    return jnp.concatenate([leaf, rest]).reshape(blocks, size, *leaf.shape[1:])
