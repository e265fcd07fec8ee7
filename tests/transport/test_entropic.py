"""What both entropic methods promise, on the same problems.

One shape serves nearly all (smaller ones are padded into it): a solve compiles for about a second.
"""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from jaxcolor.iterate import Status, default_tol
from jaxcolor.transport import blocks, kernels, newton, problem, sinkhorn
from jaxcolor.transport.coupling import Start, confidence, plan
from jaxcolor.transport.kernels import Cloud, Dense

from problems import (  # isort: skip
    divergence,
    entropic,
    marginal,
    pair,
    squared_distances,
    violation,
)

N, M = 13, 9
METHODS = {"newton": newton, "sinkhorn": sinkhorn}
MARGINALS = {
    "balanced": (("Balanced",), ("Balanced",)),
    "kl": (("KL", 1.0), ("KL", 0.6)),
    "kl balanced": (("KL", 0.8), ("Balanced",)),
    "tv": (("TV", 1.0), ("TV", 0.7)),
    "range": (("Range", 0.5, 1.5), ("Range", 0.8, 1.3)),
    "kl range": (("KL", 1.0), ("Range", 0.0, 1.2)),
    "tv balanced": (("TV", 1.0), ("Balanced",)),
}
CASES = [
    *[("newton", name) for name in ("balanced", "kl", "kl balanced")],
    *[("sinkhorn", name) for name in ("balanced", "kl", "tv", "range", "kl range", "tv balanced")],
]
SINGLE = [
    *[("newton", name) for name in ("balanced", "kl")],
    *[("sinkhorn", name) for name in ("balanced", "tv balanced")],
]
every_case = pytest.mark.parametrize(("method", "name"), CASES)
# `dtype` is the fixture; in float32 fewer cases
both_dtypes = pytest.mark.parametrize(
    ("method", "name", "dtype"),
    [(*case, "float64") for case in CASES] + [(*case, "float32") for case in SINGLE],
    indirect=["dtype"],
)
every_method = pytest.mark.parametrize("method", METHODS)
warm_cases = pytest.mark.parametrize(
    ("method", "name"), [("newton", "balanced"), ("sinkhorn", "kl")]
)


def scaled(side: tuple, factor: float) -> tuple:
    """The marginal in other units of cost."""
    kind, *parameters = side
    return (kind, *(factor * v for v in parameters)) if kind in ("KL", "TV") else side


def solve(method, name, cost, a, b, epsilon, dtype, *, unit=1.0, init=None, **options):
    source, target = (marginal(*scaled(side, unit)) for side in MARGINALS[name])
    cost, a, b = (jnp.asarray(v, dtype) for v in (cost, a, b))
    return METHODS[method].solve(
        Dense(cost),
        a,
        b,
        epsilon=epsilon,
        source_marginal=source,
        target_marginal=target,
        init=init,
        **options,
    )


def usual(seed: int = 0):
    x, y, a, b = pair(seed, N, M)
    return squared_distances(x, y), a, b


def embed(cost, a, b, garbage: float = 0.0):
    """A smaller problem within the usual shape, `garbage` the costs of the weightless points."""
    full = np.full((N, M), garbage)
    full[: len(a), : len(b)] = cost
    return full, np.pad(a, (0, N - len(a))), np.pad(b, (0, M - len(b)))


def status(coupling) -> Status:
    return Status(int(coupling.info.status))


def assert_all_finite(coupling):
    for leaf in (coupling.f, coupling.g, coupling.value, coupling.info.error):
        assert np.isfinite(leaf).all()


def tight(dtype) -> float:
    return 1e-10 if dtype == np.float64 else 2e-5


# closed forms


@every_method
def test_two_points(method, dtype):
    """Costs 0 and 1: the plan is a logistic function of 1 / epsilon, the value its entropy."""
    half = np.array([0.5, 0.5])
    cost, a, b = embed(np.array([[0.0, 1.0], [1.0, 0.0]]), half, half)
    for epsilon in (0.1, 1.0, 10.0):
        coupling = solve(method, "balanced", cost, a, b, epsilon, dtype, tol=tight(dtype))
        stay = 0.5 / (1 + np.exp(-1 / epsilon))
        want = np.array([[stay, 0.5 - stay], [0.5 - stay, stay]])
        np.testing.assert_allclose(plan(coupling)[:2, :2], want, atol=1e-6)
        value = 1 - 2 * stay + epsilon * divergence(want, np.full((2, 2), 0.25))
        np.testing.assert_allclose(coupling.value, value, rtol=1e-5)
        # the sum of the potentials is known; b.g = 0 says what each one is
        np.testing.assert_allclose(coupling.f[:2], epsilon * np.log(4 * stay), atol=1e-5)
        np.testing.assert_allclose(coupling.g[:2], 0, atol=1e-5)


