import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.measure import Measure, pad
from jaxcolor.transport import gaussian

from problems import cloud, monge_kantorovich, random_covariance, with_moments  # isort: skip


@pytest.mark.parametrize("d", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_jacobi_agrees_with_eigh(d, seed, dtype):
    matrix = random_covariance(seed, d)
    values, vectors = gaussian.eigen(jnp.asarray(matrix, dtype))
    tight = 1e-13 if dtype == np.float64 else 3e-6
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(matrix), rtol=tight * 10)
    rebuilt = (vectors * values[None]) @ vectors.T
    np.testing.assert_allclose(rebuilt, matrix, atol=tight * np.abs(matrix).max() * 4)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(d), atol=tight * 4)


def test_jacobi_of_diagonal_and_equal_eigenvalues(dtype):
    for diagonal in ([2.0, 2.0, 2.0], [0.0, 0.0, 0.0], [1.0, 0.0, 3.0]):
        values, vectors = gaussian.eigen(jnp.diag(jnp.asarray(diagonal, dtype)))
        np.testing.assert_allclose(values, diagonal)
        np.testing.assert_allclose(vectors, np.eye(3))


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1.0, 1e12])
@pytest.mark.parametrize("off", [1e-30, 1e-23, 1e-18, 1e-8])
def test_jacobi_survives_tiny_entries(off, size, dtype):
    """4 off^2 underflows in float32 where off does not."""
    for corner in (0.0, 1.0):
        matrix = size * np.array([[corner, 0, 0], [0, 0, off], [0, off, 0]])
        values, vectors = gaussian.eigen(jnp.asarray(matrix, dtype))
        assert jnp.isfinite(values).all()
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-5)
        assert np.abs(values).max() <= 1.0001 * max(np.abs(matrix).max(), 1e-37)


def test_grey_onto_grey_in_oklab_is_finite():
    """Rank one, with rounding for the rest: what a grey picture is in a space with chroma."""
    from jaxcolor import transfer

    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 256, (2, 16, 16)).astype(np.uint8)
        result = transfer(a, b, method="gaussian", space="oklab")
        assert abs(result.mean() - b.mean()) < 12


@pytest.mark.parametrize("seed", range(5))
def test_the_map_is_the_closed_form(seed, dtype):
    cov0, cov1 = random_covariance(seed), random_covariance(seed + 50)
    mean0, mean1 = np.random.default_rng(seed).normal(size=(2, 3))
    source, target = (
        with_moments(seed, mean0, cov0, dtype),
        with_moments(seed + 1, mean1, cov1, dtype),
    )
    fitted = gaussian.solve(source, target)
    tight = 1e-9 if dtype == np.float64 else 3e-3
    np.testing.assert_allclose(fitted.matrix, monge_kantorovich(cov0, cov1), rtol=tight, atol=tight)
    moved = Measure(fitted(source.points), source.weights)
    mean, cov = gaussian.moments(moved)
    np.testing.assert_allclose(mean, mean1, atol=tight)
    np.testing.assert_allclose(cov, cov1, rtol=tight, atol=tight)
    np.testing.assert_allclose(fitted.matrix, fitted.matrix.T, atol=tight)
    assert np.linalg.eigvalsh(np.asarray(fitted.matrix, np.float64)).min() > -tight


def test_equal_measures_give_the_identity(dtype):
    mu = cloud(0, 100, dtype)
    fitted = gaussian.solve(mu, mu)
    np.testing.assert_allclose(fitted(mu.points), mu.points, atol=1e-4)


def test_a_direction_without_spread_keeps_slope_one(dtype):
    flat = jnp.diag(jnp.asarray([1.0, 0.0, 4.0], dtype))
    zero = jnp.zeros(3, dtype)
    fitted = gaussian.between(zero, flat, zero, jnp.eye(3, dtype=dtype))
    np.testing.assert_allclose(fitted.matrix, np.diag([1.0, 1.0, 0.5]), atol=1e-6)
    diagonal = gaussian.diagonal(zero, flat, zero, jnp.eye(3, dtype=dtype))
    np.testing.assert_allclose(diagonal.matrix, np.diag([1.0, 1.0, 0.5]), atol=1e-6)


def test_flat_pictures_move_by_their_means(dtype):
    a, b = jnp.full(3, 0.2, dtype), jnp.full(3, 0.7, dtype)
    nothing = jnp.zeros((3, 3), dtype)
    for solver in (gaussian.between, gaussian.diagonal):
        np.testing.assert_allclose(solver(a, nothing, b, nothing)(a[None])[0], b, atol=1e-6)
        np.testing.assert_allclose(
            solver(a, jnp.eye(3, dtype=dtype), b, nothing)(a[None] + a[None])[0], b, atol=1e-6
        )


def test_diagonal_matches_mean_and_deviation(dtype):
    source, target = cloud(0, 300, dtype), cloud(1, 300, dtype)
    fitted = gaussian.diagonal(*gaussian.moments(source), *gaussian.moments(target))
    mean, cov = gaussian.moments(Measure(fitted(source.points), source.weights))
    goal_mean, goal_cov = gaussian.moments(target)
    np.testing.assert_allclose(mean, goal_mean, atol=1e-4)
    np.testing.assert_allclose(jnp.diagonal(cov), jnp.diagonal(goal_cov), rtol=1e-3)


def test_padding_is_inert(dtype):
    source, target = cloud(0, 100, dtype), cloud(1, 80, dtype)
    chex.assert_trees_all_close(
        gaussian.solve(source, target), gaussian.solve(pad(source), pad(target)), rtol=1e-4
    )


def test_vmap_is_a_loop():
    covs = [jnp.asarray(random_covariance(k), jnp.float32) for k in range(6)]
    zero = jnp.zeros(3)
    batch = jax.vmap(lambda a, b: gaussian.between(zero, a, zero, b))(
        jnp.stack(covs[:3]), jnp.stack(covs[3:])
    )
    for k in range(3):
        one = gaussian.between(zero, covs[k], zero, covs[k + 3])
        np.testing.assert_allclose(batch.matrix[k], one.matrix, atol=1e-4)


def test_gradient_matches_differences(x64):
    cov0, cov1 = (jnp.asarray(random_covariance(k)) for k in (0, 1))
    zero = jnp.zeros(3)

    def value(c):
        return gaussian.between(zero, c, zero, cov1).matrix[0, 1]

    direction = jnp.asarray(random_covariance(2))
    step = 1e-6
    differences = (value(cov0 + step * direction) - value(cov0 - step * direction)) / (2 * step)
    derivative = (jax.grad(value)(cov0) * direction).sum()
    np.testing.assert_allclose(derivative, differences, rtol=1e-6)


def test_published_result_is_reproduced(shared_data, optimized):
    """Pitie's own picture: every pixel in float64, nearly every one in float32."""
    import jaxcolor

    house, plain = shared_data("scotland_house.png"), shared_data("scotland_plain.png")
    published = shared_data("scotland_MKL.png").astype(int)
    with jax.enable_x64(True):
        exact = jaxcolor.transfer(house / 255, plain / 255, method="gaussian", space="srgb")
    assert exact.dtype == np.float64
    np.testing.assert_array_equal(np.rint(exact * 255), published)
    single = jaxcolor.transfer(house, plain, method="gaussian", space="srgb").astype(int)
    gap = np.abs(single - published).max(-1)
    assert gap.max() <= 1
    assert np.mean(gap > 0) <= 1e-3
