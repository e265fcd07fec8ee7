import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree

from jaxcolor.measure import Measure, pad, point_cloud
from jaxcolor.transport import quantize as qz

from problems import cloud  # isort: skip

KEY = jax.random.key(7)


def distortion(points, weights, centres) -> float:
    """Mean squared distance to the nearest centre, by a tree."""
    distance = cKDTree(np.asarray(centres, float)).query(np.asarray(points, float))[0]
    return float(np.average(distance**2, weights=np.asarray(weights, float)))


def reference_k_means(points, weights, k: int, seed: int, steps: int) -> np.ndarray:
    """Greedy k-means++ and Lloyd in NumPy, float64, as scikit-learn does it."""
    rng, trials = np.random.default_rng(seed), 2 + int(np.log(k))
    centres = [points[rng.choice(len(points), p=weights / weights.sum())]]
    nearest = ((points - centres[0]) ** 2).sum(1)
    for _ in range(k - 1):
        masses = weights * nearest
        drawn = rng.choice(len(points), trials, p=masses / masses.sum())
        left = np.minimum(nearest, ((points[None] - points[drawn, None]) ** 2).sum(2))
        best = (left @ weights).argmin()
        nearest, centres = left[best], [*centres, points[drawn[best]]]
    centres = np.array(centres)
    for _ in range(steps):
        labels = cKDTree(centres).query(points)[1]
        mass = np.bincount(labels, weights, k)
        for c in range(points.shape[1]):
            moment = np.bincount(labels, weights * points[:, c], k)
            centres[:, c] = np.where(mass > 0, moment / np.where(mass > 0, mass, 1), centres[:, c])
    return centres


def coloured(photographs, n=4000):
    """Distinct colours of a photograph, weighted unevenly."""
    points = np.unique(photographs[0].reshape(-1, 3), axis=0) / 255
    rng = np.random.default_rng(0)
    points = points[rng.permutation(len(points))[:n]].astype(np.float32)
    return point_cloud(points, rng.exponential(size=len(points)).astype(np.float32))


@pytest.mark.parametrize("k", [8, 64, pytest.param(512, marks=pytest.mark.slow)])
def test_as_good_as_a_reference(k, photographs):
    mu = coloured(photographs)
    points, weights = np.asarray(mu.points, float), np.asarray(mu.weights, float)
    ours, theirs = (
        np.median([distortion(points, weights, solve(seed)) for seed in range(5)])
        for solve in (
            lambda seed: qz.quantize(mu, k, jax.random.key(seed)).points,
            lambda seed: reference_k_means(points, weights, k, seed, 20),
        )
    )
    assert ours <= 1.05 * theirs


@pytest.mark.parametrize(("n", "k", "d"), [(1, 1, 3), (40, 1, 1), (300, 20, 3), (700, 50, 5)])
def test_mass_and_mean_are_conserved(n, k, d, dtype):
    mu = cloud(0, n, dtype, d=d)
    mu = Measure(mu.points + jnp.asarray(100, dtype), jnp.asarray(3, dtype) * mu.weights)
    nu = qz.quantize(mu, k, KEY)
    assert (nu.points.shape, nu.weights.shape) == ((k, d), (k,))
    assert nu.points.dtype == nu.weights.dtype == dtype
    np.testing.assert_allclose(nu.weights.sum(), 3, rtol=1e-5)
    means = [np.average(one.points, weights=one.weights, axis=0) for one in (mu, nu)]
    np.testing.assert_allclose(*means, rtol=3e-6)


def test_a_new_point_is_the_mean_of_what_it_stands_for(double):
    """Lloyd's fixed point, once it is reached: centres are means, masses sums of weights."""
    mu = cloud(1, 200, double)
    nu = qz.quantize(mu, 9, KEY, steps=100)
    labels = np.asarray(qz.assign(mu.points, nu.points))
    for j in range(9):
        own = labels == j
        np.testing.assert_allclose(nu.weights[j], mu.weights[own].sum(), rtol=1e-12)
        mean = np.average(mu.points[own], weights=mu.weights[own], axis=0)
        np.testing.assert_allclose(nu.points[j], mean, rtol=1e-9)


