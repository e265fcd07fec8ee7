"""Unbalanced transport of colour histograms on a lattice, and the map that it gives.

Both pictures are histograms on n^3 nodes of one box; the plan between all nodes is never formed
(`GridKernel`). The map is the plan's barycentric one, read between nodes by trilinear
interpolation; colours whose mass found no partner stay where they are.

Reference:
    Chizat, Peyre, Schmitzer, Vialard (2018), Scaling algorithms for unbalanced optimal transport
    problems, section 5.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.image.spaces import Srgb
from jaxcolor.iterate import check
from jaxcolor.lattice import Displacement, spread
from jaxcolor.maps import Space
from jaxcolor.measure import Grid, Measure, nodes
from jaxcolor.recipes.coupled import TOL, penalty
from jaxcolor.recipes.relaxation import MARGINALS_OF, Relaxation
from jaxcolor.transport import problem as pb
from jaxcolor.transport.coupling import Coupling, average, confidence
from jaxcolor.transport.marginals import Marginal, shifted
from jaxcolor.transport.solvers import epsilon_from_blur, solve

SIZE = 64  # nodes along each axis


def histograms(
    source: Measure, target: Measure, space: Space, size: int = SIZE
) -> tuple[Grid, Grid]:
    """Two measures on one lattice around all of sRGB in the space, and whatever else they hold."""
    cube = jnp.stack(jnp.meshgrid(*[jnp.linspace(0, 1, 9)] * 3), -1).reshape(-1, 3)
    points = [np.asarray(mu.points)[np.asarray(mu.weights) > 0] for mu in (source, target)]
    if not isinstance(space, Srgb):
        cube = space.encode(cube)
    points = np.concatenate([*points, np.asarray(cube)])
    low, high = (jnp.asarray(end, source.points.dtype) for end in (points.min(0), points.max(0)))
    return spread(source, low, high, size), spread(target, low, high, size)


def counting(marginal: Marginal, a: Array, b: Array, epsilon: float) -> Marginal:
    """The marginal on `a` with the uniform reference, one a pair of nodes, in place of a b' / s.

    Raw counts are penalised in their own unit then, as in the paper.
    """
    scale = np.sqrt(np.sqrt(np.asarray(a, np.float64).sum() * np.asarray(b, np.float64).sum()))
    relative = jnp.where(a > 0, a / a.dtype.type(scale), 1)
    return shifted(marginal, (epsilon * jnp.log(relative)).ravel())


def couple(
    source: Grid, target: Grid, *, epsilon: float, marginal: Marginal, uniform: bool = False, **how
) -> Coupling:
    """The entropic plan between two histograms of any masses.

    Args:
        source, target: on grids of d axes each.
        epsilon: regularisation, in units of squared distance.
        marginal: of both sides.
        uniform: with the uniform reference, see `counting`.
        how: `method`, `init`, `tol`, `max_steps` of `solve`.

    Raises:
        RuntimeError: where the solver did not converge.
    """
    both = [marginal, marginal]
    if uniform:
        a, b = source.weights, target.weights
        both = [counting(marginal, one, other, epsilon) for one, other in ((a, b), (b, a))]
    coupling = solve(
        source, target, epsilon=epsilon, source_marginal=both[0], target_marginal=both[1], **how
    )
    check(coupling.info)
    assert isinstance(coupling, Coupling)
    return coupling


def fit(
    source: Measure, target: Measure, space: Space, relaxation: Relaxation, blur: float
) -> Displacement:
    """The map between two measures of colours, in the coordinates of a space.

    Args:
        source, target: their masses are numbers of pixels where `relaxation.counts`.
        relaxation: checked already.
        blur: where `relaxation` has none.

    Raises:
        RuntimeError: where the solver did not converge.
    """
    a, b = histograms(source, target, space)
    method = "newton" if relaxation.marginal in MARGINALS_OF["newton"] else "sinkhorn"
    coupling = couple(
        a,
        b,
        epsilon=epsilon_from_blur(relaxation.blur or blur),
        marginal=penalty(relaxation),
        uniform=relaxation.counts,
        method=method,
        tol=TOL,
    )
    return barycentric(coupling, a, b)


@jax.jit
def barycentric(coupling: Coupling, source: Grid, target: Grid) -> Displacement:
    """The plan's map on the nodes of a cubic lattice, and between them.

    A node moves by the share of its mass that found a partner, as in `Entropic`; but where the
    target is the smaller one, a share is full that is as large as the reference measure's.
    """
    here = nodes(source.axes)
    goal = average(coupling, nodes(target.axes))
    p = coupling.problem
    least = jnp.asarray(p.source_marginal.bounds()[0], here.dtype)
    # what all masses come to under KL where nothing is far: it takes the masses' geometric mean
    full = jnp.where(least > 0, least, jnp.minimum(pb.mass(p) / p.a.sum(), 1))
    share = jnp.minimum(confidence(coupling) / full, 1)
    table = (share[:, None] * (goal - here)).reshape(*source.weights.shape, 3)
    low, high = (jnp.stack([axis[end] for axis in source.axes]) for end in (0, -1))
    return Displacement(low, high, table)
