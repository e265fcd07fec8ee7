"""Problems that carry their answer: measures with the map, or the value, that is known."""

import jax.numpy as jnp
import numpy as np

from jaxcolor.measure import Measure, point_cloud


def cloud(seed: int, n: int, dtype, d: int = 3, weighted: bool = True) -> Measure:
    """n normal points with correlated coordinates and, if asked, random weights."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    weights = rng.uniform(0.1, 1, n) if weighted else np.ones(n)
    return point_cloud(jnp.asarray(points, dtype), jnp.asarray(weights / weights.sum(), dtype))


def with_moments(seed: int, mean: np.ndarray, cov: np.ndarray, dtype, n: int = 500) -> Measure:
    """A cloud whose mean and covariance are exactly the ones asked for."""
    raw = np.random.default_rng(seed).normal(size=(n, len(mean)))
    raw -= raw.mean(0)
    raw = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / n)).T
    return point_cloud(jnp.asarray(raw @ np.linalg.cholesky(cov).T + mean, dtype))


def monge_kantorovich(cov0: np.ndarray, cov1: np.ndarray) -> np.ndarray:
    """The symmetric matrix A with A cov0 A = cov1, by NumPy's eigh."""

    def power(matrix, p):
        values, vectors = np.linalg.eigh(matrix)
        return (vectors * np.maximum(values, 0) ** p) @ vectors.T

    root, inverse = power(cov0, 0.5), power(cov0, -0.5)
    return inverse @ power(root @ cov1 @ root, 0.5) @ inverse


def random_covariance(seed: int, d: int = 3) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(d, d))
    return factor @ factor.T + 0.05 * np.eye(d)
