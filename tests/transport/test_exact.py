import subprocess
import sys
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import OptimizeResult, linear_sum_assignment

from jaxcolor.iterate import Status, check
from jaxcolor.measure import Measure
from jaxcolor.transport import backends, exact, newton, sparse
from jaxcolor.transport.costs import Euclidean, Lp
from jaxcolor.transport.kernels import Cloud, Dense

from problems import cloud  # isort: skip


OFFERED = [name for name in sorted(exact.BACKENDS) if name != "pot" or find_spec("ot")]


@pytest.fixture(params=OFFERED)
def backend(request):
    return request.param


def clouds(seed, n, m, dtype, weighted=True):
    mu, nu = cloud(seed, n, dtype, weighted=weighted), cloud(seed + 9, m, dtype, weighted=weighted)
    return Cloud(mu.points, nu.points), mu.weights, nu.weights


def assert_optimal(c, scale_of_rounding=30):
    """Feasible plan, feasible potentials, no gap, equality where mass moves, the gauge."""
    check(c.info)
    eps = float(np.finfo(c.f.dtype).eps) * scale_of_rounding
    a, b, f, g, mass, cost = (
        np.asarray(part, np.float64)
        for part in (c.a, c.b, c.f, c.g, c.mass, jax.jit(lambda k: k.dense())(c.kernel))
    )
    P = np.zeros(cost.shape)
    np.add.at(P, (np.asarray(c.rows), np.asarray(c.cols)), mass)
    top, total = np.abs(cost).max() + np.finfo(float).tiny, a.sum()
    assert (mass >= 0).all()
    assert np.abs(P.sum(1) - a).sum() + np.abs(P.sum(0) - b).sum() <= eps * total
    slack = cost - f[:, None] - g[None]
    some = (a > 0)[:, None] | (b > 0)[None]
    assert slack[some].min() >= -eps * top
    assert np.abs(slack[P > 0]).max() <= (eps + 1e-11) * top
    assert abs((P * cost).sum() - float(c.value)) <= eps * top * total
    assert abs(a @ f + b @ g - float(c.value)) <= eps * top * total
    assert abs(b @ g) <= eps * top * total


@pytest.mark.parametrize("n", [1, 2, 30])
def test_equal_weights_give_a_permutation(n, backend, dtype):
    """The first theorem: vertices of the Birkhoff polytope."""
    c = exact.solve(*clouds(0, n, n, dtype, weighted=False), backend=backend)
    assert_optimal(c)
    P = np.asarray(sparse.plan(c))
    assert ((P > 0).sum(0) == 1).all()
    assert ((P > 0).sum(1) == 1).all()
    rows, cols = linear_sum_assignment(c.kernel.dense())
    np.testing.assert_array_equal(P[rows, cols], c.a)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 7), (6, 1), (30, 21), (20, 20)])
def test_a_vertex_has_few_entries(n, m, backend, dtype):
    """The second: a plan's support is a forest."""
    c = exact.solve(*clouds(1, n, m, dtype), backend=backend)
    assert_optimal(c)
    assert (np.asarray(c.mass) > 0).sum() <= n + m - 1
    assert c.mass.shape == c.rows.shape == c.cols.shape == (n + m - 1,)
    assert (c.rows.dtype, c.cols.dtype) == (jnp.int32, jnp.int32)
    assert {leaf.dtype for leaf in (c.mass, c.f, c.g, c.value, c.info.error)} == {dtype}