@every_method
def test_a_cost_of_separate_terms_couples_independently(method, dtype):
    _, a, b = usual()
    u, v = np.linspace(-1, 2, N), np.linspace(3, 1, M)
    coupling = solve(method, "balanced", u[:, None] + v[None], a, b, 0.2, dtype, tol=tight(dtype))
    np.testing.assert_allclose(plan(coupling), a[:, None] * b, atol=1e-6)
    np.testing.assert_allclose(coupling.value, a @ u + b @ v, rtol=1e-5)
    np.testing.assert_allclose(coupling.g, v - b @ v, atol=1e-5)


@every_method
@pytest.mark.parametrize("far", [0.1, 3.0, 30.0])
def test_one_point_each_with_kl(method, far, double):
    """far + epsilon log(p / s) + rho_a log(p / a) + rho_b log(p / b) = 0."""
    (_, rho_a), (_, rho_b) = MARGINALS["kl"]
    a, b, epsilon = 0.5, 2.0, 0.1
    cost, *weights = embed(np.array([[far]]), np.array([a]), np.array([b]))
    coupling = solve(method, "kl", cost, *weights, epsilon, double, tol=tight(double))
    log = rho_a * np.log(a) + rho_b * np.log(b) - far
    p = np.exp(log / (epsilon + rho_a + rho_b))
    np.testing.assert_allclose(plan(coupling)[0, 0], p, atol=2 * tight(double))
    mass = [divergence(np.array([p]), np.array([q])) for q in (1.0, a, b)]
    value = far * p + epsilon * mass[0] + rho_a * mass[1] + rho_b * mass[2]
    np.testing.assert_allclose(coupling.value, value, rtol=1e-5)


@pytest.mark.parametrize("far", [0.1, 1.6, 1.8, 3.0])
def test_one_point_each_with_total_variation(far, double):
    """Moved whole where the cost is below rho_a + rho_b = 1.7."""
    (_, rho_a), (_, rho_b) = MARGINALS["tv"]
    cost, a, b = embed(np.array([[far]]), np.ones(1), np.ones(1))
    coupling = solve("sinkhorn", "tv", cost, a, b, 0.1, double, tol=tight(double))
    p = min(1, np.exp((rho_a + rho_b - far) / 0.1))
    np.testing.assert_allclose(plan(coupling)[0, 0], p, rtol=1e-4)
    value = far * p + 0.1 * divergence(np.array([p]), np.ones(1)) + (rho_a + rho_b) * (1 - p)
    np.testing.assert_allclose(coupling.value, value, rtol=1e-5)


@pytest.mark.parametrize(("far", "p"), [(0.01, np.exp(-0.1)), (1.0, 0.8), (-1.0, 1.3)])
def test_one_point_each_with_ranges(far, p, double):
    """exp(-cost / epsilon) where both ranges hold it, else their common end."""
    cost, a, b = embed(np.array([[far]]), np.ones(1), np.ones(1))
    coupling = solve("sinkhorn", "range", cost, a, b, 0.1, double, tol=tight(double))
    np.testing.assert_allclose(plan(coupling)[0, 0], p, rtol=1e-5)
    value = far * p + 0.1 * divergence(np.array([p]), np.ones(1))
    np.testing.assert_allclose(coupling.value, value, rtol=1e-5)


@every_method
def test_a_measure_coupled_with_itself_stays_where_it_is(method, dtype):
    x, _, _, b = pair(3, M, M)
    cost, a, b = embed(squared_distances(x, x), b, b)
    coupling = solve(method, "balanced", cost, a, b, 1e-3 * cost.max(), dtype)
    np.testing.assert_allclose(plan(coupling)[:M].sum(0), b, atol=2e-4)
    assert np.trace(plan(coupling)) > 0.9
    # self-coupling is symmetric, whatever the method does
    inner = plan(coupling)[:M]
    np.testing.assert_allclose(inner, inner.T, atol=2e-4)


# oracles


