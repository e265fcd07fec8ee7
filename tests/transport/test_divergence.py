"""The debiased divergence, against its definition by an oracle and against ott-jax."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import entropic, marginal, pair, squared_distances

from jaxcolor.iterate import Status
from jaxcolor.measure import Grid, Measure, as_cloud
from jaxcolor.transport import divergence
from jaxcolor.transport.marginals import BALANCED, KL

EPSILON = 0.3
KINDS = {
    "balanced": ("Balanced",),
    "kl": ("KL", 0.8),
    "tv": ("TV", 0.7),
    "range": ("Range", 0.6, 1.6),
}
LATER = {"tv": pytest.mark.slow, "range": pytest.mark.long}
SOME = [pytest.param(name, marks=LATER.get(name, ())) for name in KINDS]
METHOD = {"balanced": "newton", "kl": "newton"}


def measures(dtype, masses=(1.0, 1.0), seed=0):
    x, y, a, b = pair(seed)
    parts = (x, masses[0] * a), (y, masses[1] * b)
    return [Measure(*(jnp.asarray(part, dtype) for part in both)) for both in parts]


def solve(mu, nu, name="balanced", **how):
    kind = marginal(*KINDS[name])
    return divergence.solve(
        mu,
        nu,
        epsilon=EPSILON,
        source_marginal=kind,
        target_marginal=kind,
        method=METHOD.get(name, "sinkhorn"),
        **how,
    )


@pytest.mark.parametrize("name", SOME)
def test_it_is_what_the_definition_says(name, double):
    masses = (1.0, 1.0) if name == "balanced" else (1.0, 1.4)
    mu, nu = measures(double, masses)

    def value(one, other):
        x, y, a, b = (
            np.asarray(part) for part in (one.points, other.points, one.weights, other.weights)
        )
        return entropic(squared_distances(x, y), a, b, EPSILON, KINDS[name], KINDS[name])[1]

    found = solve(mu, nu, name, tol=1e-10)
    gap = np.sqrt(masses[0]) - np.sqrt(masses[1])
    expected = value(mu, nu) - (value(mu, mu) + value(nu, nu)) / 2 + EPSILON * gap**2 / 2
    assert found.info.status == Status.OK
    np.testing.assert_allclose(found.value, expected, atol=1e-8)


@pytest.mark.parametrize("name", SOME)
def test_zero_for_one_measure_positive_and_symmetric_for_two(name, single):
    masses = (1.0, 1.0) if name == "balanced" else (1.0, 1.4)
    mu, nu = measures(single, masses)
    moved = Measure(mu.points + 0.05, mu.weights)
    assert abs(solve(mu, mu, name).value) <= 1e-6
    there, back = solve(mu, nu, name).value, solve(nu, mu, name).value
    assert there > 0
    np.testing.assert_allclose(there, back, rtol=1e-5)
    assert solve(mu, moved, name).value > 1e-4


def test_balanced_and_translated_it_is_the_square_of_the_way(single):
    mu, _ = measures(single)
    way = jnp.array([0.3, -0.4], single)
    found = solve(mu, Measure(mu.points + way, mu.weights))
    np.testing.assert_allclose(found.value, 0.25, atol=1e-5)


@pytest.mark.parametrize("name", ["kl", pytest.param("balanced", marks=pytest.mark.slow)])
def test_derivatives_are_finite_differences(name, double):
    mu, nu = measures(double)
    rng = np.random.default_rng(1)
    dx, da = (jnp.asarray(rng.normal(size=part.shape)) for part in (mu.points, mu.weights))
    da = (da - da.mean()) * mu.weights.mean()

    def along(t):
        moved = Measure(mu.points + t * dx, mu.weights + t * da)
        return solve(moved, nu, name, tol=1e-11).value

    step = 1e-5
    expected = (along(step) - along(-step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(along)(0.0), expected, rtol=1e-6)
    if name == "balanced":
        f = solve(mu, nu, tol=1e-11).f
        here = jax.grad(lambda a: solve(Measure(mu.points, a), nu, tol=1e-11).value)(mu.weights)
        np.testing.assert_allclose(f @ da, here @ da, rtol=1e-6)


def test_its_gradient_vanishes_where_measures_agree(double):
    mu, _ = measures(double)
    there = Measure(mu.points, mu.weights)
    slope = jax.grad(lambda x: solve(Measure(x, mu.weights), there, tol=1e-10).value)(mu.points)
    np.testing.assert_allclose(slope, 0, atol=1e-8)


@pytest.mark.parametrize("name", ["balanced", pytest.param("tv", marks=pytest.mark.slow)])
def test_grids_are_clouds(name, double):
    axes = tuple(jnp.linspace(0, 1, k) for k in (6, 5))
    rng = np.random.default_rng(0)
    weights = [jnp.asarray(rng.uniform(0.1, 1, (6, 5))) for _ in range(2)]
    mu, nu = (Grid(axes, w / w.sum()) for w in weights)
    on_grids = solve(mu, nu, name, tol=1e-10)
    as_points = solve(as_cloud(mu), as_cloud(nu), name, tol=1e-10)
    np.testing.assert_allclose(on_grids.value, as_points.value, atol=1e-9)
    assert abs(solve(mu, mu, name, tol=1e-10).value) <= 1e-9


@pytest.mark.slow
def test_under_jit_and_vmap(single):
    pairs = [measures(single, seed=k) for k in (0, 3)]
    mu, nu = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)
    each = jnp.stack([solve(one, other).value for one, other in pairs])
    np.testing.assert_allclose(
        jax.jit(jax.vmap(lambda m, n: solve(m, n).value))(mu, nu), each, rtol=1e-5
    )


def test_padding_is_inert(double):
    mu, nu = measures(double)
    padded = Measure(
        jnp.concatenate([mu.points, jnp.full((3, 2), 7.0)]),
        jnp.concatenate([mu.weights, jnp.zeros(3)]),
    )
    np.testing.assert_allclose(solve(padded, nu).value, solve(mu, nu).value, atol=1e-9)


def test_a_solve_that_ends_badly_says_so(single):
    mu, nu = measures(single)
    assert solve(mu, nu, max_steps=1).info.status == Status.MAX_STEPS


@pytest.mark.parametrize(
    "rho",
    [pytest.param(None, marks=pytest.mark.long), pytest.param(0.5, marks=pytest.mark.slow)],
)
def test_value_and_gradient_are_those_of_ott(rho, x64):
    """Of mass one, where its reference a b' and ours are the same."""
    pytest.importorskip("ott")
    with warnings.catch_warnings(), jax.numpy_dtype_promotion("standard"):
        warnings.simplefilter("ignore")
        from ott.geometry import geometry
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import sinkhorn

        mu, nu = measures(np.dtype("float64"))
        kind = BALANCED if rho is None else KL(rho)
        tau = 1.0 if rho is None else rho / (rho + EPSILON)

        def theirs(x):
            def transport(p, q, a, b):
                cost = ((p[:, None] - q[None]) ** 2).sum(-1)
                # unbalanced, its reference is uniform: the weights go into the cost
                shift = 0 if rho is None else EPSILON * jnp.log(a[:, None] * b[None])
                problem = linear_problem.LinearProblem(
                    geometry.Geometry(cost - shift, epsilon=EPSILON), a, b, tau_a=tau, tau_b=tau
                )
                out = sinkhorn.Sinkhorn(threshold=1e-11, max_iterations=20_000)(problem)
                f, g = (jax.lax.stop_gradient(part) for part in (out.f, out.g))
                if rho is None:
                    mass = jnp.exp((f[:, None] + g[None] - cost) / EPSILON).sum()
                    f = f - EPSILON * jnp.log(a)
                    g = g - EPSILON * jnp.log(b)
                    return a @ f + b @ g - EPSILON * (mass - 1)
                mass = (
                    a[:, None] * b[None] * jnp.exp((f[:, None] + g[None] - cost) / EPSILON)
                ).sum()
                reward = rho * (a @ (1 - jnp.exp(-f / rho)) + b @ (1 - jnp.exp(-g / rho)))
                return reward - EPSILON * (mass - 1)

            a, y, b = mu.weights, nu.points, nu.weights
            own = transport(x, x, a, a) + transport(y, y, b, b)
            return transport(x, y, a, b) - own / 2

        expected, slope = jax.value_and_grad(theirs)(mu.points)

    def ours(x):
        return divergence.solve(
            Measure(x, mu.weights), nu, epsilon=EPSILON, source_marginal=kind, target_marginal=kind,
            tol=1e-11,
        ).value  # fmt: skip

    value, own = jax.value_and_grad(ours)(mu.points)
    np.testing.assert_allclose(value, expected, atol=1e-8)
    np.testing.assert_allclose(own, slope, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("reach", [None, 0.5])
def test_value_is_geomloss_s(reach, x64):
    """Its |x - y|^2 / 2 makes half of our value; it stops after one update an epsilon."""
    torch = pytest.importorskip("torch")
    geomloss = pytest.importorskip("geomloss")
    mu, nu = measures(np.dtype("float64"))
    blur = (EPSILON / 2) ** 0.5
    loss = geomloss.SamplesLoss(p=2, blur=blur, reach=reach, scaling=0.999, backend="tensorized")
    parts = (mu.weights, mu.points, nu.weights, nu.points)
    theirs = 2 * loss(*(torch.tensor(np.asarray(part)) for part in parts)).item()
    kind = BALANCED if reach is None else KL(2 * reach**2)
    found = divergence.solve(mu, nu, epsilon=EPSILON, source_marginal=kind, target_marginal=kind)
    np.testing.assert_allclose(found.value, theirs, rtol=1e-3)
