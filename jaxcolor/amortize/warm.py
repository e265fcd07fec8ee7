"""Where Newton may begin on palettes: the network's guess of the dual potential."""

from functools import cache
from importlib.resources import files

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.amortize.model import Network, potential
from jaxcolor.measure import Measure
from jaxcolor.transport.coupling import Start

TRUSTED = 0.2  # epsilon at which annealing begins: what the guess is about good for


@cache
def network() -> Network:
    """The weights that come with the package, read on first use."""
    from jaxcolor.amortize.store import load_network

    with files("jaxcolor.amortize").joinpath("weights.npz").open("rb") as file:
        return load_network(file)


def start(source: Measure, target: Measure, epsilon: float | Array) -> Start:
    """A start for the transport between two CIELAB palettes: the `init` of a solver.

    The cost is |x - y| (`Euclidean()`), in CIELAB units. Trained for epsilon in .05 .. 10 and about
    128 colours; up to 512 it still pays. It cannot do harm: the solvers begin cold where that has
    the higher dual value, so also with another cost.

    Args:
        source, target: palettes, (k, 3) CIELAB colours and weights of any sum.
        epsilon: of the problem.

    Returns:
        A `Start`, in the target's dtype. Not differentiated.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> from jaxcolor.transport.costs import Euclidean
        >>> from jaxcolor.transport.solvers import solve
        >>> mu = point_cloud([[20.0, 0.0, 0.0], [80.0, 5.0, 5.0]])
        >>> nu = point_cloud([[30.0, 2.0, 0.0], [70.0, 5.0, 25.0]])
        >>> coupling = solve(mu, nu, epsilon=0.1, cost=Euclidean(), init=start)
        >>> round(float(coupling.value), 1), int(coupling.info.status)
        (16.3, 0)

    Reference:
        Amos, Cohen, Luise, Redko (2023), Meta optimal transport, section 3.1 (duals predicted,
        trained on the dual value).
    """
    source, target, epsilon = jax.lax.stop_gradient((source, target, jnp.asarray(epsilon)))
    x, y, e = (jnp.asarray(part, jnp.float32) for part in (source.points, target.points, epsilon))
    g = potential(network(), x, _unit(source), y, _unit(target), e)
    dtype = target.weights.dtype
    trusted = jnp.asarray(TRUSTED, dtype)
    return Start(g.astype(dtype), jnp.maximum(trusted, epsilon.astype(dtype)))


def _unit(mu: Measure) -> Array:
    return (mu.weights / mu.weights.sum()).astype(jnp.float32)
