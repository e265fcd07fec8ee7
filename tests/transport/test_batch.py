import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import cloud

import jaxcolor
from jaxcolor import KL, TV, Measure, Start, Status, check, solve, solve_batch
from jaxcolor.transport import batch


def stack(dtype, count=7, n=12, m=9):
    """`count` pairs of clouds, every other one padded with weightless points."""
    pairs = []
    for k in range(count):
        mu, nu = cloud(2 * k, n, dtype), cloud(2 * k + 1, m, dtype)
        if k % 2:
            weights = mu.weights.at[:3].set(0)
            mu = Measure(mu.points, weights / weights.sum())
        pairs.append((mu, nu))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)


def one_by_one(mu, nu, epsilons, **options):
    count = len(mu.points)
    outs = [
        solve(*jax.tree.map(lambda leaf, k=k: leaf[k], (mu, nu)), epsilon=epsilons[k], **options)
        for k in range(count)
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *outs)


@pytest.mark.parametrize(
    ("method", "lanes"),
    [
        ("newton", None),
        ("newton", 3),
        pytest.param("newton", 50, marks=pytest.mark.long),
        pytest.param("sinkhorn", 3, marks=pytest.mark.slow),
    ],
)
def test_each_problem_is_solved_as_if_alone(dtype, method, lanes):
    mu, nu = stack(dtype)
    epsilons = jnp.asarray(np.geomspace(0.3, 5, 7), dtype)
    out = solve_batch(mu, nu, epsilon=epsilons, method=method, lanes=lanes)
    alone = one_by_one(mu, nu, epsilons, method=method)
    check(out.info)
    tol = 1e-4 if dtype == np.float32 else 1e-8
    np.testing.assert_allclose(out.value, alone.value, rtol=tol)
    np.testing.assert_allclose(out.f, alone.f, atol=100 * tol)
    assert out.f.shape == (7, 12)
    assert out.f.dtype == dtype


def test_parameters_may_differ_by_problem():
    mu, nu = stack(np.float32, 3)
    rho = jnp.array([0.1, 1.0, 10.0])
    out = solve_batch(mu, nu, epsilon=0.1, source_marginal=KL(rho), target_marginal=KL(2.0))
    for k in range(3):
        pair = jax.tree.map(lambda leaf, k=k: leaf[k], (mu, nu))
        alone = solve(*pair, epsilon=0.1, source_marginal=KL(rho[k]), target_marginal=KL(2.0))
        np.testing.assert_allclose(out.value[k], alone.value, rtol=1e-4)


@pytest.mark.parametrize("lanes", [None, 2])
def test_one_that_fails_does_not_spoil_the_others(lanes):
    mu, nu = stack(np.float32, 5)
    bad = Measure(mu.points.at[1, 0, 0].set(jnp.nan), mu.weights.at[3].multiply(2))
    out = solve_batch(bad, nu, epsilon=0.1, lanes=lanes)
    expected = [Status.OK, Status.NONFINITE, Status.OK, Status.INFEASIBLE, Status.OK]
    np.testing.assert_array_equal(out.info.status, expected)
    alone = one_by_one(mu, nu, [0.1] * 5)
    good = jnp.array([0, 2, 4])
    np.testing.assert_allclose(out.value[good], alone.value[good], rtol=1e-4)
    with pytest.raises(RuntimeError, match=r"2 of 5 problems ended with NONFINITE.*\[1\]"):
        check(out.info)


@pytest.mark.parametrize("lanes", [1, pytest.param(3, marks=pytest.mark.long)])
def test_it_works_under_jit_and_has_the_derivatives_of_the_loop(x64, lanes):
    mu, nu = stack(np.float64, 4)

    def total(points, **options):
        out = solve_batch(Measure(points, mu.weights), nu, epsilon=0.3, tol=1e-11, **options)
        return out.value.sum() + (out.f**2).sum()

    def loop(points):
        def one(x, a, y, b):
            out = solve(Measure(x, a), Measure(y, b), epsilon=0.3, tol=1e-11)
            return out.value + (out.f**2).sum()

        return jax.vmap(one)(points, mu.weights, nu.points, nu.weights).sum()

    slope = jax.jit(jax.grad(lambda points: total(points, lanes=lanes)))(mu.points)
    np.testing.assert_allclose(slope, jax.grad(loop)(mu.points), atol=1e-7)


def test_starts_are_used(dtype):
    mu, nu = stack(dtype)
    cold = solve_batch(mu, nu, epsilon=0.05)
    starts = Start(cold.g, jnp.full(7, 0.05, dtype))
    warm = solve_batch(mu, nu, epsilon=0.05, init=starts)
    assert (np.asarray(warm.info.steps) <= 2).all()
    assert (np.asarray(warm.info.steps) < np.asarray(cold.info.steps)).all()
    np.testing.assert_allclose(warm.value, cold.value, rtol=1e-4)


def test_finished_problems_stop_costing():
    """Lanes take a new problem as soon as theirs is done: turns are the work shared out evenly."""
    turns = []

    class Counted:
        """newton with a counter on its step."""

        from jaxcolor.transport.newton import begin, beginning, found, options, running

        begin, beginning, found = map(staticmethod, (begin, beginning, found))
        options, running = staticmethod(options), staticmethod(running)

        @staticmethod
        def step(p, options, s, stored):
            from jaxcolor.transport import newton

            jax.debug.callback(lambda steps: turns.append(int(steps)), s.steps)
            return newton.step(p, options, s, stored)

    mu, nu = stack(np.float32, 12)
    epsilons = jnp.where(jnp.arange(12) % 4 == 0, 1e-3, 10.0)  # every fourth is hard
    from jaxcolor.transport import solvers

    p = solvers._stack(mu, nu, epsilons, jaxcolor.SqEuclidean(), KL(1.0), KL(1.0))
    out = batch._in_lanes(p, None, Counted.options(np.float32), method=Counted, lanes=4)
    jax.effects_barrier()
    steps = np.asarray(out.info.steps)
    evaluations = len(turns) / 4
    # in lockstep groups of four would take the slowest of each: thrice the hard one's steps
    lockstep = sum(steps[k : k + 4].max() + 1 for k in range(0, 12, 4))
    assert evaluations < lockstep
    assert evaluations >= np.ceil(steps.sum() / 4)


def test_a_second_call_compiles_nothing():
    mu, nu = stack(np.float32)
    solve_batch(mu, nu, epsilon=0.1)
    sizes = batch._part._cache_size(), batch._in_lanes._cache_size()
    solve_batch(mu, nu, epsilon=jnp.full(7, 0.2), tol=1e-3, max_steps=50)
    assert (batch._part._cache_size(), batch._in_lanes._cache_size()) == sizes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "exact"}, "newton, sinkhorn"),
        ({"method": "nwton"}, "newton, sinkhorn"),
        ({"backend": "ott"}, "on jax"),
        ({"epsilon": None}, "needs epsilon"),
        ({"lanes": 0}, "at least 1"),
        ({"source_marginal": TV(1.0)}, "sinkhorn/jax"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    mu, nu = stack(np.float32, 2)
    with pytest.raises(ValueError, match=message):
        solve_batch(mu, nu, **{"epsilon": 0.1} | change)


def test_shapes_must_match():
    mu, nu = stack(np.float32, 3)
    with pytest.raises(ValueError, match="as many sources as targets"):
        solve_batch(jax.tree.map(lambda leaf: leaf[:2], mu), nu, epsilon=0.1)
    with pytest.raises(ValueError, match=r"\(B, n, d\)"):
        solve_batch(jax.tree.map(lambda leaf: leaf[0], mu), nu, epsilon=0.1)
