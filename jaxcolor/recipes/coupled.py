"""Maps from couplings: the optimal-transport methods of colour transfer.

A few thousand colours of each picture are coupled; the map is the plan's barycentric one. All
lengths (blur, reach) are colour distances in the space that the fit works in.
"""

from jaxcolor.iterate import check
from jaxcolor.maps import ColorMap
from jaxcolor.measure import Measure
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.transport import marginals
from jaxcolor.transport.coupling import Coupling, Entropic
from jaxcolor.transport.solvers import epsilon_from_blur, rho_from_reach, solve
from jaxcolor.transport.sparse import Nearest, SparseCoupling

POINTS = 2048  # colours of each picture that are coupled
TOL = 1e-3  # a thousandth of the mass astray is far below one level of 255


def penalty(relaxation: Relaxation) -> marginals.Marginal:
    """The marginal penalty of both sides."""
    if relaxation.reach is not None and relaxation.marginal == "kl":
        return marginals.KL(rho_from_reach(relaxation.reach))
    if relaxation.reach is not None and relaxation.marginal == "tv":
        # moving a unit costs reach^2, giving it up rho on each side
        return marginals.TV(relaxation.reach**2 / 2)
    if relaxation.reach is not None and relaxation.marginal == "mixed":
        return marginals.Mixed(rho_from_reach(relaxation.reach))
    if relaxation.limits is not None:
        return marginals.Range(*relaxation.limits)
    return marginals.BALANCED


def couple(
    method: str,
    source: Measure,
    target: Measure,
    relaxation: Relaxation,
    blur: float,
    init: Coupling | None = None,
) -> ColorMap:
    """The map of the coupling of two measures of colours.

    Args:
        method: 'newton', 'sinkhorn' or 'exact'.
        source, target: colours in the coordinates of some space.
        relaxation: checked already.
        blur: where `relaxation` has none.
        init: the coupling of a source that was nearly the same; 'exact' has no use for it.

    Raises:
        RuntimeError: where the solver did not converge.
    """
    if method == "exact":
        coupling = solve(source, target, method="exact")
        check(coupling.info)
        assert isinstance(coupling, SparseCoupling)
        return Nearest(coupling)
    both = penalty(relaxation)
    coupling = solve(
        source,
        target,
        epsilon=epsilon_from_blur(relaxation.blur or blur),
        source_marginal=both,
        target_marginal=both,
        method=method,
        init=init,
        tol=TOL,
    )
    check(coupling.info)
    assert isinstance(coupling, Coupling)
    return Entropic(coupling)
