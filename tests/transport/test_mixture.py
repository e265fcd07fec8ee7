"""Mixtures against published plans, closed forms on the line, SciPy, POT and OTT-JAX."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxcolor.transport import gaussian, line_exact, mixture, mixture_map, sparse
from jaxcolor.transport.mixture import GaussianMixture

from problems import monge_kantorovich, random_covariance  # isort: skip


def make(weights, means, covariances, dtype=np.float32) -> GaussianMixture:
    means = np.reshape(means, (len(weights), -1))
    d = means.shape[1]
    covariances = np.asarray(covariances, float)
    if covariances.ndim < 3:  # variances, one a component
        covariances = covariances.reshape(-1, 1, 1) * np.eye(d)
    covariances = np.broadcast_to(covariances, (len(means), d, d))
    return GaussianMixture(*(jnp.asarray(x, dtype) for x in (weights, means, covariances)))


def drawn(seed: int, components: int = 3, d: int = 2, dtype=np.float64) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.2, 1, components)
    covariances = [random_covariance(100 * seed + k, d) / 4 for k in range(components)]
    means = 2 * rng.normal(size=(components, d))
    return make(weights / weights.sum(), means, covariances, dtype)


def samples(one: GaussianMixture, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(one.weights), n, p=np.asarray(one.weights, float))
    factors = np.linalg.cholesky(np.asarray(one.covariances, float))
    z = rng.normal(size=(n, one.means.shape[1]))
    return np.asarray(one.means, float)[labels] + np.einsum("nij,nj->ni", factors[labels], z)


def moments(one: GaussianMixture) -> tuple[np.ndarray, np.ndarray]:
    w, m, s = (np.asarray(leaf, float) for leaf in (one.weights, one.means, one.covariances))
    mean = w @ m
    return mean, np.einsum("k,kij->ij", w, s + m[:, :, None] * m[:, None]) - np.outer(mean, mean)


def mw2(one: GaussianMixture, other: GaussianMixture) -> float:
    return float(mixture.couple(one, other).value) ** 0.5


def with_nothing(one: GaussianMixture) -> GaussianMixture:
    """The same law, with one more component, of weight zero, between the others."""
    d, dtype = one.means.shape[1], one.means.dtype
    more = (jnp.zeros(1, dtype), jnp.full((1, d), 9, dtype), jnp.eye(d, dtype=dtype)[None])
    leaves = (one.weights, one.means, one.covariances)
    return GaussianMixture(*(
        jnp.concatenate([leaf[:1], new, leaf[1:]]) for leaf, new in zip(leaves, more, strict=True)
    ))  # fmt: skip


APPLY = jax.jit(lambda T, x: T(x))


# --- published plans --------------------------------------------------------------------------

DELON_DESOLNEUX = {
    "1-D": (
        ([0.3, 0.7], [0.2, 0.4], [0.0009, 0.0016]),
        ([0.6, 0.4], [0.6, 0.8], [0.0036, 0.0049]),
        [[0.3, 0], [0.3, 0.4]],
    ),
    "2-D": (
        ([0.5, 0.5], [[0.3, 0.3], [0.7, 0.4]], [0.01, 0.01]),
        ([0.45, 0.55], [[0.5, 0.6], [0.4, 0.25]], [0.01, 0.01]),
        [[0, 0.5], [0.45, 0.05]],
    ),
}


@pytest.mark.parametrize("name", DELON_DESOLNEUX)
def test_published_plans_are_found(name, dtype):
    """The two examples of Delon and Desolneux's notebooks (judelo/gmmot)."""
    source, target, wanted = DELON_DESOLNEUX[name]
    plan = mixture.couple(make(*source, dtype), make(*target, dtype))
    np.testing.assert_allclose(sparse.plan(plan), wanted, atol=1e-6)


T = 0.3


def test_w2_interpolant_of_a_gaussian_and_two_points_is_no_mixture(double):
    """Delon's example: density (1 / (1 - t)) g((|x| - t) / (1 - t)) where |x| > t, else none."""
    n = 4096
    x = stats.norm.ppf((np.arange(n) + 0.5) / n)
    mass, half = jnp.full(n, 1 / n, double), jnp.full(2, 0.5, double)
    y = jnp.asarray([-1.0, 1.0], double)
    plan = line_exact.couple(jnp.asarray(x, double), mass, y, half)
    moved = (1 - T) * x[plan.rows] + T * np.asarray(y)[plan.cols]
    edges = np.linspace(-3, 3, 61)
    found = np.histogram(moved, edges, weights=plan.mass)[0] / np.diff(edges)
    middle = (edges[1:] + edges[:-1]) / 2
    density = np.where(abs(middle) > T, stats.norm.pdf((abs(middle) - T) / (1 - T)) / (1 - T), 0)
    np.testing.assert_allclose(found, density, atol=0.01)  # of .57 at most: 23 points in a bin
    assert found[abs(middle) < T].max() == 0