@both_dtypes
@pytest.mark.parametrize("masses", [(1.0, 1.0), (5.0, 5.0), (1.0, 1.4)], ids=str)
def test_plan_and_value_are_the_oracles(method, name, masses, dtype):
    if name == "balanced" and masses[0] != masses[1]:
        masses = (0.3, 0.3)
    for seed, epsilon in ((0, 0.1), (1, 1.0), (2, 0.4)):
        cost, a, b = usual(seed)
        a, b = masses[0] * a, masses[1] * b
        want, value = entropic(cost, a, b, epsilon, *MARGINALS[name])
        coupling = solve(method, name, cost, a, b, epsilon, dtype, tol=tight(dtype))
        assert status(coupling) == Status.OK
        close = 1e-6 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(coupling.value, value, rtol=close)
        np.testing.assert_allclose(plan(coupling), want, atol=close * want.sum())
        assert coupling.value.dtype == coupling.f.dtype == coupling.g.dtype == dtype


@both_dtypes
def test_the_reported_error_is_the_violation_of_the_marginals(method, name, dtype):
    """Stopped early, so that there is something to see."""
    for seed in range(4):
        cost, a, b = usual(seed)
        a, b = (a, b) if name == "balanced" else (a, 1.2 * b)
        coupling = solve(method, name, cost, a, b, 0.05, dtype, tol=0.05)
        got = float(coupling.info.error)
        f, g = (np.asarray(v, np.float64) for v in (coupling.f, coupling.g))
        want = violation(cost, a, b, 0.05, *MARGINALS[name], f, g)
        rounding = 1e-9 if dtype == np.float64 else 2e-5
        np.testing.assert_allclose(got, want, rtol=rounding, atol=rounding)
        if name == "balanced":
            masses = np.asarray(plan(coupling), np.float64)
            ends = np.abs(masses.sum(1) - a).sum() + np.abs(masses.sum(0) - b).sum()
            np.testing.assert_allclose(got, ends, rtol=rounding, atol=rounding)


@every_case
def test_confidence_is_row_and_column_mass(method, name, double):
    cost, a, b = usual(5)
    coupling = solve(method, name, cost, a, b, 0.1, double)
    masses = plan(coupling)
    np.testing.assert_allclose(confidence(coupling, 1), masses.sum(1) / a, rtol=1e-10)
    np.testing.assert_allclose(confidence(coupling, 0), masses.sum(0) / b, rtol=1e-10)


@every_method
def test_values_lie_between_the_linear_programme_and_its_entropy(method, double):
    """LP <= value <= LP + epsilon KL(P_LP | a b'), at every epsilon: an oracle for small ones."""
    cost, a, b = usual(6)
    rows = np.kron(np.eye(N), np.ones(M)), np.kron(np.ones(N), np.eye(M))
    exact = linprog(cost.ravel(), A_eq=np.vstack(rows), b_eq=np.concatenate([a, b]))
    entropy = divergence(exact.x.reshape(N, M), a[:, None] * b)
    for ratio in (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0):
        epsilon = ratio * cost.max()
        coupling = solve(method, "balanced", cost, a, b, epsilon, double)
        if method == "newton" or ratio >= 1e-2:
            assert status(coupling) == Status.OK
            assert coupling.value >= exact.fun * (1 - 1e-7)
            assert coupling.value <= exact.fun + epsilon * entropy + 1e-7
        else:
            # too slow, and it says so; what it has is a lower bound all the same
            assert status(coupling) in (Status.OK, Status.MAX_STEPS, Status.STALLED)
            assert 0.9 * exact.fun <= coupling.value <= exact.fun + epsilon * entropy + 1e-7


@pytest.mark.parametrize("name", ["balanced", "kl"])
def test_methods_agree(name, double):
    for seed in range(3):
        cost, a, b = usual(seed)
        one, other = (solve(m, name, cost, a, b, 0.03, double, tol=1e-11) for m in METHODS)
        np.testing.assert_allclose(one.value, other.value, rtol=1e-9)
        np.testing.assert_allclose(one.f, other.f, atol=1e-8)
        np.testing.assert_allclose(one.g, other.g, atol=1e-8)