@pytest.mark.slow
def test_every_step_lowers_the_distortion():
    mu = cloud(2, 600, np.float32)
    left = [
        distortion(mu.points, mu.weights, qz.quantize(mu, 24, KEY, steps=steps).points)
        for steps in (1, 2, 4, 8, 20)
    ]
    assert (np.diff(left) <= 1e-6 * left[0]).all()
    assert left[-1] < 0.98 * left[0]


def test_clusters_far_apart_are_found(dtype):
    """A draw that starts in the same cluster twice could never repair it."""
    rng = np.random.default_rng(3)
    homes = 100 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    points = (homes[:, None] + rng.normal(size=(5, 40, 3))).reshape(-1, 3)
    mu = point_cloud(jnp.asarray(points, dtype))
    for seed in range(10):
        nu = qz.quantize(mu, 5, jax.random.key(seed), steps=3)
        np.testing.assert_allclose(nu.weights, 0.2, rtol=1e-5)
        order = cKDTree(nu.points).query(homes)[1]
        assert sorted(order) == [0, 1, 2, 3, 4]


def test_one_key_one_result():
    mu = cloud(4, 500, np.float32)
    first, again, other = (qz.quantize(mu, 30, jax.random.key(s)) for s in (1, 1, 2))
    chex.assert_trees_all_equal(first, again)
    assert not np.array_equal(first.points, other.points)


def test_batches_are_quantized_each_on_its_own():
    clouds = [cloud(seed, 300, np.float32) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaf: jnp.stack(leaf), *clouds)
    keys = jax.random.split(KEY, 3)
    together = jax.vmap(lambda mu, key: qz.quantize(mu, 12, key))(stacked, keys)
    alone = [qz.quantize(mu, 12, key) for mu, key in zip(clouds, keys, strict=True)]
    looped = jax.tree.map(lambda *leaf: jnp.stack(leaf), *alone)
    chex.assert_trees_all_close(together, looped, rtol=1e-4, atol=1e-5)
    jitted = jax.jit(lambda mu, key: qz.quantize(mu, 12, key))(clouds[0], keys[0])
    chex.assert_trees_all_close(jitted, alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [3, 4, 10])
def test_more_points_than_there_are_colours(k, dtype):
    """Three distinct points: they are met exactly, whatever is left over weighs nothing."""
    distinct = np.array([[0.0, 0, 0], [1, 2, 3], [-4, 5, 6]])
    which = np.random.default_rng(0).integers(0, 3, 50)
    mu = point_cloud(jnp.asarray(distinct[which], dtype))
    nu = qz.quantize(mu, k, KEY)
    some = np.asarray(nu.weights) > 0
    assert some.sum() == 3
    assert np.isfinite(nu.points).all()
    order = cKDTree(distinct).query(nu.points)
    np.testing.assert_allclose(order[0], 0, atol=1e-5)
    np.testing.assert_allclose(nu.weights[some], np.bincount(which)[order[1][some]] / 50, rtol=1e-5)


def test_more_points_than_points(dtype):
    mu = cloud(5, 6, dtype)
    nu = qz.quantize(mu, 9, KEY)
    assert (np.asarray(nu.weights) > 0).sum() == 6
    found = cKDTree(nu.points).query(mu.points)
    np.testing.assert_allclose(found[0], 0, atol=1e-5)
    np.testing.assert_allclose(nu.weights[found[1]], mu.weights, rtol=1e-5)


def test_one_colour_alone(dtype):
    mu = point_cloud(jnp.full((20, 3), 0.3, dtype))
    nu = qz.quantize(mu, 4, KEY)
    np.testing.assert_allclose(nu.points, 0.3, rtol=1e-6)
    np.testing.assert_allclose(np.sort(nu.weights), [0, 0, 0, 1], rtol=1e-5)


