"""Every solver that XLA runs is lowered for every platform, and what is exported gives the same."""

import importlib
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from problems import cloud

from jaxcolor import (
    KL,
    TV,
    Entropic,
    Grid,
    Measure,
    Range,
    Sharded,
    coarse_to_fine,
    quantize,
    solve,
    solve_batch,
    transport,
)
from jaxcolor.sharding import line_of
from jaxcolor.transport import (
    barycenter,
    barycenter_grid,
    directions,
    divergence,
    dynamic,
    em,
    flow,
    gaussian,
    line,
    line_exact,
    newton,
    patches,
    semidiscrete,
    sinkhorn,
    sliced,
    sliced_distance,
    spotnoise,
)
from jaxcolor.transport.kernels import Cloud

PLATFORMS = ("cpu", "cuda", "tpu")
# these compute on the host, in part or whole, and run outside `jit` only
ON_THE_HOST = {"exact", "mixture", "mixture_map", "multiscale", "backends"}


def clouds():
    mu, nu = cloud(0, 20, np.float32), cloud(1, 16, np.float32)
    return mu.points, mu.weights, nu.points, nu.weights


def densities():
    axis = jnp.linspace(0, 1, 12)
    weights = jnp.outer(jnp.exp(-(((axis - 0.3) / 0.2) ** 2)), jnp.ones(12))
    return weights / weights.sum(), weights.T / weights.sum()


def grids(a, b):
    axes = (jnp.linspace(0, 1, 12),) * 2
    return Grid(axes, a), Grid(axes, b)


def of_clouds(function):
    """A function of two measures, as one of arrays, with its arguments."""
    return lambda x, a, y, b: function(Measure(x, a), Measure(y, b)), clouds()


def of_grids(function):
    return lambda a, b: function(*grids(a, b)), densities()


def stacked(mu, nu):
    return jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), (mu, nu))


def divided(mu, nu):
    kernel = Sharded(Cloud(mu.points, nu.points), line_of())
    return newton.solve(kernel, mu.weights, nu.weights, epsilon=0.1).value


def started(mu, nu):
    from jaxcolor.amortize import start

    return solve(mu, nu, epsilon=0.1, init=start).value


def texture(picture):
    model = spotnoise.analyse(picture)
    both = spotnoise.barycenter([model, spotnoise.geodesic(model, model, 0.5)], jnp.ones(2) / 2)
    return spotnoise.synthesize(both, jax.random.key(0)), spotnoise.distance(model, both)


def on_a_line(mu, nu):
    x, y = mu.points[:, 0], nu.points[:, 0]
    distance = line_exact.distance(x, mu.weights, y, nu.weights)
    return distance, line_exact.couple(x, mu.weights, y, nu.weights).value


def gaussians(mu, nu):
    (m0, c0), (m1, c1) = gaussian.moments(mu), gaussian.moments(nu)
    means, covariances = jnp.stack([m0, m1]), jnp.stack([c0, c1])
    centre = gaussian.barycenter(means, covariances, jnp.ones(2) / 2)
    between = gaussian.geodesic(m0, c0, m1, c1, 0.5)
    return gaussian.solve(mu, nu)(mu.points), gaussian.distance(m0, c0, m1, c1), centre, between


def patched(picture):
    mean, covariance = patches.patch_model(picture, 2)
    return patches.sample(mean, covariance, jax.random.key(0), 3)


