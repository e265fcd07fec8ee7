import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.transport.spectral import factor, singular

from problems import random_covariance  # isort: skip


def tight(dtype) -> float:
    return 1e-13 if dtype == np.float64 else 3e-6


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_factors_are_those_of_eigh(d, dtype):
    for seed in range(3):
        matrix = random_covariance(seed, d)
        columns = np.asarray(factor(jnp.asarray(matrix, dtype)))
        np.testing.assert_allclose(
            columns @ columns.T, matrix, atol=tight(dtype) * np.abs(matrix).max()
        )
        values = np.sort((columns**2).sum(0))
        np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix), rtol=30 * tight(dtype))
        between = columns.T @ columns - np.diag((columns**2).sum(0))
        assert np.abs(between).max() < tight(dtype) * values.max()


@pytest.mark.parametrize("diagonal", [[2.0, 2.0, 2.0], [0.0, 0.0, 0.0], [1.0, 0.0, 4.0]])
def test_factors_of_diagonal_matrices(diagonal, dtype):
    columns = np.asarray(factor(jnp.diag(jnp.asarray(diagonal, dtype))))
    np.testing.assert_allclose(columns, np.diag(np.sqrt(diagonal)), rtol=1e-6)


def graded(seed: int, sigma: list[float]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    d = len(sigma)
    left, right = (np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(2))
    return left * np.asarray(sigma) @ right.T


@pytest.mark.parametrize(
    "sigma",
    [[3.0], [2.0, 0.1], [1.0, 1.0, 1.0], [5.0, 1e-2, 1e-4], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]],
)
@pytest.mark.parametrize("size", [1.0, 1e-18])
def test_singular_vectors(sigma, size, dtype):
    for seed in range(3):
        matrix = graded(seed, sigma) * size
        left, values, right = map(np.asarray, singular(jnp.asarray(matrix, dtype)))
        eye = np.eye(len(sigma))
        some = np.diag(values > 0)
        np.testing.assert_allclose(left.T @ left, some, atol=10 * tight(dtype))
        np.testing.assert_allclose(right.T @ right, eye, atol=10 * tight(dtype))
        np.testing.assert_allclose(
            left * values @ right.T, matrix, atol=tight(dtype) * size * max(sigma)
        )
        np.testing.assert_allclose(
            np.sort(values), np.sort(sigma) * size, atol=tight(dtype) * size * max(sigma)
        )


def test_nothing_has_singular_vectors_too(dtype):
    left, values, right = singular(jnp.zeros((3, 3), dtype))
    for zero in (left, values):
        np.testing.assert_array_equal(zero, 0)
    np.testing.assert_allclose(right.T @ right, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("off", [1e-30, 1e-23, 1e-18, 1e-8])
def test_tiny_entries_do_not_underflow(off, dtype):
    for size in (1e-6, 1.0, 1e12):
        matrix = size * np.array([[1.0, 0, 0], [0, off, off], [0, off, off]])
        columns = np.asarray(factor(jnp.asarray(matrix, dtype)), np.float64)
        assert np.isfinite(columns).all()
        # squares of what is below 1e-19 of the greatest underflow; nothing else is lost
        np.testing.assert_allclose(columns @ columns.T, matrix, rtol=1e-5, atol=1e-18 * size)
