"""Fourier transforms of fields (..., c): one to three space axes, then channels."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def axes(field: Array) -> tuple[int, ...]:
    """All but the last."""
    return tuple(range(field.ndim - 1))


def transform(field: Array) -> Array:
    """The half of the unnormalised DFT that says all: frequencies >= 0 on the last space axis."""
    return jnp.fft.rfftn(field, axes=axes(field))


def inverse(spectrum: Array, shape: tuple[int, ...]) -> Array:
    """The real field of that shape, less channels, which `transform` takes to the spectrum."""
    return jnp.fft.irfftn(spectrum, s=shape, axes=range(len(shape)))


def inner(a: Array, b: Array) -> Array:
    """<a, b> = sum_c conj(a_c) b_c, at every frequency."""
    return (jnp.conj(a) * b).sum(-1)


def unit(z: Array) -> Array:
    """z / |z|, 1 where z = 0."""
    nothing = jnp.abs(z) == 0
    z = jnp.where(nothing, 1, z)
    return jnp.where(nothing, 1, z / jnp.abs(z).astype(z.dtype))


@jax.jit
def periodic(field: Array) -> Array:
    """The periodic component: the field less a smooth one that takes its jumps at the border.

    p = u - s, s(omega) = v(omega) / sum_k (2 cos(2 pi omega_k / N_k) - 2), s(0) = 0, v the jumps
    from the first to the last sample along each axis, on the first, and back on the last. So the
    periodic Laplacian of p is that of u with its border repeated, and the spectrum of p has no
    cross through its middle. A field that ends as it begins stays as it is.

    Args:
        field: u (..., c), the space axes first: one to three of them.

    Example:
        >>> u = jnp.array([[1.0], [5.0], [1.0]])
        >>> bool(jnp.allclose(periodic(u), u))
        True

    Reference:
        Moisan (2011), Periodic plus smooth image decomposition.
    """
    shape = field.shape[:-1]
    jumps = jnp.zeros_like(field)
    laplacian = jnp.zeros((1,) * len(shape), field.dtype)
    for axis, size in enumerate(shape):
        first, last = ((slice(None),) * axis + (end,) for end in (0, -1))
        jump = field[last] - field[first]
        jumps = jumps.at[first].add(jump).at[last].add(-jump)
        half = axis == len(shape) - 1
        frequency = np.fft.rfftfreq(size) if half else np.fft.fftfreq(size)
        along = -4 * np.sin(np.pi * frequency) ** 2  # 2 cos - 2, without its cancellation
        along = along.reshape(-1, *(1,) * (len(shape) - 1 - axis))
        laplacian = laplacian + jnp.asarray(along, field.dtype)
    flat = laplacian == 0  # the mean alone
    spectrum = transform(jumps)
    smooth = spectrum / jnp.where(flat, 1, laplacian)[..., None].astype(spectrum.dtype)
    return field - inverse(jnp.where(flat[..., None], 0, smooth), shape)