BIMODAL = ([0.5, 0.5], [-5.0, 5.0], [0.1, 0.1])


def test_mw2_interpolant_of_a_gaussian_and_two_is_a_mixture(double):
    one, two = make([1], [0], [1], double), make(*BIMODAL, double)
    found = mixture.geodesic(one, two, T)
    order = np.argsort(found.means.ravel())
    np.testing.assert_allclose(found.weights[order], [0.5, 0.5])
    np.testing.assert_allclose(found.means.ravel()[order], [-5 * T, 5 * T])
    variance = (1 - T + T * 0.1**0.5) ** 2
    np.testing.assert_allclose(found.covariances.ravel(), [variance, variance])


def quantiles(one: GaussianMixture, levels: np.ndarray) -> np.ndarray:
    grid = np.linspace(-12, 12, 400_001)
    deviations = np.sqrt(np.ravel(one.covariances))
    parts = zip(one.weights, np.ravel(one.means), deviations, strict=True)
    return np.interp(levels, sum(float(w) * stats.norm.cdf(grid, m, s) for w, m, s in parts), grid)


def test_mw2_is_at_least_w2(double):
    levels = (np.arange(100_000) + 0.5) / 100_000
    pairs = [(make([1], [0], [1], double), make(*BIMODAL, double))]
    pairs += [(drawn(2 * k, d=1), drawn(2 * k + 1, d=1)) for k in range(4)]
    for one, other in pairs:
        w2 = np.sqrt(np.mean((quantiles(one, levels) - quantiles(other, levels)) ** 2))
        assert mw2(one, other) > w2 > 0
    np.testing.assert_allclose(mw2(*pairs[0]) ** 2, 25 + (1 - 0.1**0.5) ** 2)


# --- a metric, its geodesics, its barycenters -------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_mw2_is_a_metric(seed, double):
    a, b, c = (drawn(3 * seed + k) for k in range(3))
    np.testing.assert_allclose(mw2(a, b), mw2(b, a), rtol=1e-12)
    assert mw2(a, a) < 1e-7 < mw2(a, b)
    assert mw2(a, c) <= mw2(a, b) + mw2(b, c)


def test_few_pairs_move(double):
    plan = mixture.couple(drawn(0, 3), drawn(1, 4))
    assert np.count_nonzero(plan.mass) <= 6
    full = np.asarray(sparse.plan(plan))
    np.testing.assert_allclose(full.sum(1), drawn(0, 3).weights, atol=1e-12)
    np.testing.assert_allclose(full.sum(0), drawn(1, 4).weights, atol=1e-12)


def test_the_geodesic_has_constant_speed(double):
    one, other = drawn(0), drawn(1)
    whole = mw2(one, other)
    for t in (0.0, 0.25, 0.8):
        there = mixture.geodesic(one, other, t)
        np.testing.assert_allclose(mw2(one, there), t * whole, rtol=1e-9, atol=1e-7)
        np.testing.assert_allclose(mw2(there, other), (1 - t) * whole, rtol=1e-9)


def cost(centre: GaussianMixture, mixtures, shares) -> float:
    return sum(w * mw2(centre, one) ** 2 for w, one in zip(shares, mixtures, strict=True))


def test_the_barycenter_of_two_is_on_the_geodesic(double):
    one, other = drawn(0), drawn(1)
    centre = mixture.barycenter([one, other], [0.75, 0.25])
    assert len(centre.weights) <= 5
    assert mw2(centre, mixture.geodesic(one, other, 0.25)) < 1e-5
    np.testing.assert_allclose(
        cost(centre, [one, other], [0.75, 0.25]), 0.1875 * mw2(one, other) ** 2, rtol=1e-9
    )


def test_nothing_is_nearer_than_the_barycenter(double):
    mixtures, shares = [drawn(k) for k in range(3)], [0.5, 0.3, 0.2]
    centre = mixture.barycenter(mixtures, shares)
    assert len(centre.weights) <= 7
    np.testing.assert_allclose(centre.weights.sum(), 1)
    least = cost(centre, mixtures, shares)
    assert all(cost(one, mixtures, shares) > least for one in mixtures)
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1e-2, 0.1):
        moved = centre.means + scale * rng.normal(size=centre.means.shape)
        grown = centre.covariances * (1 + scale)
        masses = centre.weights * np.exp(scale * rng.normal(size=centre.weights.shape))
        for other in ({"means": moved}, {"covariances": grown}, {"weights": masses}):
            assert cost(replace(centre, **other), mixtures, shares) > least


