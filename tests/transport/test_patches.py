"""Gaussian patches against their definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.transport.patches import patch_model, sample


@pytest.mark.usefixtures("x64")
def test_moments_are_those_of_all_patches():
    picture = np.random.default_rng(0).normal(5, 1, (6, 7, 2))
    windows = np.lib.stride_tricks.sliding_window_view(picture, (3, 3), (0, 1))
    rows = windows.transpose(0, 1, 3, 4, 2).reshape(-1, 18)
    mean, covariance = patch_model(jnp.asarray(picture), 3)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(rows.T, bias=True), atol=1e-12)


def test_draws_have_them():
    root = np.random.default_rng(0).normal(size=(4, 3))  # of rank 3: only a ridge has a root
    mean, covariance = jnp.arange(4.0), jnp.asarray(root @ root.T, jnp.float32)
    draws = np.asarray(sample(mean, covariance, jax.random.key(0), 20_000), np.float64)
    error = 4 * np.asarray(covariance).max() / 20_000**0.5
    np.testing.assert_allclose(draws.mean(0), mean, atol=error)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=2 * error)


def test_patches_must_fit():
    with pytest.raises(ValueError, match="no patch of side 5"):
        patch_model(jnp.zeros((4, 9, 1)), 5)
