import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcolor.measure import Measure, pad, padded_size, point_cloud


def test_weights_default_to_uniform(dtype):
    mu = point_cloud(jnp.zeros((4, 3), dtype))
    assert mu.points.dtype == mu.weights.dtype == dtype
    np.testing.assert_allclose(mu.weights, 0.25)


@pytest.mark.parametrize(
    ("points", "weights", "says"),
    [
        (np.zeros(3), None, r"\(n, d\)"),
        (np.zeros((0, 3)), None, "n >= 1"),
        (np.zeros((2, 3)), np.ones(3), "to match points"),
        (np.full((2, 3), np.nan), None, "finite"),
        (np.zeros((2, 3)), np.array([1.0, -1.0]), ">= 0"),
        (np.zeros((2, 3)), np.zeros(2), "at least one positive"),
    ],
)
def test_bad_input_is_named(points, weights, says):
    with pytest.raises(ValueError, match=says):
        point_cloud(points.astype(np.float32), weights)


def test_at_least_float32():
    for kind in (np.int32, np.float16, np.uint8):
        assert point_cloud(np.ones((2, 3), kind)).points.dtype == np.float32


def test_is_a_pytree_and_passes_through_jit_and_vmap():
    mu = point_cloud(np.ones((2, 3), np.float32))
    doubled = jax.jit(lambda m: jax.tree.map(lambda x: 2 * x, m))(mu)
    assert isinstance(doubled, Measure)
    np.testing.assert_allclose(doubled.points, 2)
    masses = jax.vmap(lambda m: m.weights.sum())(jax.tree.map(lambda x: jnp.stack([x, x]), mu))
    np.testing.assert_allclose(masses, [1, 1])


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.integers(1, 10**7))
def test_padded_size_is_the_least_of_its_kind(n):
    size = padded_size(n, 2)
    kinds = [2**k for k in range(1, 25)] + [3 * 2**k for k in range(24)]
    assert size == min(k for k in kinds if k >= n)


def test_pad_adds_points_without_mass():
    mu = pad(point_cloud(np.array([[1.0, 2.0]], np.float32)), 4)
    assert mu.points.shape == (4, 2)
    np.testing.assert_array_equal(mu.weights, [1, 0, 0, 0])
    with pytest.raises(ValueError, match="at least 4"):
        pad(mu, 3)
