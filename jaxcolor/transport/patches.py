"""Gaussian model of small patches, drawn from by Cholesky."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST

RIDGE = 1e-5  # of the mean variance: fewer patches than dimensions, or flat ones, have a root too


@jax.jit(static_argnames="side")
def patch_model(exemplar: Array, side: int) -> tuple[Array, Array]:
    """Mean (d,) and covariance (d, d) of all patches of an exemplar, d = side^2 c.

    Args:
        exemplar: (H, W, c) floats.
        side: of the patches, in pixels (static); each is read row by row, (side, side, c).

    Raises:
        ValueError: where no patch fits.

    Example:
        >>> mean, covariance = patch_model(jnp.eye(4)[..., None], 2)
        >>> mean.shape, covariance.shape
        ((4,), (4, 4))

    Reference:
        Peyre, optimal transport in imaging sciences (slides), texture synthesis.
    """
    if exemplar.ndim != 3 or not 1 <= side <= min(exemplar.shape[:2]):
        raise ValueError(f"no patch of side {side} fits into an exemplar {exemplar.shape}")
    height, width, channels = exemplar.shape
    rows, columns, d = height - side + 1, width - side + 1, side**2 * channels
    shift = exemplar.mean((0, 1))
    centred = exemplar - shift

    def add(top: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        strip = jax.lax.dynamic_slice_in_dim(centred, top, side)
        parts = [strip[:, k : k + columns] for k in range(side)]
        patches = jnp.stack(parts, 2).transpose(1, 0, 2, 3).reshape(columns, d)
        products = jnp.matmul(patches.T, patches, precision=HIGHEST)
        return sums[0] + patches.sum(0), sums[1] + products

    start = jnp.zeros(d, exemplar.dtype), jnp.zeros((d, d), exemplar.dtype)
    first, second = (part / (rows * columns) for part in jax.lax.fori_loop(0, rows, add, start))
    return first + jnp.tile(shift, side**2), second - jnp.outer(first, first)


@jax.jit(static_argnames="count")
def sample(mean: Array, covariance: Array, key: Array, count: int) -> Array:
    """Draws (count, d) of N(mean, covariance): m + L z, L L^T = covariance and a small ridge.

    Args:
        mean: (d,). covariance: (d, d), symmetric, positive semi-definite.
        key: typed PRNG key. count: how many (static).

    Example:
        >>> sample(jnp.ones(2), jnp.zeros((2, 2)), jax.random.key(0), 3).round(4)
        Array([[1., 1.],
               [1., 1.],
               [1., 1.]], dtype=float32)

    Reference:
        As `patch_model`.
    """
    d = len(mean)
    # beside the ridge, what keeps the root of nothing at all finite
    ridge = RIDGE * jnp.trace(covariance) / d + jnp.finfo(mean.dtype).tiny
    root = jnp.linalg.cholesky(covariance + ridge * jnp.eye(d, dtype=mean.dtype))
    return mean + jnp.matmul(
        jax.random.normal(key, (count, d), mean.dtype), root.T, precision=HIGHEST
    )