@pytest.mark.parametrize(("method", "name"), SINGLE)
def test_single_precision_is_near_double(method, name):
    cost, a, b = usual(7)
    results = []
    for dtype in ("float64", "float32"):
        with jax.enable_x64(dtype == "float64"), jax.numpy_dtype_promotion("strict"):
            coupling = solve(method, name, cost, a, b, 0.05, dtype)
            results.append([np.asarray(v) for v in (coupling.value, plan(coupling))])
    (value, masses), (value32, masses32) = results
    assert value32.dtype == np.float32
    np.testing.assert_allclose(value32, value, rtol=1e-4)
    np.testing.assert_allclose(masses32, masses, atol=3e-4)


# symmetries


@every_case
def test_points_in_another_order_give_the_same_plan_in_that_order(method, name, double):
    cost, a, b = usual(8)
    rng = np.random.default_rng(0)
    i, j = rng.permutation(N), rng.permutation(M)
    one = solve(method, name, cost, a, b, 0.1, double)
    other = solve(method, name, cost[np.ix_(i, j)], a[i], b[j], 0.1, double)
    np.testing.assert_allclose(other.f, one.f[i], atol=1e-9)
    np.testing.assert_allclose(other.g, one.g[j], atol=1e-9)
    np.testing.assert_allclose(other.value, one.value, rtol=1e-10)
    assert other.info.steps == one.info.steps


@both_dtypes
def test_the_unit_of_cost_is_free(method, name, dtype):
    """Powers of two: not even rounding changes."""
    cost, a, b = usual(9)
    one = solve(method, name, cost, a, b, 0.1, dtype)
    other = solve(method, name, 16 * cost, a, b, 1.6, dtype, unit=16.0)
    close = 1e-9 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(other.value, 16 * one.value, rtol=close)
    np.testing.assert_allclose(other.f, 16 * one.f, atol=16 * close)
    assert abs(int(other.info.steps) - int(one.info.steps)) <= 1


@both_dtypes
def test_the_unit_of_mass_is_free(method, name, dtype):
    cost, a, b = usual(10)
    one = solve(method, name, cost, a, b, 0.1, dtype)
    for unit in (1e-9, 5.0, 2.0**40):
        other = solve(method, name, cost, unit * a, unit * b, 0.1, dtype)
        assert status(other) == Status.OK
        close = 1e-9 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(other.value, unit * one.value, rtol=close)
        np.testing.assert_allclose(other.f, one.f, atol=10 * close)


@every_method
def test_costs_of_one_side_only_move_its_potential(method, double):
    cost, a, b = usual(11)
    u, v = np.linspace(-1, 1, N), np.linspace(0, 3, M)
    one = solve(method, "balanced", cost, a, b, 0.1, double)
    other = solve(method, "balanced", cost + u[:, None] + v, a, b, 0.1, double)
    np.testing.assert_allclose(plan(other), plan(one), atol=1e-8)
    np.testing.assert_allclose(other.value, one.value + a @ u + b @ v, rtol=1e-8)


def test_clouds_far_from_the_origin_couple_as_centred_ones(single):
    """Exact binary coordinates: the two problems are one and the same."""
    x, y, a, b = pair(12, N, M)
    x, y = (np.round(v * 64) / 64 for v in (x, y))
    plans = []
    for offset in (0.0, 128.0):
        cloud = Cloud(*(jnp.asarray(v + offset, jnp.float32) for v in (x, y)))
        weights = (jnp.asarray(v, jnp.float32) for v in (a, b))
        plans.append(np.asarray(plan(newton.solve(cloud, *weights, epsilon=0.02))))
    np.testing.assert_allclose(plans[1], plans[0], atol=1e-7)


@every_method
def test_balanced_potentials_have_the_agreed_gauge(method, dtype):
    cost, a, b = usual(13)
    coupling = solve(method, "balanced", cost, a, 3 * b / 3, 0.1, dtype)
    assert abs(b @ np.asarray(coupling.g)) < (1e-12 if dtype == np.float64 else 1e-5)


# padding


@both_dtypes
def test_weightless_points_change_nothing(method, name, dtype):
    """Neither their number nor their costs: value, potentials, steps and error stay."""
    x, y, a, b = pair(14, N - 3, M - 2)
    cost, epsilon = squared_distances(x, y), 0.1
    couplings = [
        solve(method, name, *embed(cost, a, b, garbage), epsilon, dtype)
        for garbage in (1.0, 0.0, 1e4)
    ]
    want, value = entropic(cost, a, b, epsilon, *MARGINALS[name])
    close = 1e-7 if dtype == np.float64 else 2e-4
    for coupling in couplings:
        assert_all_finite(coupling)
        assert coupling.info.steps == couplings[0].info.steps
        np.testing.assert_allclose(coupling.value, value, rtol=close)
        np.testing.assert_allclose(plan(coupling)[: N - 3, : M - 2], want, atol=close)
        assert plan(coupling)[N - 3 :].sum() == plan(coupling)[:, M - 2 :].sum() == 0
        for one, other in ((coupling.f, couplings[0].f), (coupling.g, couplings[0].g)):
            np.testing.assert_array_equal(one[: M - 2], other[: M - 2])


