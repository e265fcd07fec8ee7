"""Where Newton may begin on palettes: the network's guess of the dual potential."""

from importlib.resources import files

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.amortize.model import Network, potential, potentials
from jaxcolor.amortize.store import load_network
from jaxcolor.measure import Measure
from jaxcolor.transport.coupling import Start
from jaxcolor.tree import pytree

TRUSTED = 0.2  # epsilon at which annealing begins: what a guess is about good for


@pytree
class Guess:
    """A start for the transport between two CIELAB palettes: the `init` of a solver.

    The cost is |x - y| (`Euclidean()`), in CIELAB units. `jaxcolor.amortize.start` is the one whose
    weights come with the package: trained for epsilon in .05 .. 10 and about 128 colours. It can do
    no harm: the solvers begin cold where that has the higher dual value, so with another cost.

    Attributes:
        network: its weights.

    Example:
        >>> from jaxcolor import amortize
        >>> from jaxcolor.measure import point_cloud
        >>> from jaxcolor.transport.costs import Euclidean
        >>> from jaxcolor.transport.solvers import solve
        >>> mu = point_cloud([[20.0, 0.0, 0.0], [80.0, 5.0, 5.0]])
        >>> nu = point_cloud([[30.0, 2.0, 0.0], [70.0, 5.0, 25.0]])
        >>> coupling = solve(mu, nu, epsilon=0.1, cost=Euclidean(), init=amortize.start)
        >>> round(float(coupling.value), 1), int(coupling.info.status)
        (16.3, 0)

    Reference:
        Amos, Cohen, Luise, Redko (2023), Meta optimal transport, section 3.1 (duals predicted,
        trained on the dual value).
    """

    network: Network

    def __call__(self, source: Measure, target: Measure, epsilon: float | Array) -> Start:
        """The start of one problem, in the target's dtype; not differentiated.

        Args:
            source, target: palettes, (k, 3) CIELAB colours and weights of any sum.
            epsilon: of the problem.

        Raises:
            ValueError: for grids, or points that are no colours.
        """
        return self._begin(potential, source, target, epsilon)

    def batched(self, sources: Measure, targets: Measure, epsilon: Array) -> Start:
        """The starts of B problems: (B, k, 3), (B, k), (B,)."""

        def together(network, x, a, y, b, epsilon):
            return potentials(network, Measure(x, a), Measure(y, b), epsilon)

        return self._begin(together, sources, targets, epsilon)

    def _begin(self, predict, source: Measure, target: Measure, epsilon: float | Array) -> Start:
        for mu in (source, target):
            if not isinstance(mu, Measure) or mu.points.shape[-1] != 3:
                raise ValueError("the learned start is for palettes: (k, 3) CIELAB colours")
        dtype = target.weights.dtype
        source, target, epsilon = jax.lax.stop_gradient((source, target, jnp.asarray(epsilon)))
        x, y, e = (jnp.asarray(z, jnp.float32) for z in (source.points, target.points, epsilon))
        g = predict(self.network, x, _unit(source), y, _unit(target), e)
        return Start(g.astype(dtype), jnp.maximum(jnp.asarray(TRUSTED, dtype), e.astype(dtype)))


def _unit(mu: Measure) -> Array:
    return (mu.weights / mu.weights.sum(-1, keepdims=True)).astype(jnp.float32)


def shipped() -> Guess:
    """The guess by the weights that come with the package."""
    with files("jaxcolor.amortize").joinpath("weights.npz").open("rb") as file:
        return Guess(load_network(file))
