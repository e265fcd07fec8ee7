import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxcolor.iterate import Status
from jaxcolor.measure import Measure, pad
from jaxcolor.transport import gaussian

from problems import cloud, monge_kantorovich, random_covariance, with_moments  # isort: skip


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


def _gaussians(seed: int, d: int, dtype=np.float64):
    means = np.random.default_rng(seed).normal(size=(2, d))
    covariances = random_covariance(seed, d), random_covariance(seed + 50, d)
    return [jnp.asarray(x, dtype) for x in (means[0], covariances[0], means[1], covariances[1])]


def _bures(mean0, cov0, mean1, cov1) -> float:
    """Through matrix roots, by SciPy."""
    root = scipy.linalg.sqrtm(cov0)
    cross = scipy.linalg.sqrtm(root @ cov1 @ root).real
    return ((mean0 - mean1) ** 2).sum() + np.trace(cov0 + cov1 - 2 * cross)


@pytest.mark.parametrize("d", [1, 3, pytest.param(6, marks=pytest.mark.long)])
def test_distance_is_the_closed_form(d, x64):
    ends = _gaussians(d, d)
    np.testing.assert_allclose(gaussian.distance(*ends), _bures(*map(np.asarray, ends)), rtol=1e-10)
    back = gaussian.distance(*ends[2:], *ends[:2])
    np.testing.assert_allclose(gaussian.distance(*ends), back, rtol=1e-10)
    single = gaussian.distance(*(x.astype(jnp.float32) for x in ends))
    np.testing.assert_allclose(single, gaussian.distance(*ends), rtol=1e-5)


def test_near_distributions_keep_their_digits():
    """The terms of the formula are 1e5 times the distance: float32 would lose it."""
    cov = random_covariance(0)
    near = cov + 1e-2 * random_covariance(1) * np.trace(cov) / 10
    zero = jnp.zeros(3)
    found = gaussian.distance(zero, jnp.float32(cov), zero, jnp.float32(near))
    wanted = _bures(np.zeros(3), np.float64(np.float32(cov)), 0, np.float64(np.float32(near)))
    assert np.trace(cov) > 1e3 * wanted
    np.testing.assert_allclose(found, wanted, rtol=2e-3)


FLAT, LINE = np.diag([1.0, 0.0]), np.ones((2, 2))


@jax.jit
def _slopes(cov0, cov1):
    """Of distance and map together, in both covariances."""
    zero, point = jnp.zeros(2, cov0.dtype), jnp.ones((1, 2), cov0.dtype)

    def both(a, b):
        moved = gaussian.between(zero, a, zero, b)(point).sum()
        return gaussian.distance(zero, a, zero, b) + moved

    return jax.grad(both, (0, 1))(cov0, cov1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.eye(2), np.eye(2)),
        (0 * LINE, LINE),
        (LINE, 0 * LINE),
        (FLAT, LINE),
        (0 * LINE, 0 * LINE),
        (LINE, np.eye(2)),
        (FLAT, np.diag([0.0, 1.0])),
    ],
)
def test_gradients_are_finite_where_eigenvalues_meet_or_vanish(one, other, dtype):
    for slope in _slopes(jnp.asarray(one, dtype), jnp.asarray(other, dtype)):
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("d", [3, pytest.param(5, marks=pytest.mark.long)])
def test_gradients_match_differences(d, x64):
    ends = _gaussians(3, d)
    directions = _gaussians(4, d)

    @jax.jit
    def both(t):
        moved = [x + t * y for x, y in zip(ends, directions, strict=True)]
        mapped = gaussian.between(*moved)(jnp.ones((1, d)))
        return jnp.sin(mapped).sum() + gaussian.distance(*moved)

    step = 1e-6
    differences = (both(step) - both(-step)) / (2 * step)
    backward, forward = jax.jit(jax.grad(both)), jax.jit(jax.jacfwd(both))
    np.testing.assert_allclose(backward(0.0), differences, rtol=1e-6)
    np.testing.assert_allclose(forward(0.0), differences, rtol=1e-6)


