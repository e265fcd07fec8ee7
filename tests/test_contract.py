"""Every method on every backend with every marginal, plainly, under jit and under vmap.

The table of capabilities is the list of cases: what it promises works and agrees, what it does not
name is refused. All in float64, where the same answer means the same to ten digits.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import cloud

import jaxcolor
from jaxcolor import CAPABILITIES, Measure, Status, plan, solve
from jaxcolor.transport import marginals

pytestmark = [
    pytest.mark.usefixtures("x64"),
    pytest.mark.filterwarnings("ignore"),  # the peers' own
]

MARGINALS = {
    "Balanced": marginals.Balanced(),
    "KL": marginals.KL(0.7),
    "TV": marginals.TV(0.6),
    "Range": marginals.Range(0.6, 1.5),
    "Mixed": marginals.Mixed(0.7),
}
PACKAGES = {"ott": "ott", "pot": "ot"}
METHODS = dict.fromkeys(method for method, _ in CAPABILITIES)
BACKENDS = dict.fromkeys(backend for _, backend in CAPABILITIES)
CASES = [
    (method, backend, name)
    for (method, backend), able in CAPABILITIES.items()
    for name in able.marginals
]
ABSENT = [
    (method, backend, name)
    for method, backend, name in itertools.product(METHODS, BACKENDS, MARGINALS)
    if (method, backend, name) not in CASES
]


def problem(seed: int = 0) -> tuple[Measure, Measure]:
    """9 and 12 points, one of each side without weight."""
    mu, nu = (cloud(seed + k, n, np.float64) for k, n in ((0, 9), (1, 12)))

    def thinned(m, i):
        weights = m.weights.at[i].set(0)
        return Measure(m.points / 3, weights / weights.sum())

    return thinned(mu, 2), thinned(nu, 7)


def options(method: str, name: str) -> dict:
    """What one case passes to `solve`."""
    both = {"source_marginal": MARGINALS[name], "target_marginal": MARGINALS[name]}
    return {"method": method} | both | ({} if method == "exact" else {"epsilon": 0.1, "tol": 1e-11})


def reference(mu: Measure, nu: Measure, name: str, exact: bool):
    if exact:
        from scipy.optimize import linprog

        cost = np.asarray(jaxcolor.SqEuclidean()(mu.points, nu.points))
        n, m = cost.shape
        sums = np.concatenate([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
        masses = np.concatenate([mu.weights, nu.weights])
        return linprog(cost.ravel(), A_eq=sums, b_eq=masses).fun, None
    out = solve(mu, nu, **options("sinkhorn", name))
    return out.value, plan(out)


def agree(out, mu: Measure, nu: Measure, method: str, name: str) -> None:
    value, expected = reference(mu, nu, name, method == "exact")
    assert int(out.info.status) == Status.OK
    np.testing.assert_allclose(out.value, value, atol=1e-9)
    if expected is not None:
        np.testing.assert_allclose(plan(out), expected, atol=1e-9)
    assert np.isfinite(np.concatenate([out.f, out.g])).all()
    assert float(out.info.error) <= 1e-10


@pytest.mark.parametrize(("method", "backend", "name"), CASES)
def test_what_the_table_promises_works_and_agrees(method, backend, name):
    if backend in PACKAGES:
        pytest.importorskip(PACKAGES[backend])
    mu, nu = problem()
    agree(solve(mu, nu, backend=backend, **options(method, name)), mu, nu, method, name)


# traced, two marginals stand for all: the others differ in a formula
TRACED = [
    case if case[2] in ("Balanced", "KL") else pytest.param(*case, marks=pytest.mark.long)
    for case in CASES
]


@pytest.mark.parametrize(("method", "backend", "name"), TRACED)
def test_it_works_under_jit_where_the_table_says_so(method, backend, name):
    if backend in PACKAGES:
        pytest.importorskip(PACKAGES[backend])
    mu, nu = problem()
    traced = jax.jit(lambda mu, nu: solve(mu, nu, backend=backend, **options(method, name)))
    if CAPABILITIES[method, backend].traced:
        agree(traced(mu, nu), mu, nu, method, name)
    else:
        with pytest.raises(ValueError, match="host"):
            traced(mu, nu)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "backend", "name"), TRACED)
def test_it_works_under_vmap_where_the_table_says_so(method, backend, name):
    if backend in PACKAGES:
        pytest.importorskip(PACKAGES[backend])
    pairs = [problem(seed) for seed in (0, 10, 20)]
    mu, nu = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)
    mapped = jax.vmap(lambda mu, nu: solve(mu, nu, backend=backend, **options(method, name)))
    if not CAPABILITIES[method, backend].traced:
        with pytest.raises(ValueError, match="host"):
            mapped(mu, nu)
        return
    out = mapped(mu, nu)
    for k, pair in enumerate(pairs):
        agree(jax.tree.map(lambda leaf, k=k: leaf[k], out), *pair, method, name)


@pytest.mark.parametrize(("method", "backend", "name"), ABSENT)
def test_what_the_table_does_not_name_is_refused(method, backend, name):
    if backend in PACKAGES:
        pytest.importorskip(PACKAGES[backend])
    mu, nu = problem()
    with pytest.raises(ValueError, match=f"backend|{name}"):
        solve(mu, nu, backend=backend, **options(method, name))


@pytest.mark.parametrize("name", MARGINALS)
def test_a_function_may_be_the_backend(name):
    """Anything that finds potentials plugs in; value, plan, error and status are ours."""
    from jaxcolor.transport import sinkhorn

    seen = []

    def backend(p, tol, max_steps):
        seen.append((p.a.shape, p.b.shape, tol, max_steps))
        out = sinkhorn.solve(
            jaxcolor.Dense(jnp.asarray(p.kernel.dense())),
            p.a,
            p.b,
            epsilon=float(p.epsilon),
            source_marginal=p.source_marginal,
            target_marginal=p.target_marginal,
            tol=tol,
        )
        return out.f, out.g

    mu, nu = problem()
    out = solve(mu, nu, backend=backend, **options("sinkhorn", name))
    agree(out, mu, nu, "sinkhorn", name)
    # points without weight are not its business
    assert seen == [((8,), (11,), 1e-11, 100_000)]


def test_a_backend_that_is_wrong_is_found_out():
    mu, nu = problem()
    asked = []

    def lazy(p, tol, max_steps):
        asked.append(max_steps)
        return np.zeros(p.a.shape), np.zeros(p.b.shape)

    out = solve(mu, nu, epsilon=0.1, method="sinkhorn", backend=lazy, max_steps=0)
    assert asked == [0]
    assert int(out.info.status) == Status.MAX_STEPS
    assert float(out.info.error) > 0.1

    def broken(p, tol, max_steps):
        return np.full(p.a.shape, np.nan), np.zeros(p.b.shape)

    out = solve(mu, nu, epsilon=0.1, method="sinkhorn", backend=broken)
    assert int(out.info.status) == Status.NONFINITE

    def misshapen(p, tol, max_steps):
        return np.zeros(3), np.zeros(3)

    with pytest.raises(ValueError, match="returns f"):
        solve(mu, nu, epsilon=0.1, method="sinkhorn", backend=misshapen)


def test_masses_that_differ_are_infeasible_on_every_backend():
    mu, nu = problem()
    double = Measure(nu.points, 2 * nu.weights)
    for (method, backend), _ in CAPABILITIES.items():
        if backend in PACKAGES:
            pytest.importorskip(PACKAGES[backend])
        out = solve(mu, double, backend=backend, **options(method, "Balanced"))
        assert int(out.info.status) == Status.INFEASIBLE, (method, backend)