@both_dtypes
def test_weightless_points_nearer_than_any_partner_change_nothing(method, name, dtype):
    """All mass is far, the padding near: exp(potential / epsilon) overflows there."""
    x, y, a, b = pair(17, N - 3, M - 2)
    cost, epsilon, unit = squared_distances(x, y) + 50, 0.1, 1e-2
    coupling = solve(method, name, *embed(cost, a, b, 0.0), epsilon, dtype, unit=unit)
    sides = (scaled(side, unit) for side in MARGINALS[name])
    want, value = entropic(cost, a, b, epsilon, *sides)
    assert_all_finite(coupling)
    np.testing.assert_allclose(coupling.value, value, rtol=1e-4)
    np.testing.assert_allclose(plan(coupling)[: N - 3, : M - 2], want, atol=2e-3)


@pytest.mark.parametrize(("method", "name"), [("newton", "kl"), ("sinkhorn", "tv balanced")])
def test_padded_problems_take_the_steps_of_the_bare_ones(method, name, double):
    x, y, a, b = pair(15, N - 3, M - 2)
    cost = squared_distances(x, y)
    bare = solve(method, name, cost, a, b, 0.1, double)
    padded = solve(method, name, *embed(cost, a, b, 7.0), 0.1, double)
    assert padded.info.steps == bare.info.steps
    np.testing.assert_allclose(padded.f[: N - 3], bare.f, atol=1e-10)
    np.testing.assert_allclose(padded.g[: M - 2], bare.g, atol=1e-10)
    np.testing.assert_allclose(padded.value, bare.value, rtol=1e-12)


@every_case
def test_potentials_of_weightless_points_are_half_steps(method, name, double):
    """As if the point were there with hardly any mass."""
    cost, a, b = usual(16)
    some = a.copy(), b.copy()
    some[0][0] = some[1][0] = 0
    none = solve(method, name, cost, *(v / v.sum() for v in some), 0.2, double, tol=1e-12)
    some[0][0] = some[1][0] = 1e-9
    tiny = solve(method, name, cost, *(v / v.sum() for v in some), 0.2, double, tol=1e-12)
    np.testing.assert_allclose(none.f, tiny.f, atol=1e-6)
    np.testing.assert_allclose(none.g, tiny.g, atol=1e-6)


# endings


@every_method
def test_balanced_masses_that_differ_are_infeasible(method, dtype):
    cost, a, b = usual(0)
    coupling = solve(method, "balanced", cost, a, 1.001 * b, 0.1, dtype)
    assert status(coupling) == Status.INFEASIBLE
    assert_all_finite(coupling)
    assert status(solve(method, "balanced", cost, a, (1 + 1e-6) * b, 0.1, dtype, tol=1e-4)) == 0
    # the same masses will do where one side may give way
    name = {"newton": "kl", "sinkhorn": "tv balanced"}[method]
    assert status(solve(method, name, cost, a, 1.001 * b, 0.1, dtype)) == Status.OK


def test_ranges_that_do_not_meet_are_infeasible(double):
    cost, a, b = usual(0)
    assert status(solve("sinkhorn", "range", cost, a, 2 * b, 0.1, double)) == Status.INFEASIBLE
    assert status(solve("sinkhorn", "range", cost, 3 * a, b, 0.1, double)) == Status.INFEASIBLE
    assert status(solve("sinkhorn", "range", cost, a, 1.8 * b, 0.1, double)) == Status.OK


@every_case
@pytest.mark.parametrize("where", ["cost", "a", "b", "epsilon", "negative epsilon"])
def test_input_that_is_not_finite_is_said_to_be(method, name, where, double):
    cost, a, b = usual(0)
    epsilon = {"epsilon": np.nan, "negative epsilon": -1.0}.get(where, 0.1)
    spoilt = {"cost": cost, "a": a, "b": b}.get(where)
    if spoilt is not None:
        spoilt[0] = np.nan
    assert status(solve(method, name, cost, a, b, epsilon, double)) == Status.NONFINITE