def test_weightless_points_are_never_drawn(dtype):
    """However far they are, and however many centres are asked for."""
    mu = cloud(6, 60, dtype)
    far = jnp.asarray(1e3, dtype) + jnp.arange(120, dtype=dtype).reshape(40, 3)
    full = Measure(jnp.concatenate([far[:20], mu.points, far[20:]]), jnp.pad(mu.weights, (20, 20)))
    for k in (5, 60, 70):
        nu = qz.quantize(full, k, KEY)
        assert jnp.abs(nu.points).max() < 100
        np.testing.assert_allclose(nu.weights.sum(), 1, rtol=1e-5)


def test_padding_does_not_change_the_result(dtype):
    mu = cloud(7, 300, dtype)
    plain, padded = (qz.quantize(one, 16, KEY) for one in (mu, pad(mu, 384)))
    chex.assert_trees_all_close(plain, padded, rtol=1e-4, atol=1e-5)


def test_weights_count_as_repetitions():
    """A point of weight three is three points."""
    rng = np.random.default_rng(8)
    points, counts = rng.normal(size=(80, 2)).astype(np.float32), rng.integers(1, 4, 80)
    weighted = point_cloud(points, counts.astype(np.float32))
    repeated = np.repeat(points, counts, axis=0)
    nu = qz.quantize(weighted, 6, KEY, steps=50)
    np.testing.assert_allclose(
        distortion(points, counts, nu.points),
        distortion(repeated, np.ones(counts.sum()), nu.points),
    )
    labels = np.asarray(qz.assign(repeated, nu.points))
    np.testing.assert_allclose(nu.weights, np.bincount(labels, minlength=6), rtol=1e-5)


def test_draws_follow_the_masses():
    """The first centre, over many keys, against the weights: also beyond one row of sums."""
    masses = np.random.default_rng(0).exponential(size=600).astype(np.float32)
    masses[::3] = 0
    levels = (jnp.arange(200_000) + 0.5) / 200_000
    draw = jax.jit(jax.vmap(qz._draw, (None, 0)))
    drawn = np.bincount(draw(masses, levels), minlength=600) / 200_000
    np.testing.assert_allclose(drawn, masses / masses.sum(), atol=2e-5)
    ends = draw(masses, jnp.array([0.0, 1.0, 1.0 - 2.0**-24]))
    np.testing.assert_array_equal(ends, [1, 599, 599])
    assert qz._draw(jnp.zeros(10), jnp.float32(0.5)) in range(10)


def test_compress_leaves_small_measures_alone():
    mu = cloud(9, 100, np.float32)
    assert qz.compress(mu, key=KEY) is mu
    assert qz.compress(mu, 100, key=KEY) is mu
    chex.assert_trees_all_equal(qz.compress(mu, 40, key=KEY), qz.quantize(mu, 40, KEY))


def test_assign_finds_the_nearest(dtype):
    mu, centres = cloud(10, 200, dtype), cloud(11, 30, dtype).points
    expected = cKDTree(centres).query(mu.points)[1]
    np.testing.assert_array_equal(qz.assign(mu.points, centres), expected)


@pytest.mark.parametrize(("k", "steps"), [(0, 20), (-1, 20), (4, 0)])
def test_nothing_to_do_is_an_error(k, steps):
    with pytest.raises(ValueError, match="at least 1"):
        qz.quantize(cloud(12, 10, np.float32), k, KEY, steps=steps)


def test_a_second_call_compiles_nothing():
    mu = cloud(13, 90, np.float32)
    qz.quantize(mu, 7, KEY)
    before = qz.quantize._cache_size()
    qz.quantize(cloud(14, 90, np.float32), 7, jax.random.key(1))
    assert qz.quantize._cache_size() == before
