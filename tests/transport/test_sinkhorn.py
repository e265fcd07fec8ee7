"""Sinkhorn's own options, and another library's answers (the rest: test_entropic.py)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.iterate import Status
from jaxcolor.transport import sinkhorn
from jaxcolor.transport.coupling import plan
from jaxcolor.transport.kernels import Dense
from jaxcolor.transport.marginals import KL, Balanced

from problems import divergence, entropic, pair, squared_distances  # isort: skip


def usual(seed: int, dtype):
    x, y, a, b = pair(seed)
    return [jnp.asarray(v, dtype) for v in (squared_distances(x, y), a, b)]


@pytest.mark.parametrize("scaling", [1e-6, 0.2, 0.5, 0.9])
def test_the_pace_of_annealing_changes_no_answer(scaling, double):
    cost, a, b = usual(0, double)
    coupling = sinkhorn.solve(Dense(cost), a, b, epsilon=0.1, scaling=scaling)
    want, value = entropic(*map(np.asarray, (cost, a, b)), 0.1)
    assert coupling.info.status == Status.OK
    np.testing.assert_allclose(coupling.value, value, rtol=1e-8)
    np.testing.assert_allclose(plan(coupling), want, atol=1e-7)


def test_slower_annealing_takes_more_blocks_on_the_way(double):
    cost, a, b = usual(0, double)
    steps = [
        int(sinkhorn.solve(Dense(cost), a, b, epsilon=2.0, scaling=s).info.steps)
        for s in (1e-6, 0.5, 0.95)
    ]
    assert steps == sorted(steps)
    assert steps[2] > 2 * steps[1]


def test_over_relaxation_halves_the_steps_of_a_hard_problem(double):
    for seed in range(4):
        cost, a, b = usual(seed, double)
        fast, plain = (
            sinkhorn.solve(
                Dense(cost),
                a,
                1.3 * b,
                epsilon=0.03,
                source_marginal=KL(1.0),
                target_marginal=KL(1.0),
                relax=relax,
            )
            for relax in (True, False)
        )
        assert fast.info.status == plain.info.status == Status.OK
        np.testing.assert_allclose(fast.value, plain.value, rtol=1e-8)
        assert 2 * fast.info.steps <= plain.info.steps


@pytest.mark.parametrize("relax", [True, False])
@pytest.mark.parametrize(("seed", "epsilon"), [(0, 0.01), (3, 0.03), (3, 0.01)])
def test_an_error_that_stands_still_for_a_while_is_not_the_end(relax, seed, epsilon, double):
    """Potentials travel far while the error stays; a thousand blocks at most do it."""
    cost, a, b = usual(seed, double)
    coupling = sinkhorn.solve(Dense(cost), a, b, epsilon=epsilon, relax=relax)
    assert coupling.info.status == Status.OK
    assert coupling.info.error <= 1.01e-8


def test_averaged_updates_give_equal_potentials_for_equal_measures(double):
    """f = g where the gauge is free; with two hard sides up to that constant."""
    x, _, a, _ = pair(1)
    cost = squared_distances(x, x[:9])
    a = np.where(np.arange(13) < 9, a, 0)
    a, b = jnp.asarray(a), jnp.asarray(a[:9])  # the other four are padding
    for marginal in (KL(1.0), Balanced()):
        coupling = sinkhorn.solve(
            Dense(jnp.asarray(cost)),
            a,
            b,
            epsilon=0.1,
            source_marginal=marginal,
            target_marginal=marginal,
            symmetric=True,
            tol=1e-4,  # averaged updates are slow
        )
        assert coupling.info.status == Status.OK
        gap = coupling.f[:9] - coupling.g
        gap = gap if isinstance(marginal, KL) else gap - gap.mean()
        np.testing.assert_allclose(gap, 0, atol=1e-7)
        masses = plan(coupling)[:9]
        np.testing.assert_allclose(masses, masses.T, atol=1e-7)


def test_averaged_updates_find_the_same_plan(double):
    cost, a, b = usual(2, double)
    want, value = entropic(*map(np.asarray, (cost, a, b)), 0.1)
    coupling = sinkhorn.solve(Dense(cost), a, b, epsilon=0.1, symmetric=True)
    assert coupling.info.status == Status.OK
    np.testing.assert_allclose(plan(coupling), want, atol=1e-7)
    np.testing.assert_allclose(coupling.value, value, rtol=1e-8)


def test_history_records_the_error_of_each_block(double):
    cost, a, b = usual(3, double)
    bare = sinkhorn.solve(Dense(cost), a, b, epsilon=0.3)
    assert bare.info.history is None
    coupling = sinkhorn.solve(Dense(cost), a, b, epsilon=0.3, history=20)
    steps, history = int(coupling.info.steps), np.asarray(coupling.info.history)
    assert coupling.info.steps == bare.info.steps < 19
    assert history.shape == (20,)
    assert np.isfinite(history[: steps + 1]).all()
    assert np.isnan(history[steps + 1 :]).all()
    np.testing.assert_allclose(history[steps], coupling.info.error, rtol=1e-3)
    assert (history[:steps] > 1e-8).all()
    assert (np.diff(history[steps - 3 : steps + 1]) < 0).all()
    # one too short keeps its beginning
    harder = sinkhorn.solve(Dense(cost), a, b, epsilon=0.1, history=20)
    assert harder.info.steps > 20
    assert harder.info.status == Status.OK
    assert np.isfinite(harder.info.history).all()
    assert (np.asarray(harder.info.history) > 1e-8).all()


# ott-jax fails under strict promotion, and warns on import


@pytest.fixture
def ott_sinkhorn():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("ott")
        from ott.geometry import geometry
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import sinkhorn as ott

        def solve(cost, a, b, epsilon, tau_a=1.0, tau_b=1.0):
            with jax.numpy_dtype_promotion("standard"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                geom = geometry.Geometry(cost_matrix=jnp.asarray(cost), epsilon=epsilon)
                prob = linear_problem.LinearProblem(
                    geom, jnp.asarray(a), jnp.asarray(b), tau_a=tau_a, tau_b=tau_b
                )
                out = ott.Sinkhorn(threshold=1e-12, max_iterations=100_000)(prob)
                return np.asarray(out.matrix), float(out.reg_ot_cost)

        yield solve


@pytest.mark.parametrize("zeros", [0, 2])
def test_balanced_plan_and_value_are_those_of_ott(zeros, ott_sinkhorn, double):
    cost, a, b = (np.array(v) for v in usual(4, double))
    a[:zeros], b[:zeros] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    want, value = ott_sinkhorn(cost, a, b, 0.2)
    coupling = sinkhorn.solve(*_arrays(cost, a, b), epsilon=0.2, tol=1e-11)
    np.testing.assert_allclose(plan(coupling), want, atol=1e-10)
    np.testing.assert_allclose(coupling.value, value, rtol=1e-10)


def test_unbalanced_plan_is_that_of_ott(ott_sinkhorn, double):
    """Its reference is one, ours a b' / s: the logarithm goes into the cost it gets."""
    cost, a, b = (np.array(v) for v in usual(5, double))
    b, epsilon, rhos = 1.3 * b, 0.2, (1.0, 0.5)
    reference = a[:, None] * b / np.sqrt(a.sum() * b.sum())
    taus = [rho / (rho + epsilon) for rho in rhos]
    want, _ = ott_sinkhorn(cost - epsilon * np.log(reference), a, b, epsilon, *taus)
    coupling = sinkhorn.solve(
        *_arrays(cost, a, b),
        epsilon=epsilon,
        source_marginal=KL(rhos[0]),
        target_marginal=KL(rhos[1]),
        tol=1e-11,
    )
    np.testing.assert_allclose(plan(coupling), want, atol=1e-10)
    value = (cost * want).sum() + epsilon * divergence(want, reference)
    value += rhos[0] * divergence(want.sum(1), a) + rhos[1] * divergence(want.sum(0), b)
    np.testing.assert_allclose(coupling.value, value, rtol=1e-9)


def _arrays(cost, a, b):
    return Dense(jnp.asarray(cost)), jnp.asarray(a), jnp.asarray(b)