def test_a_map_from_a_line_exists_where_kernel_and_image_meet_in_zero(dtype):
    zero = jnp.zeros(2, dtype)
    flat, line = jnp.asarray(FLAT, dtype), jnp.asarray(LINE, dtype)
    matrix = np.asarray(gaussian.between(zero, flat, zero, line).matrix)
    np.testing.assert_allclose(matrix @ FLAT @ matrix, LINE, atol=1e-5)
    assert np.linalg.eigvalsh(matrix).min() > 0  # and collapses nothing else
    assert int(gaussian.info(flat, line).status) == Status.OK
    lost = gaussian.info(flat, jnp.eye(2, dtype=dtype))
    assert int(lost.status) == Status.INFEASIBLE
    np.testing.assert_allclose(lost.error, 0.5, atol=1e-5)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_the_geodesic_has_constant_speed(t, x64):
    ends = _gaussians(5, 3)
    mean, covariance = gaussian.geodesic(*ends, t)
    whole = gaussian.distance(*ends)
    before = gaussian.distance(*ends[:2], mean, covariance)
    np.testing.assert_allclose(before, t**2 * whole, rtol=1e-8, atol=1e-12)
    after = gaussian.distance(mean, covariance, *ends[2:])
    np.testing.assert_allclose(after, (1 - t) ** 2 * whole, rtol=1e-8, atol=1e-12)


def test_the_geodesic_is_the_law_of_the_map(x64):
    ends = _gaussians(6, 3)
    shared = 0.6 * np.eye(3) + 0.4 * np.asarray(gaussian.between(*ends).matrix)
    _, covariance = gaussian.geodesic(*ends, 0.4)
    np.testing.assert_allclose(covariance, shared @ ends[1] @ shared, rtol=1e-9)


@pytest.mark.parametrize("d", [3, pytest.param(5, marks=pytest.mark.long)])
def test_the_barycenter_is_the_fixed_point(d, x64):
    covariances = np.stack([random_covariance(k, d) for k in range(4)])
    weights = jnp.asarray([0.4, 0.3, 0.2, 0.1])
    _, found = gaussian.barycenter(jnp.zeros((4, d)), jnp.asarray(covariances), weights)
    root = scipy.linalg.sqrtm(np.asarray(found))
    again = [
        w * scipy.linalg.sqrtm(root @ c @ root) for w, c in zip(weights, covariances, strict=True)
    ]
    np.testing.assert_allclose(sum(again), found, atol=1e-10 * np.abs(found).max())


def test_the_barycenter_of_two_is_on_the_geodesic(x64):
    ends = _gaussians(7, 3)
    mean, covariance = gaussian.barycenter(
        jnp.stack(ends[::2]), jnp.stack(ends[1::2]), jnp.asarray([0.75, 0.25])
    )
    between = gaussian.geodesic(*ends, 0.25)
    np.testing.assert_allclose(mean, between[0], rtol=1e-9)
    np.testing.assert_allclose(covariance, between[1], rtol=1e-8)


@pytest.mark.slow
def test_peers_agree(x64):
    from jaxcolor.transport.backends import import_pot

    pot = import_pot()
    mean0, cov0, mean1, cov1 = ends = _gaussians(8, 3)
    peer = pot.gaussian.bures_wasserstein_distance(*map(np.asarray, (mean0, mean1, cov0, cov1)))
    np.testing.assert_allclose(gaussian.distance(*ends), peer**2, rtol=1e-9)
    matrix, offset = pot.gaussian.bures_wasserstein_mapping(
        *map(np.asarray, (mean0, mean1, cov0, cov1))
    )
    fitted = gaussian.between(*ends)
    np.testing.assert_allclose(fitted.matrix, matrix, rtol=1e-8)
    np.testing.assert_allclose(fitted.offset, np.ravel(offset), rtol=1e-8)
    centre = pot.gaussian.bures_wasserstein_barycenter(
        np.stack([mean0, mean1]), np.stack([cov0, cov1]), np.array([0.3, 0.7]), eps=1e-12
    )
    ours = gaussian.barycenter(jnp.stack(ends[::2]), jnp.stack(ends[1::2]), jnp.asarray([0.3, 0.7]))
    for one, other in zip(ours, centre[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_published_result_is_reproduced(shared_data):
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
