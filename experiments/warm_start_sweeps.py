"""Sinkhorn's sweeps at the study's letter, counted until each of several rules is met.

    log u <- log a - LSE_j(log v - C / epsilon),    log v <- log b - LSE_i(log u - C / epsilon)

so the plan is u_i exp(-C_ij / epsilon) v_j, and log v = g / epsilon + log b for the potential g of
`jaxcolor.transport` (the masses being one).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from warm_start_pairs import Pairs, costs, shared_out

from jaxcolor.measure import Measure
from jaxcolor.transport import anderson
from jaxcolor.transport.problem import log_weights
from jaxcolor.tree import pytree

CHANGE = 1e-4  # of log v in a sweep: the study's rule
ERRORS = (1e-1, 1e-2, 1e-3, 1e-4)  # row plus column L1 violation
CAP = 20_000
BLOCK = 32  # sweeps of one pair while its costs are in cache; the cap is a multiple
GROUP = 8  # pairs that stop together
OMEGA = 1.5


@pytree
class Problem:
    """One pair, in units of epsilon."""

    cost: Array
    log_a: Array
    log_b: Array


def problem(mu: Measure, nu: Measure, epsilon: float | Array) -> Problem:
    cost = costs(mu, nu) / epsilon
    return Problem(cost, log_weights(mu.weights), log_weights(nu.weights))


def log_v(g: Array, b: Array, epsilon: float | Array) -> Array:
    """What a potential is in the study's terms; `-inf` where there is no weight."""
    return g / epsilon + log_weights(b)


def potential(v: Array, b: Array, epsilon: float | Array) -> Array:
    """The potential of a `log_v`; zero where there is no weight."""
    some = b > 0
    return jnp.where(some, epsilon * (v - jnp.log(jnp.where(some, b, 1))), 0)


def rows(p: Problem, v: Array) -> Array:
    """log u: the plan's rows are then exact."""
    return p.log_a - jax.nn.logsumexp(v[None] - p.cost, 1)


def columns(p: Problem, u: Array) -> Array:
    """log v: the plan's columns are then exact."""
    return p.log_b - jax.nn.logsumexp(u[:, None] - p.cost, 0)


def sweep(p: Problem, v: Array) -> Array:
    return columns(p, rows(p, v))


def change(v: Array, after: Array) -> Array:
    """Greatest difference; two that are both -inf are equal."""
    return jnp.where(v == after, 0, jnp.abs(after - v)).max()


def violation(p: Problem, v: Array, swept: Array) -> Array:
    """L1 error of the plan at log v and the log u that makes its rows exact, from the sweep of v.

    Its columns then have masses b v / v+, v+ being the swept.
    """
    gap = jnp.where(v == swept, 0, v - swept)
    return (jnp.exp(p.log_b) * jnp.abs(jnp.expm1(gap))).sum()


class Iteration(NamedTuple):
    """begin(problem, log v) -> state; advance(problem, state) -> state, change, error before."""

    begin: Callable[[Problem, Array], Any]
    advance: Callable[[Problem, Any], tuple[Any, Array, Array]]


def _plain(p: Problem, v: Array):
    after = sweep(p, v)
    return after, change(v, after), violation(p, v, after)


def _relaxed(p: Problem, state):
    """Both half-steps go 1.5 times as far (Thibault et al. 2021); judged as Anderson's."""
    u, v = state

    def further(old, new):
        return jnp.where(jnp.isfinite(new), old + OMEGA * (new - old), new)

    half = rows(p, v)
    u, image = further(u, half), columns(p, half)
    after = further(v, columns(p, u))
    return (u, after), change(v, image), violation(p, v, image)


def _mixed(p: Problem, state):
    """Anderson's average of the last five images; the rule is on what a plain sweep changes."""
    v, past = state
    some = jnp.isfinite(p.log_b)
    image = sweep(p, v)
    now, then = jnp.where(some, v, 0), jnp.where(some, image, 0)
    after, past = anderson.mix(past, now, then, jnp.where(some, 1, 0).astype(v.dtype))
    return (jnp.where(some, after, v), past), change(v, image), violation(p, v, image)


PLAIN = Iteration(lambda p, v: v, _plain)
RELAXED = Iteration(lambda p, v: (rows(p, v), v), _relaxed)
ANDERSON = Iteration(lambda p, v: (v, anderson.start(v)), _mixed)


@pytree
class Counts:
    """Sweeps until each rule was met; CAP where it never was.

    Attributes:
        rule: (B,) the study's, as it returns it: the number of sweeps less one.
        joint: (B,) the same where GROUP pairs stop together, repeated for each of them.
        errors: (B, E) until the error was below each threshold; 0 where the start was.
    """

    rule: Array
    joint: Array
    errors: Array


def count(
    pairs: Pairs,
    g: Array | np.ndarray,
    epsilon: float,
    iteration: Iteration = PLAIN,
    errors: tuple[float, ...] = ERRORS,
    together: bool = True,
) -> Counts:
    """Sweep from potentials g (B, m), in g's precision, until every rule is met or the cap.

    Where not `together` pairs go one by one and the study's rule is not waited for.
    """
    size = GROUP if together else 1
    if len(g) % size:
        raise ValueError(f"pairs come in groups of {size}, got {len(g)}")

    def part(mu, nu, g):
        return _counted(mu, nu, g, epsilon, iteration, errors, together)

    return shared_out(part, (*pairs, jnp.asarray(g)), size)


@partial(jax.jit, static_argnames=("iteration", "errors", "together"))
def _counted(mu, nu, g, epsilon, iteration: Iteration, errors: tuple[float, ...], together: bool):
    epsilon = jnp.asarray(epsilon, g.dtype)
    problems = jax.vmap(problem, (0, 0, None))(mu, nu, epsilon)
    v = jax.vmap(log_v, (0, 0, None))(g, nu.weights, epsilon)
    size = len(g)
    thresholds = jnp.asarray(errors, g.dtype)

    def block(given):
        p, state = given

        def one(state, _):
            state, moved, error = iteration.advance(p, state)
            return state, (moved, error)

        return jax.lax.scan(one, state, length=BLOCK)

    def first(base, known, met):
        """The first sweep at which a rule was met, the sweeps being along the last axis."""
        now = base + met.argmax(-1).astype(jnp.int32)
        return jnp.minimum(known, jnp.where(met.any(-1), now, CAP))

    def turn(carry):
        base, states, found = carry
        states, (moved, error) = jax.lax.map(block, (problems, states))
        still = moved <= CHANGE
        below = error[:, None] <= thresholds[:, None]
        joint = first(base, found.joint[0], still.all(0))
        found = Counts(
            first(base, found.rule, still),
            jnp.full(size, joint),
            first(base, found.errors, below),
        )
        return base + BLOCK, states, found

    def going(carry):
        base, _, found = carry
        waiting = (found.errors == CAP).any()
        return (base < CAP) & (waiting | (together & (found.joint == CAP).any()))

    none = jnp.full(size, CAP, jnp.int32)
    found = Counts(none, none, jnp.full((size, len(errors)), CAP, jnp.int32))
    states = jax.vmap(iteration.begin)(problems, v)
    return jax.lax.while_loop(going, turn, (jnp.int32(0), states, found))[-1]


def maxima(counts: Counts) -> np.ndarray:
    """One count for each group that stopped together: what the study published."""
    return np.asarray(counts.joint)[::GROUP]


def summary(values) -> list[float]:
    """Least, quartiles, greatest."""
    return [float(q) for q in np.percentile(np.asarray(values), [0, 25, 50, 75, 100])]