def test_too_many_tuples_are_refused(single):
    big = make(np.full(400, 1 / 400), np.arange(400.0), np.ones(400))
    with pytest.raises(ValueError, match="more than 100,000 tuples"):
        mixture.barycenter([big, big])


def test_moments_that_are_not_finite_are_refused(single):
    one = make([1.0], [0.0], [1.0])
    with pytest.raises(RuntimeError):
        mixture.couple(one, replace(one, means=one.means * jnp.nan))


# --- densities --------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 3])
def test_density_and_responsibilities_are_those_of_scipy(d, dtype):
    one = drawn(0, d=d, dtype=dtype)
    x = np.asarray(samples(one, 50), dtype)
    x[0] = 40  # so far that every density underflows
    parts = np.stack([
        np.log(float(w)) + stats.multivariate_normal(m, s).logpdf(np.asarray(x, float))
        for w, m, s in zip(*(np.asarray(leaf, float) for leaf in vars(one).values()), strict=True)
    ])  # fmt: skip
    total = np.logaddexp.reduce(parts)
    rtol = 1e-4 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(mixture.log_density(one, jnp.asarray(x)), total, rtol=rtol)
    shares = mixture.responsibilities(one, jnp.asarray(x))
    np.testing.assert_allclose(shares, np.exp(parts - total).T, atol=rtol)


def test_gradients_of_the_density_match_differences(double):
    one, x = drawn(0), jnp.asarray(samples(drawn(0), 5))
    way = drawn(7)

    def along(t):
        moved = jax.tree.map(lambda p, v: p + t * v, one, way)
        return mixture.log_density(moved, x + t).sum()

    step = 1e-5
    differences = (along(step) - along(-step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(along)(0.0), differences, rtol=1e-6)


# --- components of weight zero ----------------------------------------------------------------


def test_components_of_weight_zero_move_nothing(single):
    one, other = drawn(0, dtype=single), drawn(1, dtype=single)
    more, less = with_nothing(one), with_nothing(other)
    np.testing.assert_allclose(mw2(more, less), mw2(one, other), rtol=1e-6)
    assert not np.asarray(sparse.plan(mixture.couple(more, less)))[1].any()
    x = jnp.asarray(samples(one, 20), single)
    moved, wanted = (APPLY(mixture_map.solve(*p), x) for p in ((more, less), (one, other)))
    np.testing.assert_allclose(moved, wanted, atol=1e-4)
    drawn_map = mixture_map.solve(more, less, draw="rand")
    assert set(np.asarray(drawn_map.rows)[np.asarray(drawn_map.shares) > 0]) == {0, 2, 3}


def test_components_of_weight_zero_are_not_seen(single):
    one = drawn(0, dtype=single)
    more, x = with_nothing(one), jnp.asarray(samples(one, 20), single)
    assert not mixture.responsibilities(more, x)[:, 1].any()
    slope = jax.jit(jax.value_and_grad(lambda m, x: mixture.log_density(m, x).sum(), (0, 1)))
    (value, (here, there)), (wanted, (goal, move)) = slope(more, x), slope(one, x)
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    np.testing.assert_allclose(there, move, atol=1e-3)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(here))
    np.testing.assert_allclose(np.delete(here.means, 1, 0), goal.means, atol=1e-3)
    assert not here.means[1].any()


@pytest.mark.slow
def test_components_of_weight_zero_do_not_move_the_barycenter(double):
    mixtures = [drawn(k) for k in range(3)]
    centre = mixture.barycenter([with_nothing(one) for one in mixtures])
    assert mw2(centre, mixture.barycenter(mixtures)) < 1e-6


# --- maps -------------------------------------------------------------------------------------


def test_the_map_of_single_components_is_the_gaussian_one(dtype):
    one, other = drawn(0, 1, dtype=dtype), drawn(1, 1, dtype=dtype)
    x = jnp.asarray(samples(one, 20), dtype)
    wanted = gaussian.between(one.means[0], one.covariances[0], other.means[0],
                              other.covariances[0])(x)  # fmt: skip
    for draw in ("mean", "rand"):
        moved = APPLY(mixture_map.solve(one, other, draw=draw), x)
        np.testing.assert_allclose(moved, wanted, atol=1e-4)


def test_the_mean_map_is_the_plan_s_conditional_mean(double):
    """sum_kl r_k(x) w_kl / pi_k T_kl(x), component by component."""
    one, other = drawn(0), drawn(1)
    x = jnp.asarray(samples(one, 10))
    plan = np.asarray(sparse.plan(mixture.couple(one, other)))
    shares = np.asarray(mixture.responsibilities(one, x))
    m0, s0, m1, s1 = map(np.asarray, (one.means, one.covariances, other.means, other.covariances))
    wanted = 0
    for k, j in zip(*np.nonzero(plan), strict=True):
        moved = m1[j] + (np.asarray(x) - m0[k]) @ monge_kantorovich(s0[k], s1[j])
        wanted = wanted + shares[:, k, None] * plan[k, j] / float(one.weights[k]) * moved
    np.testing.assert_allclose(APPLY(mixture_map.solve(one, other), x), wanted, rtol=1e-9)


