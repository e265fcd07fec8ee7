import jax
import numpy as np
import pytest

from jaxcolor.transport import directions

KEY = jax.random.key(0)
DRAWS = [directions.independent, directions.orthonormal]


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize(("count", "d"), [(1, 3), (3, 3), (7, 3), (4, 2), (5, 1), (9, 5)])
def test_unit_vectors_of_any_number_and_dimension(draw, count, d):
    theta = np.asarray(draw(KEY, count, d))
    assert theta.shape == (count, d)
    np.testing.assert_allclose((theta**2).sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("draw", DRAWS)
def test_uniform_on_the_sphere(draw):
    theta = np.asarray(draw(KEY, 3000, 3), float)
    np.testing.assert_allclose(theta.mean(0), 0, atol=0.04)
    np.testing.assert_allclose(theta.T @ theta / len(theta), np.eye(3) / 3, atol=0.02)
    np.testing.assert_allclose((theta**4).mean(0), 1 / 5, atol=0.02)


def test_orthonormal_within_each_frame():
    theta = np.asarray(directions.orthonormal(KEY, 8, 3))
    for frame in (theta[:3], theta[3:6]):
        np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-5)
    assert abs(theta[6] @ theta[7]) < 1e-5


@pytest.mark.parametrize(("d", "degrees"), [(2, (2, 4)), (3, (2, 4))])
def test_quadrature_integrates_even_polynomials(d, degrees):
    """Means of powers of one coordinate: 1/d, 3/(d(d + 2)); better than as many random ones."""
    theta = np.asarray(directions.quadrature(64, d), float)
    np.testing.assert_allclose((theta**2).sum(1), 1, rtol=1e-5)
    exact = {2: 1 / d, 4: 3 / (d * (d + 2))}
    for degree in degrees:
        np.testing.assert_allclose((theta**degree).mean(0), exact[degree], atol=6e-3)
    np.testing.assert_allclose(theta.T @ theta / 64, np.eye(d) / d, atol=6e-3)


def test_quadrature_on_the_line_and_beyond_space():
    np.testing.assert_array_equal(directions.quadrature(3, 1), np.ones((3, 1)))
    with pytest.raises(ValueError, match="1 to 3 dimensions, got 4"):
        directions.quadrature(3, 4)


def test_frames_are_orthonormal_and_far_apart(dtype):
    drawn = np.asarray(directions.frames(jax.random.key(3), 12, 3))
    np.testing.assert_allclose(
        drawn @ drawn.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (12, 3, 3)), atol=1e-5
    )
    axes = drawn.reshape(-1, 3)
    cosine = np.abs(axes @ axes.T)[~np.kron(np.eye(12, dtype=bool), np.ones((3, 3), bool))]
    independent = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 3, 3)))[0].reshape(-1, 3)
    loose = np.abs(independent @ independent.T)
    loose = loose[~np.kron(np.eye(12, dtype=bool), np.ones((3, 3), bool))]
    assert (cosine**8).mean() < (loose**8).mean()
