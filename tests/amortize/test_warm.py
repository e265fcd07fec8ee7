import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor import amortize
from jaxcolor.amortize import model, warm
from jaxcolor.measure import Grid, Measure, point_cloud
from jaxcolor.transport.costs import Euclidean, SqEuclidean
from jaxcolor.transport.coupling import Start
from jaxcolor.transport.solvers import solve, solve_batch


def one(both, k=0):
    return jax.tree.map(lambda z: z[k], both)


@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_newton_takes_fewer_steps(both, epsilon):
    cold = solve_batch(*both, epsilon=epsilon, cost=Euclidean())
    begun = solve_batch(*both, epsilon=epsilon, cost=Euclidean(), init=amortize.start)
    assert (np.asarray(begun.info.status) == 0).all()
    np.testing.assert_allclose(begun.value, cold.value, rtol=1e-4)
    assert np.median(begun.info.steps) <= 0.75 * np.median(cold.info.steps)


def test_a_batch_is_many_solves(both):
    batch = solve_batch(*both, epsilon=0.3, cost=Euclidean(), init=amortize.start)
    lanes = solve_batch(*both, epsilon=0.3, cost=Euclidean(), init=amortize.start, lanes=4)
    np.testing.assert_allclose(lanes.value, batch.value, rtol=1e-5)
    for k in (0, 5):
        alone = solve(*one(both, k), epsilon=0.3, cost=Euclidean(), init=amortize.start)
        np.testing.assert_allclose(alone.value, batch.value[k], rtol=1e-5)
        assert abs(int(alone.info.steps) - int(batch.info.steps[k])) <= 1


def test_under_jit_and_vmap(both):
    def value(mu, nu):
        return solve(mu, nu, epsilon=0.3, cost=Euclidean(), init=amortize.start).value

    some = jax.tree.map(lambda z: z[:2], both)
    values = jax.jit(jax.vmap(value))(*some)
    batch = solve_batch(*some, epsilon=0.3, cost=Euclidean())
    np.testing.assert_allclose(values, batch.value, rtol=1e-4)
    jitted = jax.jit(
        lambda *z: solve_batch(*z, epsilon=0.3, cost=Euclidean(), init=amortize.start).value
    )
    np.testing.assert_allclose(jitted(*some), batch.value, rtol=1e-4)


def test_derivatives_do_not_depend_on_the_start(both):
    mu, nu = one(both)

    def value(x, init):
        return solve(Measure(x, mu.weights), nu, epsilon=1.0, cost=Euclidean(), init=init).value

    gradient = jax.jit(jax.grad(value))
    np.testing.assert_allclose(
        gradient(mu.points, amortize.start), gradient(mu.points, None), atol=1e-5
    )


def test_what_it_is_not_made_for_is_no_worse(both):
    mu, nu = one(both)
    cold = solve(mu, nu, epsilon=20.0, cost=SqEuclidean())
    other = solve(mu, nu, epsilon=20.0, cost=SqEuclidean(), init=amortize.start)
    assert int(other.info.status) == 0
    np.testing.assert_allclose(other.value, cold.value, rtol=1e-4)

    wild = model.initial(jax.random.key(1))
    untrained = warm.Guess(jax.tree.map(lambda w: 30 * w, wild))
    cold = solve(mu, nu, epsilon=0.3, cost=Euclidean())
    again = solve(mu, nu, epsilon=0.3, cost=Euclidean(), init=untrained)
    assert int(again.info.status) == 0
    assert int(again.info.steps) == int(cold.info.steps)


def test_it_serves_any_dtype_and_total_mass(both, x64):
    mu, nu = jax.tree.map(lambda z: z.astype(jnp.float64), one(both))
    double = amortize.start(mu, nu, 0.1)
    assert double.g.dtype == jnp.float64
    mu, nu = jax.tree.map(lambda z: z.astype(jnp.float32), (mu, nu))
    heavy = amortize.start(
        Measure(mu.points, 7 * mu.weights), Measure(nu.points, 7 * nu.weights), 0.1
    )
    np.testing.assert_allclose(heavy.g, double.g, atol=1e-2)
    assert heavy.g.dtype == jnp.float32


def test_annealing_begins_where_it_is_trusted(both):
    mu, nu = one(both)
    begun = amortize.start(mu, nu, 0.05)
    assert isinstance(begun, Start)
    np.testing.assert_allclose(begun.epsilon, warm.TRUSTED)
    np.testing.assert_allclose(amortize.start(mu, nu, 7.0).epsilon, 7.0)


@pytest.mark.parametrize("init", [amortize.start, lambda *problem: amortize.start(*problem)])
def test_a_second_call_compiles_nothing(both, init, caplog):
    def run():
        return solve_batch(*both, epsilon=0.5, cost=Euclidean(), init=init).value

    np.testing.assert_allclose(run(), solve_batch(*both, epsilon=0.5, cost=Euclidean()).value, 1e-4)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        run()
    assert not [r for r in caplog.records if "ompiling" in r.message]


def test_what_is_no_palette_is_refused():
    mu = point_cloud([[0.0, 1.0], [2.0, 3.0]])
    with pytest.raises(ValueError, match="CIELAB"):
        solve(mu, mu, epsilon=0.1, cost=Euclidean(), init=amortize.start)
    density = Grid((jnp.arange(3.0),) * 3, jnp.full((3, 3, 3), 1 / 27))
    with pytest.raises(ValueError, match="CIELAB"):
        solve(density, density, epsilon=0.1, init=amortize.start)


def test_the_weights_are_small_and_plain():
    from importlib.resources import files

    assert files("jaxcolor.amortize").joinpath("weights.npz").stat().st_size < 1_000_000  # pyright: ignore
    leaves = jax.tree.leaves(amortize.start.network)
    assert all(isinstance(leaf, np.ndarray) and leaf.dtype == np.float32 for leaf in leaves)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
