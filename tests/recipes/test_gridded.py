"""Unbalanced transport of histograms, against its own loop as the paper has it."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxcolor
from jaxcolor.image.spaces import SPACES, Srgb
from jaxcolor.lattice import spread
from jaxcolor.measure import Grid, Measure, nodes
from jaxcolor.recipes import gridded
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.recipes.styles import style
from jaxcolor.transport.coupling import average, plan
from jaxcolor.transport.marginals import KL, TV, Mixed

RNG = np.random.default_rng(0)
RHO, EPSILON = 0.4, 0.05
HARD = Relaxation()
KAPPA = RHO / (RHO + EPSILON)


def power(ratio):
    return ratio**KAPPA


def clip(ratio):
    return np.clip(ratio, np.exp(-RHO / EPSILON), np.exp(RHO / EPSILON))


# the marginal, and the scaling that it makes of mass over sum
PROXIMAL = {
    "kl": (KL(RHO), power),
    "tv": (TV(RHO), clip),
    "mixed": (Mixed(RHO), lambda ratio: power(clip(ratio))),
}


def counts(size=4):
    """Two histograms of raw counts, some bins empty."""
    axes = (jnp.linspace(0, 1, size),) * 3
    found = []
    for most in (40, 70):
        n = RNG.integers(1, most, (size,) * 3) * (RNG.random((size,) * 3) > 0.3)
        found.append(Grid(axes, jnp.asarray(n, float)))
    return found


@pytest.mark.parametrize("name", PROXIMAL)
def test_with_the_uniform_reference_it_is_the_paper_s_iteration(name, x64):
    marginal, proximal = PROXIMAL[name]
    mu, nu = counts()
    p, q = (np.asarray(density.weights).ravel() for density in (mu, nu))
    x = np.asarray(nodes(mu.axes))
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / EPSILON)
    a, b = np.ones_like(p), np.ones_like(q)
    for _ in range(3000):
        a = np.where(p > 0, proximal(p / (kernel @ b)), 0)
        b = np.where(q > 0, proximal(q / (a @ kernel)), 0)
    expected = a[:, None] * kernel * b[None]
    found = gridded.couple(
        mu, nu, epsilon=EPSILON, marginal=marginal, uniform=True, method="sinkhorn", tol=1e-10
    )
    np.testing.assert_allclose(plan(found), expected, atol=1e-6 * expected.max())
    # the paper's map: means under the kernel
    image = expected @ x / np.maximum(expected.sum(1, keepdims=True), 1e-300)
    some = expected.sum(1) > 1e-9
    np.testing.assert_allclose(
        np.asarray(average(found, nodes(nu.axes)))[some], image[some], atol=1e-6
    )


@pytest.fixture
def coarse(monkeypatch):
    """On 32 nodes, an eighth of the usual: where it is about what moves, and not how far."""
    finer = gridded.histograms
    monkeypatch.setattr(gridded, "histograms", lambda *given: finer(*given, size=32))


def two_colours(shares, n=2000):
    """A cloud of dark grey and of pure red, and one of slightly lighter grey alone."""
    dark = 0.2 + 0.02 * RNG.random((int(shares[0] * n), 3))
    red = np.array([0.9, 0, 0]) + 0.02 * RNG.random((int(shares[1] * n), 3))
    goal = 0.3 + 0.02 * RNG.random((n, 3))
    clouds = [np.concatenate([dark, red]), goal]
    return [
        Measure(jnp.asarray(points, jnp.float32), jnp.full(len(points), 1 / len(points)))
        for points in clouds
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("name", ["kl", "tv", "mixed"])
def test_what_has_no_partner_stays(name):
    mu, nu = two_colours((0.5, 0.5))
    how = Relaxation(name, reach=0.15 if name != "tv" else 0.3)
    moved = gridded.fit(mu, nu, Srgb(), how, 0.02)(mu.points) - mu.points
    half = len(mu.points) // 2
    assert np.abs(moved[half:]).max() < 1e-3
    np.testing.assert_allclose(moved[:half].mean(0), 0.1, atol=0.02)


@pytest.mark.parametrize("space", ["srgb", "lab", "oklab"])
def test_histograms_hold_every_colour_and_its_mean(space):
    mu, nu = two_colours((0.5, 0.5), 300)
    chosen = SPACES[space]
    encoded = [Measure(chosen.encode(one.points), one.weights) for one in (mu, nu)]
    grids = gridded.histograms(encoded[0], encoded[1], chosen, 16)
    for cloud, density in zip(encoded, grids, strict=True):
        inside = nodes(density.axes)
        assert (cloud.points >= inside.min(0) - 1e-6).all()
        assert (cloud.points <= inside.max(0) + 1e-6).all()
        mean = (density.weights.ravel()[:, None] * inside).sum(0)
        np.testing.assert_allclose(
            mean, (cloud.weights[:, None] * cloud.points).sum(0), rtol=1e-3, atol=1e-3
        )
    for one, other in zip(grids[0].axes, grids[1].axes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_map_is_the_barycentric_one_at_nodes_and_linear_between(single_grid):
    coupling, mu, nu = single_grid
    move = gridded.barycentric(coupling, mu, nu)
    here = nodes(mu.axes)
    np.testing.assert_allclose(move(here), average(coupling, nodes(nu.axes)), atol=1e-5)
    middle = (here[0] + here[1]) / 2
    ends = move(here[:2])
    np.testing.assert_allclose(move(middle[None])[0], ends.mean(0), atol=1e-5)


@pytest.fixture(scope="module")
def single_grid():
    low, high = jnp.zeros(3), jnp.ones(3)
    clouds = [
        Measure(jnp.asarray(RNG.random((50, 3)), jnp.float32), jnp.full(50, 0.02)) for _ in "ab"
    ]
    mu, nu = (spread(cloud, low, high, 4) for cloud in clouds)
    coupling = gridded.couple(mu, nu, epsilon=EPSILON, marginal=gridded.penalty(HARD), tol=1e-4)
    return coupling, mu, nu


@pytest.mark.slow
@pytest.mark.usefixtures("coarse")
def test_the_larger_picture_has_more_to_give(photographs):
    """Counted by pixels, a quarter of the reference can serve a quarter of the source."""
    source, reference = photographs
    given = {"method": "grid", "marginal": "tv", "reach": 1.0}
    moved = {}
    for counted in (False, True):
        result = jaxcolor.transfer(source, reference[:40, :60], counts=counted, **given)
        moved[counted] = np.abs(result.astype(int) - source).mean()
    assert moved[True] < 0.6 * moved[False]


@pytest.mark.slow
def test_counts_that_differ_need_a_marginal(photographs):
    with pytest.raises(RuntimeError, match=r"INFEASIBLE.*relax a marginal"):
        jaxcolor.transfer(photographs[0], photographs[1][:40], method="grid", counts=True)


def test_counts_are_for_the_grid():
    with pytest.raises(ValueError, match="newton knows no counts"):
        style(method="newton", relaxation=Relaxation(counts=True))
    assert style(relaxation=Relaxation(counts=True)).method == "grid"
