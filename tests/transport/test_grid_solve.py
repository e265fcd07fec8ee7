"""Two grids through the door, and the same problem on coarser ones first."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.iterate import Status
from jaxcolor.measure import Grid, as_cloud
from jaxcolor.transport import pyramid
from jaxcolor.transport.costs import Euclidean
from jaxcolor.transport.grid import GridKernel
from jaxcolor.transport.marginals import BALANCED, KL
from jaxcolor.transport.solvers import coarse_to_fine, solve


def histograms(dtype, *sizes, d=2):
    """Two smooth densities of mass one, on grids of their own."""
    found = []
    for size, centre in zip(sizes, (0.35, 0.6), strict=True):
        own = (jnp.linspace(0, 1, size, dtype=dtype),) * d
        squared = sum((g - centre) ** 2 for g in jnp.meshgrid(*own, indexing="ij"))
        weights = jnp.exp(-squared / 0.02) + 0.1
        found.append(Grid(own, (weights / weights.sum()).astype(dtype)))
    return found


@pytest.mark.parametrize("method", ["newton", "sinkhorn"])
def test_the_door_takes_grids(method, double):
    mu, nu = histograms(double, 9, 7)
    on_grids = solve(mu, nu, epsilon=1e-2, method=method)
    as_points = solve(as_cloud(mu), as_cloud(nu), epsilon=1e-2, method=method)
    assert isinstance(on_grids.kernel, GridKernel)
    assert on_grids.info.status == Status.OK
    np.testing.assert_allclose(on_grids.value, as_points.value, rtol=1e-7)
    mixed = solve(mu, as_cloud(nu), epsilon=1e-2, method=method)
    np.testing.assert_allclose(mixed.value, as_points.value, rtol=1e-7)


def test_grids_go_where_no_axis_counts(double):
    """Exact plans and other costs see the nodes as points."""
    mu, nu = histograms(double, 6, 5)
    exact = solve(mu, nu, method="exact")
    assert float(exact.value) <= float(solve(mu, nu, epsilon=1e-3).value) + 1e-3
    other = solve(mu, nu, epsilon=1e-2, cost=Euclidean())
    same = solve(as_cloud(mu), as_cloud(nu), epsilon=1e-2, cost=Euclidean())
    np.testing.assert_allclose(other.value, same.value, rtol=1e-9)


def test_grids_that_do_not_match_are_refused():
    mu, nu = histograms(np.float32, 6, 5)
    with pytest.raises(ValueError, match="dimension"):
        solve(mu, Grid(nu.axes[:1], nu.weights[0]), epsilon=0.1)
    with pytest.raises(ValueError, match="source has weights"):
        solve(Grid(mu.axes, mu.weights[:3]), nu, epsilon=0.1)


@pytest.mark.long  # one program for each level and marginal
@pytest.mark.parametrize("marginal", [BALANCED, KL(0.1)], ids=["balanced", "kl"])
def test_coarse_to_fine_is_sooner_at_the_same_place(marginal, single):
    mu, nu = histograms(single, 48, 40)
    both = {"source_marginal": marginal, "target_marginal": marginal}
    cold = solve(mu, nu, epsilon=1e-3, tol=1e-3, **both)
    init = functools.partial(coarse_to_fine, **both)
    warm = solve(mu, nu, epsilon=1e-3, tol=1e-3, init=init, **both)
    assert cold.info.status == warm.info.status == Status.OK
    np.testing.assert_allclose(warm.value, cold.value, rtol=1e-3)
    assert warm.info.passes < cold.info.passes


def test_a_coupling_on_other_grids_is_a_start(single):
    coarse = solve(*histograms(single, 10, 10), epsilon=4e-3, tol=1e-3)
    mu, nu = histograms(single, 20, 20)
    cold, warm = (solve(mu, nu, epsilon=4e-3, tol=1e-3, init=init) for init in (None, coarse))
    assert warm.info.status == Status.OK
    assert warm.info.passes < cold.info.passes


def test_halving_keeps_mass_and_mean(dtype):
    density, _ = histograms(dtype, 13, 8)
    half = pyramid.halve(density)
    assert half.weights.shape == (7, 7)
    assert half.weights.dtype == dtype
    np.testing.assert_allclose(half.weights.sum(), density.weights.sum(), rtol=1e-6)
    means = [(d.weights.sum(1) * d.axes[0]).sum() for d in (density, half)]
    np.testing.assert_allclose(means[1], means[0], atol=2e-3)
