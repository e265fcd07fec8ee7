"""The entropic problem itself: what its solvers, oracles and results share.

    min_P <C, P> + epsilon KL(P | R) + F_a(P 1) + F_b(P' 1),    R = a b' / s, s = sqrt(|a| |b|)

with KL(P | R) = sum P log(P / R) - P + R. The plan: P_ij = R_ij exp((f_i + g_j - C_ij) / epsilon).
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Status
from jaxcolor.transport.kernels import Kernel
from jaxcolor.transport.marginals import Balanced
from jaxcolor.tree import pytree

MISMATCH = 1e-5  # relative difference of masses that two hard marginals may have


@pytree
class Problem:
    """One entropic problem.

    Attributes:
        kernel: n x m costs.
        a: (n,) source weights >= 0. b: (m,) target weights >= 0.
        epsilon: scalar > 0, in units of the cost.
        source_marginal, target_marginal: a `Marginal` each, what happens to mass that does not fit.
    """

    kernel: Kernel
    a: Array
    b: Array
    epsilon: Array
    source_marginal: Any  # a Marginal; for newton a SmoothMarginal, which its door checks
    target_marginal: Any


def make(kernel: Kernel, a, b, epsilon, source_marginal, target_marginal) -> Problem:
    """A problem whose every number has one dtype: the inputs' common one, at least float32.

    Raises:
        ValueError: where the weights' shapes do not match the kernel's.
    """
    a, b = jnp.asarray(a), jnp.asarray(b)
    if (*a.shape, *b.shape) != kernel.shape:
        raise ValueError(f"weights {a.shape} and {b.shape} do not match a kernel {kernel.shape}")
    dtype = common_dtype(a, b, *(leaf for leaf in jax.tree.leaves(kernel) if jnp.ndim(leaf)))
    parts = (kernel, a, b, epsilon, source_marginal, target_marginal)
    return Problem(*jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), parts))


def common_dtype(*arrays):
    """The arrays' common dtype, at least float32."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(jnp.float32, *(array.dtype for array in arrays))


def mass(p: Problem) -> Array:
    """s = sqrt(|a| |b|), the mass of the reference R; for equal masses their own."""
    return jnp.sqrt(p.a.sum() * p.b.sum())


def log_weights(weights: Array) -> Array:
    """log, with -infinity and a derivative of zero where there is no weight."""
    some = weights > 0
    return jnp.where(some, jnp.log(jnp.where(some, weights, 1)), -jnp.inf)


def leaning(weights: Array, potential: Array, epsilon: Array, scale: Array) -> Array:
    """h = log(weights / s) + potential / epsilon: the exponents that one side hands the other."""
    return log_weights(weights) - jnp.log(scale) + potential / epsilon


def hard_f(p: Problem, g: Array) -> Array:
    """(n,) the f that gives the plan's rows exactly the masses a."""
    h = leaning(p.b, g, p.epsilon, mass(p))
    return -p.epsilon * p.kernel.softmin(h, p.epsilon, axis=1)


def hard_g(p: Problem, f: Array) -> Array:
    """(m,) the g that gives the plan's columns exactly the masses b."""
    h = leaning(p.a, f, p.epsilon, mass(p))
    return -p.epsilon * p.kernel.softmin(h, p.epsilon, axis=0)


def best_f(p: Problem, g: Array) -> Array:
    """(n,) the f that is optimal given g: half a Sinkhorn iteration."""
    return p.source_marginal.step(hard_f(p, g), p.epsilon)


def best_g(p: Problem, f: Array) -> Array:
    """(m,) the g that is optimal given f: the other half."""
    return p.target_marginal.step(hard_g(p, f), p.epsilon)


def moved(weights: Array, potential: Array, hard: Array, epsilon: Array) -> Array:
    """Mass that the plan moves at each point, given the potential that would move it all."""
    some = weights > 0
    return jnp.where(some, weights * jnp.exp(jnp.where(some, (potential - hard) / epsilon, 0)), 0)


def error(p: Problem, f: Array, g: Array, hards: tuple[Array, Array]) -> Array:
    """How far the plan is from its marginals, both sides, in units of the mass s.

    sum |P 1 - P+ 1| + sum |P' 1 - P+' 1|, P+ the plan after that side's own half-step: for two
    hard marginals the L1 violation of rows plus that of columns. Zero just at the optimum.
    `hards` are `hard_f(p, g)` and `hard_g(p, f)`.
    """

    def distance(marginal, weights, potential, hard):
        now = moved(weights, potential, hard, p.epsilon)
        ideal = moved(weights, marginal.step(hard, p.epsilon), hard, p.epsilon)
        return jnp.abs(now - ideal).sum()

    rows = distance(p.source_marginal, p.a, f, hards[0])
    columns = distance(p.target_marginal, p.b, g, hards[1])
    return (rows + columns) / mass(p)


