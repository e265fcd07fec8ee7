"""Gaussian textures against Fourier-free oracles, closed forms and their own statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm

from jaxcolor.transport.spotnoise import (
    SpotNoise,
    align,
    analyse,
    barycenter,
    distance,
    geodesic,
    periodic,
    random_phase,
    synthesize,
)

SHAPES = [(7, 8, 3), (3, 5, 4, 2)]


def field(seed, shape=(7, 8, 3), dtype=np.float64):
    """Correlated in space, so that spectra differ, and not periodic."""
    rng = np.random.default_rng(seed)
    rough = rng.normal(size=shape)
    walk = rough.cumsum(0).cumsum(1) / 4 if seed % 2 else rough
    return jnp.asarray(walk + rng.normal(size=shape[-1]), dtype)


def models(count, shape=(7, 8, 3), dtype=np.float64):
    return [analyse(field(seed, shape, dtype)) for seed in range(count)]


def cost(model, others, weights):
    return float(sum(w * distance(model, other) for w, other in zip(weights, others, strict=True)))


def power(draws, c):
    """|DFT|^2 of channel c, less the mean."""
    draws = np.asarray(draws, np.float64)
    axes = tuple(range(1, draws.ndim - 1))
    return (np.abs(np.fft.fftn(draws - draws.mean(axes, keepdims=True), axes=axes)) ** 2)[..., c]


@pytest.mark.usefixtures("x64")
class TestPeriodic:
    @pytest.mark.parametrize("shape", [*SHAPES, (1, 6, 1), (2, 1, 2), (5, 2, 1)])
    def test_its_laplacian_is_that_of_the_field_with_its_border_repeated(self, shape):
        u = field(1, shape)

        def laplacian(x, mode):
            around = [[(int(k == axis),) * 2 for k in range(x.ndim)] for axis in range(x.ndim - 1)]
            padded = [np.pad(x, pad, mode=mode) for pad in around]
            return sum(np.diff(y, 2, axis=axis) for axis, y in enumerate(padded))

        p, space = np.asarray(periodic(u)), tuple(range(len(shape) - 1))
        np.testing.assert_allclose(
            laplacian(p, "wrap"), laplacian(np.asarray(u), "edge"), atol=1e-9
        )
        np.testing.assert_allclose(p.mean(space), np.asarray(u).mean(space), atol=1e-9)

    def test_what_ends_as_it_begins_stays(self):
        u = np.array(field(1))
        u[-1], u[:, -1] = u[0], u[:, 0]
        u[-1, -1] = u[0, 0]
        np.testing.assert_allclose(periodic(u), u, atol=1e-9)


@pytest.mark.usefixtures("x64")
class TestTransport:
    @pytest.mark.parametrize("shape", [(3, 4, 2), (2, 3, 2, 2)])
    def test_distance_is_that_of_the_dense_gaussians(self, shape):
        """Covariances of all values at once, from shifts of the spot alone: no Fourier."""

        def dense(spot):
            space = tuple(range(spot.ndim - 1))
            shifts = np.ndindex(spot.shape[:-1])
            rows = np.stack([np.roll(spot, shift, space).ravel() for shift in shifts])
            return rows.T @ rows / len(rows)

        a, b = models(2, shape)
        c0, c1 = (dense(np.asarray(m.spot)) for m in (a, b))
        root = sqrtm(c0).real
        pixels = np.prod(shape[:-1])
        cross = sqrtm(root @ c1 @ root).real
        expected = np.trace(c0 + c1 - 2 * cross) / pixels + ((a.mean - b.mean) ** 2).sum()
        np.testing.assert_allclose(distance(a, b), expected, rtol=1e-6)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_geodesic_goes_at_constant_speed(self, shape):
        a, b = models(2, shape)
        whole = np.sqrt(distance(a, b))
        for t in (0.0, 0.3, 1.0):
            there = geodesic(a, b, t)
            np.testing.assert_allclose(np.sqrt(distance(a, there)), t * whole, atol=1e-6)
            np.testing.assert_allclose(np.sqrt(distance(there, b)), (1 - t) * whole, atol=1e-6)

    def test_distance_knows_laws_and_not_spots(self):
        a, b = models(2)
        moved = SpotNoise(a.mean, -jnp.roll(a.spot, (2, 3), (0, 1)))
        np.testing.assert_allclose(distance(a, moved), 0, atol=1e-12)
        np.testing.assert_allclose(distance(moved, b), distance(b, a), rtol=1e-9)
        np.testing.assert_allclose(align(moved, a).spot, a.spot, atol=1e-9)
        np.testing.assert_allclose(distance(align(b, a), b), 0, atol=1e-12)

    def test_no_one_couples_better_than_the_aligned_spots(self):
        """Under the same noise any alignment gives a coupling, hence an upper bound."""
        a, b = models(2)
        for draw in range(5):
            turned = align(b, models(draw + 3)[-1])
            apart = ((a.spot - turned.spot) ** 2).mean((0, 1)).sum() + (
                (a.mean - b.mean) ** 2
            ).sum()
            assert apart >= distance(a, b)

    def test_barycenter_of_two_is_their_geodesic(self):
        a, b = models(2)
        found, expected = barycenter([a, b], jnp.array([3.0, 1.0])), geodesic(a, b, 0.25)
        np.testing.assert_allclose(found.spot, expected.spot, atol=1e-9)
        np.testing.assert_allclose(found.mean, expected.mean, atol=1e-9)

    def test_barycenter_costs_less_than_its_starts_and_neighbours(self):
        three, weights = models(3), np.array([0.5, 0.3, 0.2])
        found = barycenter(three, jnp.asarray(10 * weights))
        least = cost(found, three, weights)
        for other in three:
            aligned = [align(one, other) for one in three]
            spot = sum(w * one.spot for w, one in zip(weights, aligned, strict=True))
            assert least <= cost(SpotNoise(found.mean, spot), three, weights) + 1e-12
            assert least < cost(geodesic(found, other, 0.02), three, weights)
            assert least < cost(SpotNoise(found.mean, other.spot), three, weights)

    def test_barycenter_of_one_law_is_that_law(self):
        (a,) = models(1)
        same = [SpotNoise(a.mean, jnp.roll(a.spot, k, 0)) for k in range(3)]
        np.testing.assert_allclose(barycenter(same, jnp.ones(3)).spot, a.spot, atol=1e-9)
        one = barycenter(models(3), jnp.array([0.0, 1.0, 0.0]))
        np.testing.assert_allclose(distance(one, models(2)[1]), 0, atol=1e-12)

    def test_gradients_are_finite_differences(self):
        a, b, c = models(3)
        weights = jnp.array([0.5, 0.3, 0.2])

        def value(t):
            model = SpotNoise(b.mean, b.spot + t * c.spot)
            middle = barycenter([a, model, c], weights)
            return distance(a, geodesic(middle, model, 0.4))

        slope = jax.grad(value)(0.1)
        np.testing.assert_allclose(slope, (value(0.101) - value(0.099)) / 0.002, rtol=1e-4)

    def test_gradients_are_finite_where_nothing_is(self):
        (a,) = models(1)
        nothing = SpotNoise(a.mean, jnp.zeros_like(a.spot))
        for pair in ((a, nothing), (nothing, nothing), (a, a)):
            slopes = jax.grad(distance)(*pair)
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


@pytest.fixture(scope="module")
def model():
    return analyse(field(1, dtype=np.float32))


class TestSynthesis:
    # the same, larger, smaller, both; odd and even
    @pytest.mark.parametrize("size", [None, (12, 17), (4, 5), (15, 4)])
    def test_mean_and_covariance(self, model, size):
        keys = jax.random.split(jax.random.key(0), 3000)
        draws = np.asarray(jax.vmap(lambda key: synthesize(model, key, size))(keys), np.float64)
        assert draws.shape[1:3] == (size or (7, 8))
        means = draws.mean((1, 2))
        np.testing.assert_allclose(means, np.tile(model.mean, (3000, 1)), atol=1e-5)
        rows = (draws - np.asarray(model.mean)).reshape(-1, 3)
        spot = np.asarray(model.spot).reshape(-1, 3)
        expected = spot.T @ spot / len(spot)
        each = np.einsum("kna,knb->kab", *2 * [rows.reshape(3000, -1, 3)]) / len(rows) * 3000
        error = each.std(0) / 3000**0.5
        assert (np.abs(each.mean(0) - expected) < 4.5 * error).all()

    def test_power_spectrum(self, model):
        draws = jax.vmap(lambda key: synthesize(model, key))(
            jax.random.split(jax.random.key(1), 3000)
        )
        for c in range(3):
            expected = power(model.spot[None], c)[0]
            ratio = power(draws, c).mean(0)[expected > 1e-6] / expected[expected > 1e-6]
            # mean of 3000 exponential draws, or of squared normal ones: deviation up to .026
            assert np.abs(ratio - 1).max() < 0.12
            assert abs(ratio.mean() - 1) < 0.02

    def test_random_phase_keeps_the_spectrum_itself(self, model):
        for size in (None, (9, 12)):
            first, second = (random_phase(model, jax.random.key(k), size) for k in range(2))
            for c in range(3):
                powers = [power(one[None], c)[0] for one in (first, second)]
                np.testing.assert_allclose(*powers, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(
            power(random_phase(model, jax.random.key(0))[None], 0),
            power(model.spot[None], 0),
            rtol=1e-3,
            atol=1e-3,
        )
        assert float(jnp.abs(first - second).max()) > 0.1

    @pytest.mark.parametrize("size", [(24, 32), (48, 40), (13, 15)])
    def test_no_seam_where_it_wraps(self, size):
        """Of an exemplar with a jump at its border; the spot is smooth, and cut, within."""
        y, x = np.mgrid[:24, :32] / 24
        smooth = np.stack([x + np.sin(4 * x + 5 * y), y - np.cos(6 * y - 3 * x)], -1)
        model = analyse(jnp.asarray(smooth, jnp.float32))
        keys = jax.random.split(jax.random.key(2), 64)
        draws = np.asarray(jax.vmap(lambda key: synthesize(model, key, size))(keys))
        for axis in (1, 2):
            steps = np.abs(np.roll(draws, -1, axis) - draws).mean((0, 3 - axis, 3))
            assert abs(steps[-1] / steps[:-1].mean() - 1) < 0.35
            assert abs(steps[size[axis - 1] // 2] / steps.mean() - 1) < 0.35

    def test_larger_draws_know_no_grid_of_exemplars(self):
        """What is as far apart as the exemplar is wide is next to independent."""
        model = analyse(field(0, (16, 16, 1), np.float32))
        keys = jax.random.split(jax.random.key(3), 200)
        draws = np.asarray(jax.vmap(lambda key: synthesize(model, key, (40, 40)))(keys))[..., 0]
        draws = draws - np.asarray(model.mean)
        for axis in (1, 2):
            assert abs((draws * np.roll(draws, 16, axis)).mean() / (draws**2).mean()) < 0.12

    def test_channels_share_their_noise(self):
        one = np.random.default_rng(0).normal(size=(6, 6, 1))
        model = analyse(jnp.asarray(np.dstack([one, 1 - 2 * one]), jnp.float32))
        draw = np.asarray(synthesize(model, jax.random.key(0)) - model.mean)
        np.testing.assert_allclose(draw[..., 1], -2 * draw[..., 0], atol=1e-5)

    def test_keys_are_a_batch_and_decide_all(self, model):
        keys = jax.random.split(jax.random.key(4), 3)
        together = jax.vmap(lambda key: synthesize(model, key))(keys)
        for key, draw in zip(keys, together, strict=True):
            np.testing.assert_allclose(synthesize(model, key), draw, atol=1e-5)
        assert float(jnp.abs(together[0] - together[1]).max()) > 0.1

    def test_clips(self):
        model = analyse(field(1, (4, 5, 6, 1), np.float32))
        draw = synthesize(model, jax.random.key(0), (9, 5, 3))
        assert draw.shape == (9, 5, 3, 1)
        np.testing.assert_allclose(draw.mean((0, 1, 2)), model.mean, atol=1e-5)


@pytest.mark.usefixtures("dtype")
def test_flat_exemplars_are_flat_textures():
    flat = analyse(jnp.full((5, 6, 3), 0.25))
    np.testing.assert_allclose(synthesize(flat, jax.random.key(0), (8, 8)), 0.25, atol=1e-6)
    np.testing.assert_allclose(random_phase(flat, jax.random.key(0)), 0.25, atol=1e-6)


@pytest.mark.slow
def test_jit_is_eager():
    key = jax.random.key(0)

    def all_of_it(a, b, key):
        one, other = analyse(a), analyse(b)
        middle = geodesic(one, other, 0.3)
        return synthesize(middle, key), distance(middle, other)

    a, b = (field(k, (4, 6, 2), np.float32) for k in range(2))
    with jax.disable_jit():
        expected = all_of_it(a, b, key)
    for got, wanted in zip(jax.jit(all_of_it)(a, b, key), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-5)


@pytest.mark.usefixtures("x64")
def test_float32_is_near_float64():
    for shape in SHAPES:
        single, double = (models(2, shape, dtype) for dtype in (np.float32, np.float64))
        near = distance(*single)
        assert near.dtype == np.float32
        np.testing.assert_allclose(near, distance(*double), rtol=1e-4)
        np.testing.assert_allclose(single[1].spot, double[1].spot, atol=1e-5)


class TestRefusals:
    @pytest.mark.parametrize(
        ("exemplar", "message"),
        [
            (jnp.zeros((4, 4)), "expected floats"),
            (jnp.zeros((4, 4, 3), jnp.uint8), "expected floats"),
            (jnp.zeros((0, 4, 3)), "without pixels"),
        ],
    )
    def test_exemplars(self, exemplar, message):
        with pytest.raises(ValueError, match=message):
            analyse(exemplar)

    def test_grids_sizes_weights(self):
        a, b = (SpotNoise(jnp.zeros(1), jnp.zeros((4, n, 1))) for n in (4, 5))
        for refused in (distance, align):
            with pytest.raises(ValueError, match="one grid"):
                refused(a, b)
        with pytest.raises(ValueError, match="one grid"):
            barycenter([a, b], jnp.ones(2))
        with pytest.raises(ValueError, match="2 models"):
            barycenter([a, a], jnp.ones(3))
        for size in ((4,), (4, 0)):
            with pytest.raises(ValueError, match="size must be"):
                synthesize(a, jax.random.key(0), size)