KEY = jax.random.key(0)
SOLVERS = {
    "newton": of_clouds(lambda mu, nu: solve(mu, nu, epsilon=0.1).value),
    "sinkhorn": of_clouds(
        lambda mu, nu: solve(
            mu, nu, epsilon=0.1, method="sinkhorn", source_marginal=TV(1.0),
            target_marginal=Range(0.5, 2.0),
        ).value
    ),
    "newton, unbalanced": of_clouds(
        lambda mu, nu: solve(mu, nu, epsilon=0.1, source_marginal=KL(1.0)).value
    ),
    "grid": of_grids(lambda mu, nu: solve(mu, nu, epsilon=0.01).value),
    "coarse to fine": of_grids(
        lambda mu, nu: solve(mu, nu, epsilon=0.01, init=coarse_to_fine, method="sinkhorn").value
    ),
    "batch, one lane": of_clouds(
        lambda mu, nu: solve_batch(*stacked(mu, nu), epsilon=0.1, lanes=1).value
    ),
    "batch, two lanes": of_clouds(
        lambda mu, nu: solve_batch(*stacked(mu, nu), epsilon=0.1, lanes=2).value
    ),
    "map": of_clouds(lambda mu, nu: Entropic(solve(mu, nu, epsilon=0.1))(mu.points)),
    "gradient": of_clouds(
        lambda mu, nu: jax.grad(
            lambda x: (solve(Measure(x, mu.weights), nu, epsilon=0.1).f ** 2).sum()
        )(mu.points)
    ),
    "learned start": of_clouds(started),
    "eight devices": of_clouds(divided),
    "divergence": of_clouds(lambda mu, nu: divergence.solve(mu, nu, epsilon=0.1).value),
    "line": of_clouds(lambda mu, nu: line.solve(mu, nu, knots=32)(mu.points)),
    "line, exact": of_clouds(on_a_line),
    "sliced": of_clouds(lambda mu, nu: sliced.solve(mu, nu, KEY, bases=3)(mu.points)),
    "sliced, until": of_clouds(
        lambda mu, nu: sliced.solve(mu, nu, KEY, bases=3, tol=0.1)(mu.points)
    ),
    "sliced distance": of_clouds(
        lambda mu, nu: sliced_distance.distance(mu, nu, directions.independent(KEY, 4, 3))
    ),
    "flow": of_clouds(lambda mu, nu: flow.solve(mu, nu, KEY, steps=3).points),
    "gaussian": of_clouds(gaussians),
    "em": of_clouds(lambda mu, nu: em.fit(mu, 2, KEY, steps=3)[0]),
    "quantize": of_clouds(lambda mu, nu: quantize(mu, 4, KEY, steps=3)),
    "sliced barycenter": of_clouds(
        lambda mu, nu: barycenter.sliced(stacked(mu, mu)[0], KEY, size=16, steps=2).measure
    ),
    "free support": of_clouds(
        lambda mu, nu: barycenter.free_support(
            stacked(mu, mu)[0], epsilon=0.1, start=nu, size=16, steps=2
        ).measure
    ),
    "quantile barycenter": of_clouds(
        lambda mu, nu: barycenter.quantile(
            Measure(mu.points[None, :, :1], mu.weights[None])
        )
    ),
    "barycenter_grid": of_grids(
        lambda mu, nu: barycenter_grid.solve(
            Grid(mu.axes, jnp.stack([mu.weights, nu.weights])), epsilon=0.01, max_steps=5
        ).measure.weights
    ),
    "dynamic": of_grids(lambda mu, nu: dynamic.solve(mu, nu, frames=4, max_steps=3).value),
    "semidiscrete": (
        lambda a, x, b: semidiscrete.solve(grids(a, a)[0], Measure(x, b), max_steps=3).g,
        (densities()[0], clouds()[0][:5, :2], jnp.ones(5) / 5),
    ),
    "spotnoise": (texture, (jnp.asarray(np.random.default_rng(0).random((8, 8, 3)), jnp.float32),)),
    "patches": (patched, (jnp.asarray(np.random.default_rng(0).random((8, 8, 3)), jnp.float32),)),
}  # fmt: skip
CALLED = ("newton", "sinkhorn", "batch, one lane", "map", "gradient")  # the programs that compile


def exported(name: str):
    function, arguments = SOLVERS[name]
    whole = export.export(
        jax.jit(lambda *leaves: jax.tree.leaves(function(*leaves))), platforms=PLATFORMS
    )(*arguments)
    assert whole.platforms == PLATFORMS
    return whole, function, arguments


@pytest.mark.parametrize("name", SOLVERS)
def test_it_is_lowered_for_every_platform(name):
    whole, _, _ = exported(name)
    assert len(whole.serialize()) > 1000


@pytest.mark.long
@pytest.mark.parametrize("name", CALLED)
def test_what_is_exported_gives_the_same(name):
    whole, function, arguments = exported(name)
    again = export.deserialize(whole.serialize())
    here = jax.tree.leaves(function(*arguments))
    # one program or several: float32 rounding differs
    for one, other in zip(again.call(*arguments), here, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=0.01)


def test_no_solver_is_left_out():
    """A module with a public `solve` is above, or known to compute on the host."""
    here = {
        name
        for _, name, _ in pkgutil.iter_modules(transport.__path__)
        if hasattr(importlib.import_module(f"jaxcolor.transport.{name}"), "solve")
    }
    above = {module.__name__.split(".")[-1] for module in (
        newton, sinkhorn, divergence, line, sliced, flow, gaussian, barycenter_grid, dynamic,
        semidiscrete,
    )}  # fmt: skip
    assert here - above - ON_THE_HOST == {"solvers"}  # the door, through which most above go
