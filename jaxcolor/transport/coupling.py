"""What a solver returns: a coupling, and what can be asked of it."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Info, Status
from jaxcolor.transport import problem as pb
from jaxcolor.transport import sparse
from jaxcolor.transport.implicit import attach
from jaxcolor.transport.kernels import Cloud, Kernel  # noqa: F401  Cloud is in the examples
from jaxcolor.transport.problem import Problem
from jaxcolor.transport.sparse import SparseCoupling
from jaxcolor.tree import pytree


@pytree
class Start:
    """Where a solver may begin: a potential for the target, and the epsilon it is good for.

    Attributes:
        g: (m,) in units of the cost.
        epsilon: scalar; annealing begins there (or at the problem's own, if that is larger).
    """

    g: Array
    epsilon: Array


def cast(start: Start | None, dtype) -> Start | None:
    """A start in the problem's dtype."""
    if start is None:
        return None
    return Start(jnp.asarray(start.g, dtype), jnp.asarray(start.epsilon, dtype))


@pytree
class Coupling:
    """An entropic plan, kept as its potentials: P = (a b' / s) exp((f + g - C) / epsilon).

    Attributes:
        problem: costs, weights, epsilon, marginals.
        f: (n,) and g: (m,) potentials in units of the cost, defined at weightless points too; with
            two hard marginals b.g = 0.
        value: the problem's value, <C, P> + epsilon KL(P | a b' / s) + penalties.
        info: how the solve ended; `check(info)` raises if badly.
    """

    problem: Problem
    f: Array
    g: Array
    value: Array
    info: Info

    @property
    def kernel(self) -> Kernel:
        return self.problem.kernel

    @property
    def a(self) -> Array:
        return self.problem.a

    @property
    def b(self) -> Array:
        return self.problem.b

    @property
    def epsilon(self) -> Array:
        return self.problem.epsilon


def better(p: Problem, start: Start, cold: Start) -> Start:
    """The one with the higher dual value, at the epsilon that `start` claims to be good for."""
    epsilon = jnp.maximum(start.epsilon, p.epsilon)
    warm = pb.height(p, epsilon, start.g) > pb.height(p, epsilon, cold.g)
    return jax.tree.map(lambda x, y: jnp.where(warm, x, y), start, cold)


class Found(NamedTuple):
    """What an algorithm, ours or another library's, hands over; none of it is differentiated."""

    f: Array
    g: Array
    status: Array
    steps: Array
    passes: Array
    history: Array | None = None
    tol: Array | None = None  # what OK was judged by; None: not judged yet


def settle(p: Problem, found: Found) -> Coupling:
    """The coupling with these potentials; value and error are computed here, whoever found them.

    Where a measure has no weight the potential is what a half-step makes it. Derivatives come from
    the problem, by the implicit function theorem.
    """
    found = jax.lax.stop_gradient(found)
    f, g = attach(p, found.f, found.g)
    hard_f = pb.hard_f(p, g)
    f = jnp.where(p.a > 0, f, p.source_marginal.step(hard_f, p.epsilon))
    hard_g = pb.hard_g(p, f)
    g = jnp.where(p.b > 0, g, p.target_marginal.step(hard_g, p.epsilon))
    offset = pb.gauge(p, g)
    f, g, hards = f + offset, g - offset, (hard_f + offset, hard_g - offset)
    error = jax.lax.stop_gradient(pb.error(p, f, g, hards))
    status = found.status
    if found.tol is not None:  # potentials are rounded once more than what the solver measured
        missed = (status == Status.OK) & (error > 2 * found.tol)
        status = jnp.where(missed, Status.STALLED, status)
    status = status.astype(jnp.int8)
    info = Info(status, found.steps, found.passes + 2, error, found.history)
    return Coupling(p, f, g, pb.value(p, f, g, hards), info)


@jax.jit
def plan(coupling: Coupling | SparseCoupling) -> Array:
    """(n, m) masses P_ij; memory O(n m), for small problems.

    Example:
        >>> from jaxcolor.transport import newton
        >>> from jaxcolor.transport.kernels import Dense
        >>> half = jnp.array([0.5, 0.5])
        >>> plan(newton.solve(Dense(1 - jnp.eye(2)), half, half, epsilon=0.1)).round(2)
        Array([[0.5, 0. ],
               [0. , 0.5]], dtype=float32)
    """
    if isinstance(coupling, SparseCoupling):
        return sparse.plan(coupling)
    p = coupling.problem
    h = pb.leaning(p.b, coupling.g, p.epsilon, pb.mass(p))
    exponents = coupling.f[:, None] / p.epsilon + h[None] - p.kernel.dense() / p.epsilon
    return p.a[:, None] * jnp.exp(exponents)


@jax.jit(static_argnames="axis")
def average(coupling: Coupling | SparseCoupling, values: Array, axis: int = 1) -> Array:
    """Mean of values under the plan: for axis 1 sum_j P_ij values_j / sum_j P_ij.

    The barycentric image of each source point where values are the target's points; soft labels
    where they are one-hot. `average * confidence` leaves lost mass at zero.

    Args:
        coupling: n x m.
        values: (m,) or (m, k); for axis 0 (n,) or (n, k), averaged over the source.
        axis: the axis summed over.

    Returns:
        (n,) or (n, k); for axis 0 (m,) or (m, k).

    Example:
        >>> from jaxcolor.transport import newton
        >>> from jaxcolor.transport.kernels import Dense
        >>> half = jnp.array([0.5, 0.5])
        >>> coupling = newton.solve(Dense(1 - jnp.eye(2)), half, half, epsilon=0.1)
        >>> average(coupling, jnp.array([10.0, 20.0])).round()
        Array([10., 20.], dtype=float32)
    """
    if isinstance(coupling, SparseCoupling):
        return sparse.average(coupling, values, axis)
    p = coupling.problem
    if axis == 1:
        h = pb.leaning(p.b, coupling.g, p.epsilon, pb.mass(p))
    else:
        h = pb.leaning(p.a, coupling.f, p.epsilon, pb.mass(p))
    return p.kernel.average(h, p.epsilon, values, axis)


@jax.jit(static_argnames="axis")
def potential(coupling: Coupling | SparseCoupling, points: Array, axis: int = 1) -> Array:
    """The potential at any points: f(x) for axis 1, g(y) for axis 0, by one half-step.

    Args:
        coupling: solved on a `Cloud`.
        points: (k, d).

    Returns:
        (k,), in units of the cost.

    Raises:
        ValueError: where the coupling was solved on a bare cost matrix.

    Example:
        >>> from jaxcolor.transport import newton
        >>> x, half = jnp.array([[0.0], [1.0]]), jnp.array([0.5, 0.5])
        >>> coupling = newton.solve(Cloud(x, x + 2), half, half, epsilon=0.1)
        >>> bool(jnp.allclose(potential(coupling, x), coupling.f, atol=1e-4))
        True
    """
    if isinstance(coupling, SparseCoupling):
        return sparse.potential(coupling, points, axis)
    there = replace(coupling.problem, kernel=coupling.kernel.at(points, axis))
    return pb.best_f(there, coupling.g) if axis == 1 else pb.best_g(there, coupling.f)


@jax.jit(static_argnames="axis")
def confidence(coupling: Coupling | SparseCoupling, axis: int = 1) -> Array:
    """Transported mass over own mass: one where a point is moved whole, zero where it is given up.

    Args:
        coupling: n x m.
        axis: 1 for the source's points, 0 for the target's.

    Returns:
        (n,) or (m,), >= 0; above one where a relaxed marginal has grown.

    Example:
        >>> from jaxcolor.transport import newton
        >>> from jaxcolor.transport.kernels import Dense
        >>> from jaxcolor.transport.marginals import KL
        >>> far, one = Dense(jnp.array([[10.0]])), jnp.array([1.0])
        >>> lost = newton.solve(far, one, one, epsilon=0.1, source_marginal=KL(1.0))
        >>> confidence(lost).round(3)
        Array([1.], dtype=float32)
        >>> lost = newton.solve(
        ...     far, one, one, epsilon=0.1, source_marginal=KL(1.0), target_marginal=KL(1.0)
        ... )
        >>> confidence(lost).round(3)
        Array([0.009], dtype=float32)
    """
    if isinstance(coupling, SparseCoupling):
        return sparse.confidence(coupling, axis)
    p = coupling.problem
    if axis == 1:
        return jnp.exp((coupling.f - pb.hard_f(p, coupling.g)) / p.epsilon)
    return jnp.exp((coupling.g - pb.hard_g(p, coupling.f)) / p.epsilon)


@pytree
class Entropic:
    """The map of an entropic plan: T(x) = x + w(x) (sum_j P(x, y_j) y_j / sum_j P(x, y_j) - x).

    w(x) is the confidence, at most one: colours without a partner stay as they are. Where a
    marginal demands a least mass (all of it, or the lower end of a range) a colour that moves that
    much moves wholly. Defined on all of R^d, smooth, within the hull of x and the target.

    Attributes:
        coupling: solved on a `Cloud`.

    Reference:
        Pooladian, Niles-Weed (2021), Entropic estimation of optimal transport maps, eq. 10.

    Example:
        >>> from jaxcolor.transport import newton
        >>> x, half = jnp.array([[0.0], [1.0]]), jnp.array([0.5, 0.5])
        >>> T = Entropic(newton.solve(Cloud(x, x + 2), half, half, epsilon=0.1))
        >>> T(jnp.array([[0.0], [1.0]])).round(2)
        Array([[2.],
               [3.]], dtype=float32)
    """

    coupling: Coupling

    def __call__(self, colors: Array) -> Array:
        coupling = jax.tree.map(lambda leaf: _like(leaf, colors), self.coupling)
        p = coupling.problem
        kernel = p.kernel.at(colors, axis=1)
        h = pb.leaning(p.b, coupling.g, p.epsilon, pb.mass(p))
        hard = -p.epsilon * kernel.softmin(h, p.epsilon, axis=1)
        moved = jnp.exp((p.source_marginal.step(hard, p.epsilon) - hard) / p.epsilon)
        least = jnp.asarray(p.source_marginal.bounds()[0], colors.dtype)
        share = jnp.minimum(moved / jnp.where(least > 0, least, 1), 1)
        goal = kernel.average(h, p.epsilon, kernel.y, axis=1)
        return colors + share[:, None] * (goal - colors)


def _like(leaf, colors: Array):
    """A map takes the dtype of the colours."""
    leaf = jnp.asarray(leaf)
    return leaf.astype(colors.dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
