"""Small clouds for the fused GPU kernel, in float32, and their exponents in NumPy's float64."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from problems import squared_distances  # isort: skip


def clouds(n, m, d=3):
    """Float32 colours x (n, d), y (m, d), exponents h (m,), some of them -infinity."""
    rng = np.random.default_rng(n + d)
    x, y, h = rng.random((n, d)), rng.random((m, d)), rng.normal(size=m)
    h[1::3] = -np.inf
    return tuple(jnp.asarray(z, jnp.float32) for z in (x, y, h))


def exponents(x, y, h, epsilon):
    x, y, h = (np.asarray(z, np.float64) for z in (x, y, h))
    return h - squared_distances(x, y) / epsilon


def close(got, want, rtol=2e-6):
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max())


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def kernels_in(function, *arguments) -> int:
    """How many Mosaic kernels a program for CUDA calls."""
    traced = jax.jit(function).trace(*arguments)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    return len(re.findall(r"custom_call @mosaic_gpu", text))