def test_exact_value_by_independent_solvers(ot, double):
    kernel, a, b = clouds(2, 60, 45, double)
    cost = np.asarray(kernel.dense())
    theirs = ot.lp.emd2(np.asarray(a), np.asarray(b) * float(a.sum() / b.sum()), cost)
    for name in exact.BACKENDS:
        assert abs(float(exact.solve(kernel, a, b, backend=name).value) - theirs) < 1e-11
    rows, cols = linear_sum_assignment(cost[:45, :45])
    even = np.full(45, 1 / 45)
    ours = exact.solve(Dense(cost[:45, :45]), even, even, backend="pot").value
    np.testing.assert_allclose(ours, cost[rows, cols].mean(), rtol=1e-12)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 9),
    m=st.integers(1, 9),
    levels=st.integers(1, 4),
    name=st.sampled_from(OFFERED),
)
def test_degenerate_problems(seed, n, m, levels, name):
    """Whole-number costs and weights, many of them alike or zero: ties wherever one looks."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(-levels, levels, (n, m)).astype(np.float32)
    a, b = rng.integers(0, 3, n) + 1.0 * (np.arange(n) == 0), rng.integers(0, 3, m) * 1.0
    b[0] += 1
    a, b = a * b.sum(), b * a.sum()
    c = exact.solve(Dense(jnp.asarray(cost)), a, b, backend=name)
    assert_optimal(c)
    assert (np.asarray(c.mass) > 0).sum() <= (a > 0).sum() + (b > 0).sum() - 1


def test_both_backends_agree(ot, dtype):
    for seed, weighted in ((3, True), (4, False)):
        problem = clouds(seed, 24, 24, dtype, weighted=weighted)
        first, second = (exact.solve(*problem, backend=name) for name in ("pot", "scipy"))
        np.testing.assert_allclose(first.value, second.value, rtol=1e-6)
        np.testing.assert_allclose(sparse.plan(first), sparse.plan(second), atol=1e-7)


@pytest.mark.parametrize("cost", [Euclidean(), Lp(3.0), Lp(0.5)])
def test_any_cost(cost, backend, dtype):
    kernel, a, b = clouds(5, 25, 18, dtype)
    assert_optimal(exact.solve(Cloud(kernel.x, kernel.y, cost), a, b, backend=backend), 100)


def test_weightless_points_are_inert(backend, dtype):
    kernel, a, b = clouds(6, 20, 14, dtype)
    plain = exact.solve(kernel, a, b, backend=backend)
    x = jnp.insert(kernel.x, jnp.array([0, 7, 20]), kernel.y[:3], axis=0)
    y = jnp.concatenate([kernel.y, kernel.x[:2]])
    padded = exact.solve(
        Cloud(x, y),
        jnp.insert(a, jnp.array([0, 7, 20]), 0),
        jnp.concatenate([b, jnp.zeros(2, dtype)]),
        backend=backend,
    )
    assert_optimal(padded)
    kept = np.delete(np.arange(23), [0, 8, 22])
    assert plain.value == padded.value
    np.testing.assert_array_equal(np.asarray(sparse.plan(padded))[kept][:, :14], sparse.plan(plain))
    rounding = {"rtol": 1e-6, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-11}
    np.testing.assert_allclose(np.asarray(padded.f)[kept], plain.f, **rounding)
    np.testing.assert_allclose(padded.g[:14], plain.g, **rounding)
    # where nothing weighs, the c-transform
    np.testing.assert_allclose(sparse.potential(padded, x), padded.f, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(sparse.potential(padded, y, axis=0), padded.g, rtol=1e-5, atol=1e-5)


def test_a_translation_is_found(backend, dtype):
    x = clouds(7, 25, 1, dtype)[0].x
    shift = jnp.asarray([2.0, -1.0, 0.5], dtype)
    order = np.random.default_rng(0).permutation(25)
    even = jnp.full(25, 1 / 25, dtype)
    c = exact.solve(Cloud(x, (x + shift[None])[order]), even, even, backend=backend)
    np.testing.assert_allclose(c.value, 5.25, rtol=1e-5)
    np.testing.assert_allclose(sparse.average(c, c.kernel.y), x + shift[None], atol=1e-6)


def test_translation_adds_what_it_must(backend, double):
    """|x - y - t|^2 = |x - y|^2 - 2 (x - y).t + |t|^2: the same plan."""
    kernel, a, b = clouds(8, 20, 16, double)
    shift = jnp.asarray([1.0, -2.0, 3.0])
    here = exact.solve(kernel, a, b, backend=backend)
    there = exact.solve(Cloud(kernel.x, kernel.y + shift[None]), a, b, backend=backend)
    np.testing.assert_allclose(sparse.plan(there), sparse.plan(here), atol=1e-12)
    mean = a @ kernel.x - b @ kernel.y
    np.testing.assert_allclose(there.value, here.value - 2 * mean @ shift + 14, rtol=1e-12)


def test_entropic_transport_tends_to_it(double):
    """0 <= value(epsilon) - value <= epsilon H, H the greatest relative entropy of a plan."""
    kernel, a, b = clouds(18, 20, 15, double)
    c = exact.solve(kernel, a, b)
    P, a_, b_ = (np.asarray(part) for part in (sparse.plan(c), a, b))
    used = P > 0
    entropy = (P[used] * np.log(P[used] / (a_[:, None] * b_)[used])).sum()
    gaps = []
    for epsilon in (0.3, 0.03, 0.003):
        entropic = newton.solve(kernel, a, b, epsilon=epsilon)
        check(entropic.info)
        gaps.append(float(entropic.value - c.value))
        assert -1e-7 <= gaps[-1] <= epsilon * entropy + 1e-7
    assert gaps[0] > gaps[1] > gaps[2]
    assert abs(gaps[2] / gaps[1] - 0.1) < 0.03  # at last the plan is the vertex, the gap its KL


def test_equal_weights_of_other_sizes_are_no_assignment(backend, dtype):
    kernel, a, b = clouds(10, 12, 8, dtype, weighted=False)
    c = exact.solve(kernel, a, b, backend=backend)
    assert_optimal(c)
    assert (np.asarray(c.mass) > 0).sum() > 12


def test_units_of_mass_and_cost_do_not_matter(backend, dtype):
    kernel, a, b = clouds(11, 15, 12, dtype)
    c = exact.solve(kernel, a, b, backend=backend)
    mass, cost = jnp.asarray(2.0**40, dtype), jnp.asarray(2.0**-40, dtype)
    scaled = exact.solve(Dense(cost * kernel.dense()), mass * a, mass * b, backend=backend)
    np.testing.assert_allclose(sparse.plan(scaled), mass * sparse.plan(c), rtol=1e-5)
    np.testing.assert_allclose(scaled.value, c.value, rtol=1e-5)
    np.testing.assert_allclose(scaled.f, cost * c.f, rtol=1e-4, atol=1e-17)


def test_masses_that_differ(backend, dtype):
    kernel, a, b = clouds(12, 10, 8, dtype)
    more = exact.solve(kernel, a, b * jnp.asarray(1.01, dtype), backend=backend)
    assert more.info.status == Status.INFEASIBLE
    assert more.value == np.inf
    assert (more.mass == 0).all()
    with pytest.raises(RuntimeError, match="INFEASIBLE"):
        check(more.info)
    near = exact.solve(kernel, a, b * jnp.asarray(1 + 5e-6, dtype), backend=backend)
    check(near.info)
    assert 2e-6 < near.info.error < 8e-6
    np.testing.assert_allclose(near.value, near.a @ near.f, rtol=1e-5)


def test_faults_in_the_numbers_are_codes(dtype):
    kernel, a, b = clouds(13, 6, 6, dtype)
    broken = {
        Status.NONFINITE: [(Dense(kernel.dense().at[1, 2].set(jnp.nan)), a, b)],
        Status.INFEASIBLE: [(kernel, a.at[0].add(-2 * a[0]).at[1].add(2 * a[0]), b)],
    }
    broken[Status.NONFINITE] += [
        (kernel, a.at[0].set(jnp.inf), b),
        (kernel, a, b.at[0].set(jnp.nan)),
    ]
    for status, problems in broken.items():
        for problem in problems:
            c = exact.solve(*problem)
            assert c.info.status == status
            assert c.mass.shape == (11,)
            assert (c.mass == 0).all()
            assert np.isfinite(c.f).all()
    nothing = exact.solve(kernel, 0 * a, 0 * b)
    assert (int(nothing.info.status), float(nothing.value)) == (Status.OK, 0)


def test_faults_in_the_call_are_errors(monkeypatch):
    half = jnp.array([0.5, 0.5])
    with pytest.raises(ValueError, match="do not match"):
        exact.solve(Dense(jnp.eye(2)), half, jnp.ones(3))
    with pytest.raises(ValueError, match=r"exact has no backend 'cplex': one of scipy, pot$"):
        exact.solve(Dense(jnp.eye(2)), half, half, backend="cplex")
    for traced in (
        lambda: jax.jit(exact.solve)(Dense(jnp.eye(2)), half, half),
        lambda: jax.vmap(exact.solve)(Dense(jnp.ones((1, 2, 2))), half[None], half[None]),
        lambda: jax.grad(lambda C: exact.solve(Dense(C), half, half).value)(jnp.eye(2)),
    ):
        with pytest.raises(ValueError, match="outside jit"):
            traced()
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "ot" else True)
    assert exact.solve(Dense(jnp.eye(2)), half, half).value == 0  # SciPy's
    with pytest.raises(ValueError, match="not installed"):
        exact.solve(Dense(jnp.eye(2)), half, half, backend="pot")


def test_lists_and_whole_numbers_will_do():
    with jax.numpy_dtype_promotion("strict"):
        c = exact.solve(Dense(jnp.array([[1, 0], [0, 1]])), [1, 1], np.array([1.0, 1.0]))
    assert (c.value, c.mass.dtype) == (0, jnp.float32)


def test_a_plan_that_is_not_optimal_is_found_out(monkeypatch):
    def stubborn(a, b, cost):
        order = np.arange(len(a))
        return exact.Plan(order, order, a, np.zeros_like(b), Status.OK)

    monkeypatch.setitem(exact.BACKENDS, "scipy", stubborn)
    half = jnp.array([0.5, 0.5])
    c = exact.solve(Dense(jnp.eye(2)), half, half, backend="scipy")
    assert c.info.status == Status.STALLED
    assert exact.solve(Dense(1 - jnp.eye(2)), half, half, backend="scipy").info.status == Status.OK


def test_what_the_libraries_report_becomes_a_status(ot, monkeypatch):
    kernel, a, b = clouds(14, 6, 5, np.float32)
    whole = ot.lp.emd

    def tired(*args, **kwargs):
        plan, log = whole(*args, **kwargs)
        return plan, {**log, "result_code": 3}

    monkeypatch.setattr(ot.lp, "emd", tired)
    assert exact.solve(kernel, a, b, backend="pot").info.status == Status.MAX_STEPS
    monkeypatch.setattr("scipy.optimize.linprog", lambda *_, **__: OptimizeResult(x=None, status=4))
    c = exact.solve(kernel, a, b, backend="scipy")
    assert c.info.status == Status.STALLED
    assert (c.mass == 0).all()
    assert np.isfinite(c.f).all()


def test_a_plan_carries_the_colours(dtype):
    """A coupling on a picture's scale: equal weights, the map is a bijection."""
    mu = Measure(cloud(15, 300, dtype).points, jnp.full(300, 1 / 300, dtype))
    nu = cloud(24, 300, dtype)
    c = exact.solve(Cloud(mu.points, nu.points), mu.weights, mu.weights)
    moved = np.asarray(sparse.Nearest(c)(mu.points))
    assert len(np.unique(moved, axis=0)) == 300
    np.testing.assert_array_equal(np.sort(moved, 0), np.sort(np.asarray(nu.points), 0))


def test_what_is_not_used_is_not_imported():
    code = (
        "import sys; from jaxcolor.transport import exact, line_exact, quantize, sparse;"
        "heavy = {'ot', 'scipy.optimize', 'scipy.sparse'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