@both_dtypes
def test_steps_that_run_out_leave_something_finite(method, name, dtype):
    """Even before annealing has come to the epsilon asked for."""
    cost, a, b = usual(0)
    for epsilon in (0.3, 0.03, 0.003):
        for most in (0, 1, 2):
            coupling = solve(method, name, cost, a, b, epsilon, dtype, max_steps=most, tol=1e-12)
            assert status(coupling) == Status.MAX_STEPS
            assert coupling.info.steps == most
            assert_all_finite(coupling)


@both_dtypes
@pytest.mark.parametrize("ratio", [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0])
def test_ok_means_within_the_tolerance(method, name, ratio, dtype):
    """And whatever is not OK is finite, and says what it is."""
    for seed in range(6):
        cost, a, b = usual(seed)
        coupling = solve(method, name, cost, a, b, ratio * cost.max(), dtype)
        assert_all_finite(coupling)
        if status(coupling) == Status.OK:
            assert coupling.info.error <= 2 * default_tol(dtype)  # as `Status` says
        else:
            assert status(coupling) in (Status.MAX_STEPS, Status.STALLED)
            assert ratio < 0.1


@both_dtypes
def test_partners_too_far_to_reach_end_finite(method, name, dtype):
    """At a small rho, and an epsilon where exp(-cost / epsilon) is zero."""
    cost, a, b = usual(1)
    cost = cost + 1.0
    for unit, epsilon in ((1e-2, 0.02), (1e-2, 1e-3), (1e-3, 1e-3)):
        coupling = solve(method, name, cost, a, b, epsilon, dtype, unit=unit)
        assert_all_finite(coupling)
        assert status(coupling) != Status.NONFINITE


# transformations and starts


def test_vmap_under_jit_is_an_eager_loop(single):
    """Over weights, costs and epsilon; a problem that fails leaves the others alone."""
    problems = [usual(seed) for seed in range(4)]
    cost, a, b = (np.stack(v).astype(np.float32) for v in zip(*problems, strict=True))
    cost[2, 0, 0] = np.nan
    epsilon = np.float32([0.05, 0.3, 0.1, 2.0])

    @jax.jit
    @jax.vmap
    def batched(cost, a, b, epsilon):
        return solve("newton", "kl", cost, a, b, epsilon, single)

    batch = batched(cost, a, b, epsilon)
    for k in range(4):
        one = solve("newton", "kl", cost[k], a[k], b[k], epsilon[k], single)
        assert batch.info.status[k] == one.info.status
        assert batch.info.steps[k] == one.info.steps
        if k == 2:
            assert status(one) == Status.NONFINITE
        else:
            np.testing.assert_allclose(batch.value[k], one.value, rtol=1e-5)
            np.testing.assert_allclose(batch.f[k], one.f, atol=2e-4)


@warm_cases
def test_the_answer_as_a_start_is_taken_at_once(method, name, double):
    cost, a, b = usual(3)
    cold = solve(method, name, cost, a, b, 0.05, double)
    warm = solve(method, name, cost, a, b, 0.05, double, init=Start(cold.g, cold.epsilon))
    assert cold.info.steps >= 5
    assert warm.info.steps <= 1
    np.testing.assert_allclose(warm.value, cold.value, rtol=1e-8)
    np.testing.assert_allclose(plan(warm), plan(cold), atol=1e-8)


@warm_cases
def test_a_start_from_a_larger_epsilon_saves_steps(method, name, double):
    cost, a, b = usual(3)
    before = solve(method, name, cost, a, b, 0.1, double)
    cold = solve(method, name, cost, a, b, 0.05, double)
    warm = solve(method, name, cost, a, b, 0.05, double, init=Start(before.g, before.epsilon))
    assert warm.info.steps < cold.info.steps
    np.testing.assert_allclose(warm.value, cold.value, rtol=1e-8)


