import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import cloud

from jaxcolor import (
    KL,
    TV,
    Dense,
    Euclidean,
    Lp,
    Measure,
    Start,
    Status,
    check,
    epsilon_from_blur,
    plan,
    rho_from_reach,
    solve,
)
from jaxcolor.transport import newton, sinkhorn, solvers
from jaxcolor.tree import pytree


def pair(dtype=np.float32, n=30, m=20):
    return cloud(0, n, dtype), cloud(1, m, dtype)


def test_the_door_and_the_method_behind_it_agree(dtype):
    from jaxcolor.transport.kernels import Cloud

    mu, nu = pair(dtype)
    for name, module in (("newton", newton), ("sinkhorn", sinkhorn)):
        door = solve(mu, nu, epsilon=0.3, method=name)
        own = module.solve(Cloud(mu.points, nu.points), mu.weights, nu.weights, epsilon=0.3)
        np.testing.assert_array_equal(door.value, own.value)
        assert door.value.dtype == dtype


def test_blur_and_reach_are_geomloss_s():
    """It minimises <C / 2, P> + blur^2 KL + reach^2 penalties: twice that is ours."""
    mu, nu = pair(np.float32)
    blur, reach = 0.4, 1.3
    ours = solve(mu, nu, epsilon=epsilon_from_blur(blur), source_marginal=KL(rho_from_reach(reach)),
                 target_marginal=KL(rho_from_reach(reach)), tol=1e-5)  # fmt: skip

    @pytree
    class Half:
        def __call__(self, x, y):
            return 0.5 * ((x[:, None] - y[None]) ** 2).sum(-1)

    theirs = solve(mu, nu, epsilon=blur**2, cost=Half(), source_marginal=KL(reach**2),
                   target_marginal=KL(reach**2), tol=1e-5)  # fmt: skip
    np.testing.assert_allclose(plan(ours), plan(theirs), atol=1e-5)
    np.testing.assert_allclose(ours.value, 2 * theirs.value, rtol=1e-4)


@pytest.mark.parametrize("cost", [Euclidean(), Lp(1.5), Lp(4.0)], ids=lambda c: type(c).__name__)
def test_any_cost(dtype, cost):
    mu, nu = pair(dtype)
    with jax.numpy_dtype_promotion("standard"):
        out = solve(mu, nu, epsilon=0.1, cost=cost)
    check(out.info)
    rows = np.asarray(plan(out), np.float64).sum(1)
    np.testing.assert_allclose(rows, mu.weights, atol=1e-4)


# --- init -------------------------------------------------------------------------------------


def test_a_coupling_of_nearby_measures_is_a_good_start(dtype):
    mu, nu = pair(dtype, 200, 150)
    cold = solve(mu, nu, epsilon=0.02)
    moved = Measure(nu.points[:140] + 0.001, nu.weights[:140] / nu.weights[:140].sum())
    warm = solve(mu, moved, epsilon=0.02, init=cold)
    again = solve(mu, moved, epsilon=0.02)
    assert int(warm.info.steps) < int(again.info.steps)
    np.testing.assert_allclose(warm.value, again.value, rtol=1e-4)


def test_a_function_may_choose_the_start(dtype):
    mu, nu = pair(dtype)
    true = solve(mu, nu, epsilon=0.05)
    calls = []

    def oracle(source, target, epsilon):
        calls.append((source.points.shape, target.points.shape, float(epsilon)))
        return Start(true.g, epsilon)

    warm = solve(mu, nu, epsilon=0.05, init=oracle)
    assert len(calls) == 1
    assert int(warm.info.steps) <= 2
    nothing = solve(mu, nu, epsilon=0.05, init=lambda *_: None)
    np.testing.assert_array_equal(nothing.value, true.value)


@pytest.mark.parametrize("method", ["newton", "sinkhorn"])
def test_a_bad_start_does_no_harm(method):
    mu, nu = pair()
    cold = solve(mu, nu, epsilon=0.05, method=method)
    noise = Start(1e3 * jax.random.normal(jax.random.key(0), (20,)), jnp.float32(0.05))
    out = solve(mu, nu, epsilon=0.05, method=method, init=noise)
    assert int(out.info.status) == Status.OK
    assert int(out.info.steps) == int(cold.info.steps)
    np.testing.assert_allclose(out.value, cold.value, rtol=1e-4)


@pytest.mark.slow
def test_large_clouds_begin_with_a_few_points():
    """And padding them still changes neither the result nor the number of steps."""
    rng = np.random.default_rng(0)
    size, more = newton.MANY + 60, newton.MANY + 300

    def padded(points, weights, n):
        extra = n - len(points)
        return Measure(
            jnp.asarray(np.concatenate([points, np.full((extra, 3), 9.0)]), jnp.float32),
            jnp.asarray(np.concatenate([weights, np.zeros(extra)]), jnp.float32),
        )

    x, y = rng.random((size, 3)), rng.random((size, 3)) * 0.5
    a, b = rng.dirichlet(np.ones(size)), rng.dirichlet(np.ones(size))
    plain = solve(padded(x, a, size), padded(y, b, size), epsilon=2e-3)
    more_of_it = solve(padded(x, a, more), padded(y, b, more), epsilon=2e-3)
    check(plain.info)
    assert int(plain.info.steps) == int(more_of_it.info.steps)
    np.testing.assert_allclose(more_of_it.value, plain.value, rtol=1e-5)
    assert int(plain.info.steps) <= 4  # the others were taken on few points


# --- no compilation twice ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["newton", "sinkhorn"])
def test_a_second_call_compiles_nothing(method):
    mu, nu = pair()
    module = solvers.MODULES[method]
    solve(mu, nu, epsilon=0.1, method=method)
    size = module.solve_problem._cache_size()
    solve(nu_like(mu), nu, epsilon=jnp.float32(0.2), method=method, tol=1e-3, max_steps=40)
    solve(mu, nu, epsilon=np.float64(0.3), method=method, tol=jnp.float32(1e-3))
    assert module.solve_problem._cache_size() == size


def nu_like(mu):
    return Measure(mu.points + 1, mu.weights)


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "nwton"}, "one of newton, multiscale, sinkhorn, exact"),
        ({"backend": "geomloss"}, "one of jax"),
        ({"method": "sinkhorn", "backend": "scipy"}, "jax, ott, pot"),
        ({"epsilon": None}, "needs epsilon"),
        ({"method": "exact"}, "leave epsilon out"),
        ({"source_marginal": TV(1.0)}, "works with sinkhorn/jax"),
        ({"method": "exact", "epsilon": None, "backend": len}, "not an exact plan"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        solve(*pair(), **{"epsilon": 0.1} | change)


def test_a_backend_that_is_not_installed_says_how_to_get_it(monkeypatch):
    from jaxcolor.transport import backends

    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'jaxcolor\[ott\]'"):
        solve(*pair(), epsilon=0.1, method="sinkhorn", backend="ott")
    assert backends.choose("exact", None) == "scipy"


def test_shapes_must_match():
    mu, nu = pair()
    with pytest.raises(ValueError, match="differ in dimension"):
        solve(mu, Measure(nu.points[:, :2], nu.weights), epsilon=0.1)
    with pytest.raises(ValueError, match="weights to match"):
        solve(mu, Measure(nu.points, nu.weights[:3]), epsilon=0.1)
    with pytest.raises(ValueError, match="do not match a kernel"):
        newton.solve(Dense(jnp.zeros((3, 2))), jnp.ones(2), jnp.ones(2), epsilon=1.0)
