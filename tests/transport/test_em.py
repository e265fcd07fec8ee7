"""Expectation maximisation against known mixtures, scikit-learn, OTT-JAX, its own invariances."""

import warnings
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.iterate import Status
from jaxcolor.measure import Measure, pad, point_cloud
from jaxcolor.transport import em, mixture
from jaxcolor.transport.mixture import GaussianMixture

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.0, 0.0], [6.0, 1.0], [-2.0, 7.0]])
FACTORS = np.array([[[1.0, 0.0], [0.5, 0.4]], [[0.3, 0.0], [0.0, 1.2]], [[0.8, 0.0], [-0.6, 0.5]]])
KEY = 0


def truth(dtype) -> GaussianMixture:
    covariances = FACTORS @ FACTORS.transpose(0, 2, 1)
    return GaussianMixture(*(jnp.asarray(x, dtype) for x in (WEIGHTS, MEANS, covariances)))


def three(n: int = 500, seed: int = 0) -> np.ndarray:
    """Points of three clusters well apart, in exact proportion."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), np.rint(n * WEIGHTS).astype(int))
    return MEANS[labels] + np.einsum("nij,nj->ni", FACTORS[labels], rng.normal(size=(n, 2)))


def touching(n: int = 500, seed: int = 0) -> np.ndarray:
    """The same drawn together, so that responsibilities are shared."""
    return three(n, seed) * 0.3 + np.random.default_rng(seed).normal(size=(n, 2)) * 0.3


def sorted_leaves(one: GaussianMixture) -> list[np.ndarray]:
    order = np.argsort(one.means[:, 0])
    return [np.asarray(leaf)[order] for leaf in (one.weights, one.means, one.covariances)]


def assert_same(one: GaussianMixture, other: GaussianMixture, **tolerance) -> None:
    for leaf, wanted in zip(sorted_leaves(one), sorted_leaves(other), strict=True):
        np.testing.assert_allclose(leaf, wanted, **tolerance)


def fitted(x, key: int = KEY, components: int = 3, **options):
    mu = x if isinstance(x, Measure) else point_cloud(x)
    return em.fit(mu, components, jax.random.key(key), **options)


def test_a_known_mixture_is_recovered(dtype):
    found, info = fitted(three().astype(dtype))
    assert int(info.status) == Status.OK
    assert float(mixture.couple(found, truth(dtype)).value) < 0.02
    assert_same(found, truth(dtype), atol=0.25)
    mu = point_cloud(three().astype(dtype))
    assert em.log_likelihood(found, mu) > em.log_likelihood(truth(dtype), mu)


def test_likelihood_never_falls(double):
    for key in range(3):
        _, info = fitted(touching(), key, tol=1e-8, ridge=0.0)
        history = np.asarray(info.history)
        assert np.diff(history).min() > -1e-12
        assert history[1] > history[0]
        np.testing.assert_array_equal(history[int(info.steps) :], history[-1])


def test_the_end_is_told(single):
    x = touching().astype(single)
    _, info = fitted(x, tol=1e-3)
    assert int(info.status) == Status.OK
    assert 2 < int(info.steps) < 100
    assert float(info.error) <= 1e-3
    _, info = fitted(x, tol=-1.0)
    assert (int(info.status), int(info.steps)) == (Status.MAX_STEPS, 100)
    bad = Measure(jnp.asarray(x).at[3].set(jnp.nan), jnp.ones(len(x)))
    assert int(fitted(bad)[1].status) == Status.NONFINITE


def test_a_weight_of_two_is_two_points(double):
    x, counts = touching(), np.random.default_rng(1).integers(1, 4, 500)
    found, _ = fitted(point_cloud(x, counts.astype(float)))
    wanted, _ = fitted(np.repeat(x, counts, 0))
    assert_same(found, wanted, rtol=1e-6)


def test_padding_is_inert(single):
    x = touching().astype(single)
    far = pad(point_cloud(x), 640)
    far = replace(far, points=far.points.at[500:].set(1e3))
    assert_same(fitted(far)[0], fitted(x)[0], rtol=1e-3, atol=1e-5)


def test_scale_and_place_do_not_matter(double):
    """The ridge is a share of the variance, and k-means does not mind."""
    found, info = fitted(touching())
    moved, other = fitted(1e-3 * touching() + 1)
    np.testing.assert_allclose(other.history - info.history, 2 * np.log(1e3), rtol=1e-9)
    np.testing.assert_allclose(moved.means, 1e-3 * found.means + 1, rtol=1e-9)


@pytest.mark.parametrize("distinct", [1, 2])
def test_more_components_than_colours(distinct, dtype):
    x = np.repeat(np.asarray([[0.1, 0.2], [0.7, 0.4]], dtype)[:distinct], 20, 0)
    found, info = fitted(x)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    assert jnp.isfinite(info.history).all()
    np.testing.assert_allclose(found.weights.sum(), 1, rtol=1e-5)
    assert np.linalg.eigvalsh(np.asarray(found.covariances, float)).min() > 0
    values, masses = np.asarray(found.means), np.asarray(found.weights)
    np.testing.assert_allclose(masses @ values, x.mean(0), atol=1e-5)


def test_vmap_over_keys_is_a_loop(single):
    mu = point_cloud(touching(200).astype(single))
    keys = jax.random.split(jax.random.key(0), 2)
    batch, infos = jax.vmap(lambda key: em.fit(mu, 3, key, steps=20))(keys)
    for k in range(2):
        one, info = em.fit(mu, 3, keys[k], steps=20)
        assert int(info.steps) == int(infos.steps[k])
        assert_same(jax.tree.map(lambda leaf, k=k: leaf[k], batch), one, rtol=1e-3, atol=1e-4)


def test_float32_comes_near_float64(double):
    """Narrow clusters of colours, whose moments about zero would lose all digits."""
    x = 0.5 + 1e-3 * three()
    found, _ = fitted(x.astype(np.float32))
    exact, _ = fitted(x.astype(np.float32).astype(double))
    for leaf, wanted, scale in zip(
        sorted_leaves(found), sorted_leaves(exact), (1, 1e-3, 1e-6), strict=True
    ):
        np.testing.assert_allclose(leaf, wanted, atol=2e-3 * scale)


def test_gradients_match_differences(double):
    x, way = touching(40), np.random.default_rng(1).normal(size=(40, 2))

    @jax.jit
    def along(t):
        found, info = fitted(Measure(jnp.asarray(x) + t * way, jnp.ones(40)), steps=5, tol=-1.0)
        return jnp.sin(found.covariances).sum() + found.means.sum() + info.history[-1]

    step = 1e-6
    differences = (along(step) - along(-step)) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.grad(along))(0.0), differences, rtol=1e-6)


def test_the_number_of_clusters_is_found(single):
    mu = point_cloud(three().astype(single))
    assert len(em.select(mu, jax.random.key(0), candidates=(2, 3, 4)).weights) == 3
    # a measure of few points may stand for many observations: then more components pay
    found = {k: fitted(mu, components=k)[0] for k in (3, 4)}
    gain = {n: em.bic(found[3], mu, n) - em.bic(found[4], mu, n) for n in (500, 10**6)}
    assert gain[500] < 0 < gain[10**6]


def test_bic_is_schwarz_s(single):
    """-2 N l + p log N, p = K (1 + d + d (d + 1) / 2) - 1."""
    mu, one = point_cloud(three().astype(single)), truth(single)
    wanted = -2 * 50 * float(em.log_likelihood(one, mu)) + 17 * np.log(50)
    assert em.bic(one, mu, 50) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("options", [{"components": 0}, {"steps": 0}])
def test_nothing_to_fit_is_refused(options, single):
    with pytest.raises(ValueError, match="must be at least 1"):
        fitted(three().astype(single), **options)


# --- peers ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ott_takes_the_same_steps(x64):
    pytest.importorskip("ott")
    from ott.tools.gaussian_mixture import fit_gmm, gaussian_mixture

    x = touching()
    before, after = (fitted(x, steps=steps, tol=-1.0, ridge=0.0)[0] for steps in (5, 10))
    peer = gaussian_mixture.GaussianMixture.from_mean_cov_component_weights(
        mean=before.means, cov=before.covariances, component_weights=before.weights
    )
    peer = fit_gmm.fit_model_em(peer, jnp.asarray(x), None, 5)
    wanted = GaussianMixture(peer.component_weights, peer.loc, peer.covariance)
    assert_same(after, wanted, rtol=1e-8)


@pytest.mark.slow
def test_scikit_learn_takes_the_same_steps_to_the_same_end(x64):
    sklearn = pytest.importorskip("sklearn.mixture")
    x = touching()
    floor = 1e-5 * x.var(0).mean()

    def peer(start: GaussianMixture, steps: int) -> GaussianMixture:
        one = sklearn.GaussianMixture(
            3, tol=1e-12, reg_covar=floor, max_iter=steps,
            weights_init=np.asarray(start.weights), means_init=np.asarray(start.means),
            precisions_init=np.linalg.inv(start.covariances),
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that five steps are not the end
            one.fit(x)
        return GaussianMixture(one.weights_, one.means_, one.covariances_)

    before, after = (fitted(x, steps=steps, tol=-1.0)[0] for steps in (5, 10))
    assert_same(after, peer(before, 5), rtol=1e-7)
    end, _ = fitted(x, steps=2000, tol=1e-13)
    assert_same(end, peer(before, 2000), rtol=1e-4)