@warm_cases
@pytest.mark.parametrize("garbage", ["noise", "nan", "inf"])
def test_a_start_that_is_worse_than_none_is_not_taken(method, name, garbage, double):
    cost, a, b = usual(4)
    noise = 1e3 * np.random.default_rng(0).normal(size=M)
    g = {"noise": noise, "nan": np.full(M, np.nan), "inf": np.full(M, np.inf)}[garbage]
    cold = solve(method, name, cost, a, b, 0.05, double)
    got = solve(method, name, cost, a, b, 0.05, double, init=Start(jnp.asarray(g), 0.05))
    assert status(got) == Status.OK
    assert got.info.steps <= cold.info.steps
    np.testing.assert_allclose(got.value, cold.value, rtol=1e-8)


@every_method
def test_other_numbers_compile_nothing(method, single, caplog):
    """Neither another epsilon, be it Python's, NumPy's or JAX's, nor rho, tol and max_steps."""
    name = {"newton": "kl", "sinkhorn": "tv balanced"}[method]
    problem, other = usual(0), usual(1)

    def compiled(function):
        caplog.clear()
        with jax.log_compiles(), caplog.at_level(logging.WARNING):
            function()
        return [r.getMessage() for r in caplog.records if "ompil" in r.getMessage()]

    def call(arrays=problem, **changes):
        options = {"epsilon": 0.1, "tol": 1e-4, "max_steps": 50, "unit": 1.0} | changes
        return lambda: solve(method, name, *arrays, dtype=single, **options)

    assert len(compiled(lambda: jax.jit(lambda x: x + 1)(1.0))) > 0  # the instrument works
    call()()
    assert compiled(call(other)) == []
    for epsilon in (0.2, np.float32(0.3), np.float64(0.4), jnp.float32(0.5)):
        assert compiled(call(epsilon=epsilon)) == []
    assert compiled(call(unit=2.0, tol=1e-3, max_steps=60)) == []
    assert compiled(call(tol=jnp.float32(1e-3), max_steps=jnp.int32(60))) == []


def test_streamed_products_serve_as_stored_ones_do(double, monkeypatch):
    """Blocks of 4 rows, the softmax computed anew for each product: as very large clouds go."""
    x, y, a, b = pair(5, 10, 7)  # a shape of its own, not compiled before
    used = []

    def streamed(*arguments):
        used.append(arguments)
        return original(*arguments)

    original = kernels._streamed
    monkeypatch.setattr(kernels, "_streamed", streamed)
    monkeypatch.setattr(blocks, "BLOCK", 4)
    monkeypatch.setattr(kernels, "COMPACT", 0)
    monkeypatch.setattr(newton, "STORED", 0)
    source, target = MARGINALS["kl"]
    coupling = newton.solve(
        Cloud(jnp.asarray(x), jnp.asarray(y)),
        *(jnp.asarray(v) for v in (a, b)),
        epsilon=0.1,
        source_marginal=marginal(*source),
        target_marginal=marginal(*target),
        tol=1e-10,
    )
    want, value = entropic(squared_distances(x, y), a, b, 0.1, source, target)
    assert len(used) > 0
    assert status(coupling) == Status.OK
    np.testing.assert_allclose(coupling.value, value, rtol=1e-9)
    np.testing.assert_allclose(plan(coupling), want, atol=1e-9)


@every_method
def test_shapes_that_do_not_match_are_named(method):
    cost, a, b = usual(0)
    with pytest.raises(ValueError, match=r"\(9,\) and \(13,\) do not match a kernel \(13, 9\)"):
        METHODS[method].solve(Dense(jnp.asarray(cost)), b, a, epsilon=0.1)


@pytest.mark.parametrize(
    ("kinds", "want"),
    [
        (("float32", "float32", "float32"), "float32"),
        (("float32", "float64", "float32"), "float64"),
        (("float64", "float32", "float32"), "float64"),
        (("float16", "float16", "float16"), "float32"),
        (("bfloat16", "float32", "float64"), "float64"),
    ],
)
def test_a_problem_has_the_widest_dtype_of_its_inputs(kinds, want, double):
    """Under strict promotion too, and never less than float32; a cloud or a matrix."""
    x, y, a, b = pair(0, N, M)
    x, y, a, b = (jnp.asarray(v, kinds[k]) for v, k in zip((x, y, a, b), (0, 0, 1, 2), strict=True))
    for kernel in (Cloud(x, y), Dense(jnp.zeros((N, M), kinds[0]))):
        p = problem.make(kernel, a, b, 0.1, marginal("KL", 1.0), marginal("TV", jnp.float32(2)))
        assert {leaf.dtype for leaf in jax.tree.leaves(p)} == {jnp.dtype(want)}