def infeasible(p: Problem) -> Array:
    """Whether no plan can have these marginals: the intervals of total mass do not meet."""
    (low_a, high_a), (low_b, high_b) = p.source_marginal.bounds(), p.target_marginal.bounds()
    a, b = p.a.sum(), p.b.sum()
    slack = MISMATCH * jnp.maximum(a, b)
    return (low_a * a > high_b * b + slack) | (low_b * b > high_a * a + slack)


def beginning_status(p: Problem) -> Array:
    """-1, go on; or what makes the first step pointless."""
    status = jnp.where(infeasible(p), Status.INFEASIBLE, -1)
    return jnp.where(p.epsilon > 0, status, Status.NONFINITE).astype(jnp.int8)


def at_hand(p: Problem, best: tuple[Array, Array], error: Array, g: Array) -> tuple[Array, Array]:
    """The potentials to hand over: the best measured, or (`error` infinite) those of the last g."""
    g = jnp.where(jnp.isfinite(g).all(), g, 0)

    def last():  # half-steps at the problem's own epsilon: whatever g was, no mass overflows
        f = best_f(p, g)
        return f, best_g(p, f)

    return jax.lax.cond(jnp.isfinite(error), lambda: best, last)


def both_hard(p: Problem) -> bool:
    """Whether (f + c, g - c) is as good as (f, g)."""
    return isinstance(p.source_marginal, Balanced) and isinstance(p.target_marginal, Balanced)


def gauge(p: Problem, g: Array) -> Array:
    """What to take from g (and add to f) so that b.g = 0; nothing where that changes the plan."""
    if not both_hard(p):
        return jnp.zeros((), g.dtype)
    return (p.b * g).sum() / p.b.sum()


def height(p: Problem, epsilon: Array, g: Array) -> Array:
    """The dual value at g and the f that is best for it, at another epsilon."""
    q = replace(p, epsilon=epsilon)
    hard = hard_f(q, g)
    return dual(q, q.source_marginal.step(hard, epsilon), g, hard)


@jax.custom_jvp
def value(p: Problem, f: Array, g: Array, hards: tuple[Array, Array]) -> Array:
    """The dual value at (f, g); at the optimum the value of the problem.

    D = -F_a*(-f) - F_b*(-g) - epsilon (|P| - s). Its derivative takes f and g as fixed (envelope
    theorem), and counts what mass at a point of zero weight would add. `hards` as for `error`.
    """
    return dual(p, f, g, hards[0])


def dual(p: Problem, f: Array, g: Array, hard: Array) -> Array:
    """The dual value, given `hard_f(p, g)`."""
    rewards = (p.a * p.source_marginal.dual(f)).sum() + (p.b * p.target_marginal.dual(g)).sum()
    return rewards - p.epsilon * (moved(p.a, f, hard, p.epsilon).sum() - mass(p))


@value.defjvp
def _value_jvp(primals, tangents):
    p, f, g, hards = primals
    dp = tangents[0]
    rows = jnp.exp((f - hards[0]) / p.epsilon)
    columns = jnp.exp((g - hards[1]) / p.epsilon)

    fixed = jax.lax.stop_gradient((*hards, p.epsilon))

    def given_weights(kernel, epsilon, source_marginal, target_marginal):
        q = Problem(kernel, p.a, p.b, epsilon, source_marginal, target_marginal)
        # a bound of TV carries the potentials that rest on it along; nothing else moves them
        on_f = source_marginal.step(fixed[0], fixed[2])
        on_g = target_marginal.step(fixed[1], fixed[2])
        f_ = f + (on_f - jax.lax.stop_gradient(on_f))
        g_ = g + (on_g - jax.lax.stop_gradient(on_g))
        return dual(q, f_, g_, hard_f(q, g_))

    rest = (p.kernel, p.epsilon, p.source_marginal, p.target_marginal)
    drest = (dp.kernel, dp.epsilon, dp.source_marginal, dp.target_marginal)
    _, change = jax.jvp(given_weights, rest, drest)
    # the weights by hand: through their logarithms those that are zero would have no derivative
    change += (dp.a * (p.source_marginal.dual(f) - p.epsilon * rows)).sum()
    change += (dp.b * (p.target_marginal.dual(g) - p.epsilon * columns)).sum()
    # |P| goes as 1 / s, and the reference's own mass is s
    total, scale = (p.a * rows).sum(), mass(p)
    ds = (dp.a.sum() * p.b.sum() + p.a.sum() * dp.b.sum()) / (2 * scale)
    return dual(p, f, g, hards[0]), change + p.epsilon * ds * (1 + total / scale)
