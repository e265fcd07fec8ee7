"""The debiased Sinkhorn divergence: entropic transport that knows when two measures are one.

    S(mu, nu) = OT(mu, nu) - OT(mu, mu) / 2 - OT(nu, nu) / 2 + epsilon (sqrt|mu| - sqrt|nu|)^2 / 2

with OT as in `solvers.solve`. Plain OT at epsilon > 0 is least for a nu that is narrower than mu;
S is zero for nu = mu, positive otherwise, and convex in each. The last term belongs to the
reference a b' / s: with K = exp(-C / epsilon), u = a exp(f / epsilon) / sqrt|a| of OT(mu, mu) and v
likewise of OT(nu, nu), S is at least epsilon (u - v)' K (u - v) / 2.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Info
from jaxcolor.measure import Grid, Measure
from jaxcolor.transport import sinkhorn
from jaxcolor.transport.costs import Cost
from jaxcolor.transport.coupling import Coupling, Start, settle
from jaxcolor.transport.kernels import Cloud
from jaxcolor.transport.marginals import BALANCED, Marginal
from jaxcolor.transport.problem import Problem
from jaxcolor.transport.sharded import Sharded
from jaxcolor.transport.solvers import SQUARED
from jaxcolor.transport.solvers import solve as couple
from jaxcolor.tree import pytree


@pytree
class Divergence:
    """The Sinkhorn divergence of two measures.

    Attributes:
        value: scalar, in units of the cost; differentiable in points, weights, epsilon, marginals.
        f: (n,) and g: (m,) its derivatives by the weights of two balanced measures, up to a
            constant each: the potentials of OT(mu, nu) less those of each measure with itself.
        info: of the three problems, the worst status and error, all steps and passes.
    """

    value: Array
    f: Array
    g: Array
    info: Info


def solve(
    source: Measure | Grid,
    target: Measure | Grid,
    *,
    epsilon: float | Array,
    cost: Cost = SQUARED,
    source_marginal: Marginal = BALANCED,
    target_marginal: Marginal = BALANCED,
    method: str = "newton",
    tol: float | Array | None = None,
    max_steps: int | Array | None = None,
) -> Divergence:
    """S(mu, nu), see the module: balanced or unbalanced, on clouds and on grids.

    Each measure's problem with itself is solved by averaged updates, f = g, whose error halves at
    every one of them, however small epsilon is. `jit`, `vmap` and `grad` work.

    Args:
        source, target, epsilon, cost, source_marginal, target_marginal: as for `solvers.solve`; a
            measure has its own marginal on both sides of the problem with itself.
        method, tol, max_steps: as for `solvers.solve`, of OT(mu, nu).

    Returns:
        A `Divergence`; look at `info.status`, or `check(info)`.

    Raises:
        ValueError: as `solvers.solve`.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> mu, nu = point_cloud([[0.0], [1.0]]), point_cloud([[2.0], [3.0]])
        >>> [round(float(solve(mu, other, epsilon=0.1).value), 3) for other in (mu, nu)]
        [0.0, 4.0]

    Reference:
        Feydy, Sejourne, Vialard, Amari, Trouve, Peyre (2019), Interpolating between optimal
        transport and MMD using Sinkhorn divergences, eq. 3; Sejourne, Feydy, Vialard, Trouve, Peyre
        (2019), Sinkhorn divergences for unbalanced optimal transport, eq. 12.
    """
    both = couple(
        source,
        target,
        epsilon=epsilon,
        cost=cost,
        source_marginal=source_marginal,
        target_marginal=target_marginal,
        method=method,
        tol=tol,
        max_steps=max_steps,
    )
    assert isinstance(both, Coupling)
    p = both.problem
    mu = replace(p, kernel=_own(p.kernel, 1), b=p.a, target_marginal=p.source_marginal)
    nu = replace(p, kernel=_own(p.kernel, 0), a=p.b, source_marginal=p.target_marginal)
    options = sinkhorn.options(p.b.dtype, tol, symmetric=True)
    return _debiased(both, _with_itself(mu, options), _with_itself(nu, options))


def _own(kernel, axis: int):
    """The kernel of the rows' side (axis 1) or the columns' (0) with itself."""
    if isinstance(kernel, Sharded):
        return replace(kernel, kernel=_own(kernel.kernel, axis))
    if isinstance(kernel, Cloud):
        points = kernel.x if axis == 1 else kernel.y
        return replace(kernel, x=points, y=points)
    axes = kernel.x if axis == 1 else kernel.y
    return replace(kernel, x=axes, y=axes)


@jax.jit
def _with_itself(p: Problem, options: sinkhorn.Options) -> Coupling:
    start = Start(jnp.zeros_like(p.b), p.epsilon)
    return settle(p, sinkhorn.run(p, start, options))


@jax.jit
def _debiased(both: Coupling, mu: Coupling, nu: Coupling) -> Divergence:
    p = both.problem
    gap = jnp.sqrt(p.a.sum()) - jnp.sqrt(p.b.sum())
    value = both.value - (mu.value + nu.value) / 2 + p.epsilon * gap**2 / 2
    infos = [one.info for one in (both, mu, nu)]

    def of_all(name: str) -> Array:
        return jnp.stack([getattr(info, name) for info in infos])

    info = Info(
        status=of_all("status").max(0),
        steps=of_all("steps").sum(0),
        passes=of_all("passes").sum(0),
        error=of_all("error").max(0),
    )
    f, g = both.f - (mu.f + mu.g) / 2, both.g - (nu.f + nu.g) / 2
    return Divergence(value, f, g, info)