@pytest.fixture(scope="module")
def pushed():
    """Samples of a mixture, drawn onto another."""
    one, other = drawn(0, dtype=np.float32), drawn(1, dtype=np.float32)
    x = jnp.asarray(samples(one, 20_000), np.float32)
    fitted = mixture_map.solve(one, other, draw="rand")
    return one, other, x, fitted, np.asarray(APPLY(fitted, x))


def test_draws_go_onto_the_target(pushed):
    one, other, x, _, moved = pushed
    mean, covariance = moments(other)
    far = np.sqrt(np.diag(covariance) / len(x))
    np.testing.assert_allclose((moved.mean(0) - mean) / far, 0, atol=5)
    np.testing.assert_allclose(np.cov(moved.T), covariance, atol=0.05 * np.trace(covariance))
    # the mean of the draws narrows the law, which the draws do not
    mean_map = np.asarray(APPLY(mixture_map.solve(one, other), x))
    assert np.trace(np.cov(mean_map.T)) < 0.97 * np.trace(covariance)


def test_draws_hang_on_colour_and_key_alone(pushed):
    _, _, x, fitted, moved = pushed
    np.testing.assert_array_equal(APPLY(fitted, x), moved)
    other = APPLY(replace(fitted, key=jax.random.key(1)), x)
    changed = np.abs(np.asarray(other) - moved).max(1) > 1e-3
    assert 0.02 < changed.mean() < 0.98  # colours of components that go one way stay
    # jitted or not, whole or in parts, in whatever order
    np.testing.assert_allclose(fitted(x[:100]), moved[:100], atol=1e-4)
    mixed = np.random.default_rng(0).permutation(len(x))
    np.testing.assert_allclose(APPLY(fitted, x[mixed]), moved[mixed], atol=1e-4)
    twice = APPLY(fitted, jnp.repeat(x[:50], 2, 0))
    np.testing.assert_array_equal(twice[::2], twice[1::2])


def test_another_draw_is_refused(single):
    one = make([1.0], [0.0], [1.0])
    with pytest.raises(ValueError, match="'mean' or 'rand', got 'mode'"):
        mixture_map.solve(one, one, draw="mode")


# --- peers ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 3])
def test_pot_agrees(d, ot, x64):
    one, other = drawn(0, 3, d), drawn(1, 4, d)
    both = [np.asarray(getattr(m, name), float) for name in ("means", "covariances", "weights")
            for m in (one, other)]  # fmt: skip
    plan = mixture.couple(one, other)
    np.testing.assert_allclose(plan.value, ot.gmm.gmm_ot_loss(*both), rtol=1e-8)
    np.testing.assert_allclose(sparse.plan(plan), ot.gmm.gmm_ot_plan(*both), atol=1e-9)
    x = samples(one, 30)
    with np.errstate(over="ignore"):  # its odds of components overflow, their inverse is right
        moved = ot.gmm.gmm_ot_apply_map(x, *both, method="bary")
    np.testing.assert_allclose(
        APPLY(mixture_map.solve(one, other), jnp.asarray(x)), moved, rtol=1e-7
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ott_agrees(x64):
    pytest.importorskip("ott")
    from ott.tools.gaussian_mixture import gaussian_mixture, gaussian_mixture_pair

    one, other = drawn(0, 3), drawn(1, 4)
    peers = [
        gaussian_mixture.GaussianMixture.from_mean_cov_component_weights(
            mean=m.means, cov=m.covariances, component_weights=m.weights
        )
        for m in (one, other)
    ]
    pair = gaussian_mixture_pair.GaussianMixturePair(*peers, epsilon=1e-2)
    # its matrix roots, by Newton-Schulz, are good to four digits
    np.testing.assert_allclose(mixture.costs(one, other), pair.get_cost_matrix(), rtol=1e-3)
    coupling = pair.get_normalized_sinkhorn_coupling(pair.get_sinkhorn(pair.get_cost_matrix()))
    np.testing.assert_allclose(sparse.plan(mixture.couple(one, other)), coupling, atol=1e-2)
    x = jnp.asarray(samples(one, 20))
    np.testing.assert_allclose(mixture.log_density(one, x), peers[0].log_prob(x), rtol=1e-6)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_weights_of_a_barycenter_that_make_no_sense(weights):
    one = mixture.GaussianMixture(jnp.ones(1), jnp.zeros((1, 1)), jnp.ones((1, 1, 1)))
    with pytest.raises(ValueError, match="2 mixtures need as many weights"):
        mixture.barycenter([one, one], weights)
