"""Losses that need no labels: how far a potential is from the best, told by the problem itself."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.amortize.model import (
    SWEEPS,
    Network,
    at,
    corrected,
    distances,
    guess,
    look,
)
from jaxcolor.measure import Measure
from jaxcolor.transport import newton
from jaxcolor.transport.kernels import Dense
from jaxcolor.transport.marginals import BALANCED
from jaxcolor.transport.problem import Problem

UNIT = 5.0  # CIELAB: an error of one, where losses are distances


def semi_dual(
    network: Network, sources: Measure, targets: Measure, epsilon: Array, last=None
) -> Array:
    """Minus the semi-dual value at the potentials, as far as its gradient goes: one number.

    D(g) = a.f(g) + b.g has the gradient b - P' 1, the marginal error. It is all that is needed, and
    nothing is differentiated through the kernel. Every stage is judged by its own output, at the
    epsilon at which the next one looks, the last at the problem's own. Dual values of different
    problems say nothing: the number is the last stage's mean L1 marginal error.

    Args:
        sources, targets: B palettes, weights of sum 1. epsilon: (B,).
        last: judges the last stage instead, a function (seen, cost, g) -> (B,).
    """
    fixed = jax.lax.stop_gradient
    parts = sources.points, sources.weights, targets.points, targets.weights, epsilon
    seen, hidden, g = jax.vmap(guess, (None, 0, 0, 0, 0, 0))(network, *parts)
    cost = jax.lax.map(distances, seen)  # one by one: they stay in cache

    def seeing(g, epsilon, sweeps):
        parts = fixed((seen, cost, g, epsilon))
        return jax.lax.map(lambda z: look(*z, sweeps=sweeps), parts)

    def ascent(g, columns):  # zero, with the dual value's gradient
        rise = ((seen.b - columns) * g).sum(1) * seen.spread / UNIT
        return rise - fixed(rise)

    value = jnp.zeros_like(epsilon)
    for stage, e in zip(network.rounds, network.looks, strict=True):
        seem = seeing(g, jax.vmap(at, (0, None))(seen, e), SWEEPS)
        value += ascent(g, seem.before)
        g = jax.vmap(corrected, (None, 0, 0, 0, 0))(stage, seen, fixed(hidden), fixed(g), seem)
    if last is None:
        columns = seeing(g, epsilon / seen.spread, 0).before
        value += ascent(g, columns) - jnp.abs(columns - seen.b).sum(1)
    else:
        value -= last(seen, cost, g) / UNIT
    return -value.mean()


def unrolled(
    network: Network, sources: Measure, targets: Measure, epsilon: Array, sweeps: int = 3
) -> Array:
    """The last stage judged by its marginal error after a few Sinkhorn sweeps.

    Differentiated through them; in units of the spread, so that it weighs like the semi-dual value.
    """

    def one(z):
        seen, cost, g = z
        e = seen.epsilon / seen.spread
        return jnp.abs(look(seen, cost, g, e, sweeps).after - seen.b).sum() * seen.spread

    def judge(seen, cost, g):
        return jax.lax.map(jax.checkpoint(one), (seen, cost, g))

    return semi_dual(network, sources, targets, epsilon, judge)


def solved(network: Network, sources: Measure, targets: Measure, epsilon: Array) -> Array:
    """The last stage judged by its distance to the potentials that the solver ends with."""

    def one(z):
        seen, cost = z
        e = seen.epsilon / seen.spread
        p = Problem(Dense(cost), seen.a, seen.b, e, BALANCED, BALANCED)
        return newton.run(p, newton.beginning(p, None), newton.options(e.dtype, 1e-2)).g

    def judge(seen, cost, g):
        best = jax.lax.map(one, jax.lax.stop_gradient((seen, cost)))
        gap = g - best
        gap = gap - (seen.b * gap).sum(1, keepdims=True)
        return (seen.b * jnp.abs(gap)).sum(1) * seen.spread

    return semi_dual(network, sources, targets, epsilon, judge)


LOSSES = {"semi-dual": semi_dual, "unrolled": unrolled, "solved": solved}
