"""Palettes that photographs might have, made once."""

import jax
import numpy as np
import pytest

from jaxcolor.amortize import data
from jaxcolor.measure import Measure


@pytest.fixture(scope="session")
def palettes():
    """Sixteen palettes of made-up scenes, normalised."""
    made = data.scenes(jax.random.split(jax.random.key(3), 16))
    return Measure(made.points, made.weights / made.weights.sum(1, keepdims=True))


@pytest.fixture(scope="session")
def both(palettes):
    """Eight pairs of them."""
    return tuple(jax.tree.map(lambda z, s=s: z[s::2], palettes) for s in (0, 1))


@pytest.fixture(scope="session")
def first(both):
    """One pair, as NumPy arrays: x, a, y, b."""
    mu, nu = jax.tree.map(lambda z: np.asarray(z[0]), both)
    return mu.points, mu.weights, nu.points, nu.weights
