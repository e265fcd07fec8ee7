"""One step of `newton`: half-step, Newton direction, line search, half-step.

All of it at one evaluation of the kernel: g moves by epsilon log v, and what the plan becomes are
products with its rows S, corrected by v.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Status
from jaxcolor.transport import problem as pb
from jaxcolor.transport.kernels import Rows
from jaxcolor.transport.linear import conjugate_gradients
from jaxcolor.transport.problem import Problem
from jaxcolor.tree import pytree

RATIO = 3.0  # annealing divides epsilon by 3 ...
COOL = 0.2  # ... whenever the error is below .2
FORCING = 0.1  # conjugate gradients stop at this part of the residual, or earlier
CG_STEPS = 200
MARGIN = 0.5  # of the tolerance, for what rounding adds when the result is measured afresh
TRIALS = 6
REACH = 40.0  # greatest change of log v in one step: twice that is all float32 can hold


@pytree
class Options:
    """Stopping: `tol` on the error, `max_steps` on the steps; both traced scalars."""

    tol: Array
    max_steps: Array


@pytree
class State:
    """Where a solve stands; `g` is ahead of the best pair so far, whose error has been measured."""

    g: Array
    epsilon: Array
    damping: Array
    best_f: Array
    best_g: Array
    error: Array
    stale: Array
    steps: Array
    passes: Array
    status: Array  # -1: still running


@pytree
class Point:
    """The plan after g has moved by epsilon log v from where `rows` was evaluated."""

    v: Array  # (m,)
    inner: Array  # (n,) S v
    f: Array  # (n,)
    r: Array  # (n,) row masses
    c: Array  # (m,) column masses


def advance(p: Problem, options: Options, s: State, rows: Rows, normaliser, ideal) -> State:
    """Half-step, Newton direction, line search, half-step; then a smaller epsilon if it is time."""
    scale = pb.mass(p)
    start = _at(p, s, rows, normaliser, ideal)
    goal = p.b * p.target_marginal.mass(_moved(s, start.v))
    residual = jnp.where(p.b > 0, goal - start.c, 0)
    size = jnp.abs(residual).sum() / scale
    last = s.epsilon <= p.epsilon
    direction, products = _direction(
        p, s, rows, start, residual, size, _forcing(options, size, last)
    )
    length, after, trials = _search(p, s, rows, normaliser, start, direction)
    ideal = half(p, s, after)
    left = jnp.abs(after.c * (1 - ideal)).sum() / scale
    done = last & (left <= MARGIN * options.tol)
    g = _moved(s, after.v) + jnp.where(done, 0, s.epsilon * jnp.log(ideal))
    g = g + jnp.where(done, 0, _translation(p, s, after))
    offset = pb.gauge(p, g)
    return State(
        g=g - offset,
        epsilon=jnp.where(left < COOL, jnp.maximum(s.epsilon / RATIO, p.epsilon), s.epsilon),
        damping=jnp.clip(s.damping * jnp.where(length > 0, 0.1, 100), 1e-3, 1e3),
        best_f=jnp.where(done, after.f + offset, s.best_f),
        best_g=jnp.where(done, g - offset, s.best_g),
        error=jnp.where(done, left, s.error),
        stale=s.stale,
        steps=s.steps + 1,
        passes=s.passes + 3 + 2 * products + trials,
        status=jnp.where(done, Status.OK, s.status).astype(jnp.int8),
    )


def _translation(p: Problem, s: State, here: Point) -> Array:
    """The constant that, added to g, makes the plan's mass what the target wants.

    Far from hard marginals Newton would find it; near them masses that differ are bridged by a
    shift of about rho, thousands of epsilon. (Sejourne, Vialard, Peyre 2022, Faster unbalanced
    optimal transport, section 3.)
    """
    wanted = (p.b * p.target_marginal.mass(_moved(s, here.v))).sum()
    # by what the log of each side changes when g / epsilon does by one
    rate_a = 1 - p.source_marginal.slope(s.epsilon)
    rate_b = 1 / p.target_marginal.slope(s.epsilon) - 1
    soft = rate_a + rate_b > 0
    shift = jnp.log(wanted / here.r.sum()) / jnp.where(soft, rate_a + rate_b, 1)
    return jnp.where(soft & jnp.isfinite(shift), s.epsilon * shift, 0)  # no mass, no shift


def _forcing(options: Options, size: Array, last: Array) -> Array:
    """How far conjugate gradients reduce the residual: no further than pays.

    In proportion to the residual Newton converges quadratically; but nothing below the tolerance
    is asked for, and where the half-step alone has reached it (forcing > 1) they do not start.
    """
    wanted = jnp.where(last, 0.25 * options.tol, COOL) / size
    there = last & (size <= MARGIN * options.tol)
    return jnp.where(there, 2, jnp.minimum(FORCING, jnp.maximum(size, jnp.maximum(wanted, 1e-3))))


def _moved(s: State, v: Array) -> Array:
    return s.g + s.epsilon * jnp.log(v)


def point(p: Problem, s: State, rows: Rows, normaliser, v: Array, inner: Array) -> Point:
    """The plan at v, its product `inner` = S v given."""
    hard = -s.epsilon * (normaliser + jnp.log(inner))
    f = p.source_marginal.step(hard, s.epsilon)
    r = pb.moved(p.a, f, hard, s.epsilon)
    return Point(v, inner, f, r, v * rows.backward(r / inner))


def _at(p: Problem, s: State, rows: Rows, normaliser: Array, v: Array) -> Point:
    return point(p, s, rows, normaliser, v, rows.forward(v))


def half(p: Problem, s: State, here: Point) -> Array:
    """The factor of v that a Sinkhorn half-step in g would bring; one where b is zero.

    A column that has all but vanished gets as much as the dtype can carry, and more next time.
    """
    tiny = jnp.exp(-REACH / 2).astype(here.v.dtype)
    g = _moved(s, here.v)
    some = p.b > 0
    ratio = jnp.where(some, p.b / jnp.maximum(here.c, tiny * p.b + jnp.finfo(g.dtype).tiny), 1)
    ratio = jnp.where(some, ratio, 1)
    step = (p.target_marginal.step(g + s.epsilon * jnp.log(ratio), s.epsilon) - g) / s.epsilon
    return jnp.where(some, jnp.exp(jnp.clip(step, -REACH / 2, REACH / 2)), 1)


def _direction(p: Problem, s: State, rows: Rows, here: Point, residual, size, forcing):
    """The Newton direction w, in units of epsilon, and the number of Hessian products it took."""
    g = _moved(s, here.v)
    kappa = p.source_marginal.slope(s.epsilon)
    diagonal = here.c + s.epsilon * p.b * p.target_marginal.curvature(g)
    live = (p.b > 0) & (diagonal > jnp.finfo(g.dtype).tiny * 1e4)
    scaling = jnp.where(live, jax.lax.rsqrt(jnp.where(live, diagonal, 1)), 0)
    damping = s.damping * jnp.minimum(size, 1) + 4 * jnp.finfo(g.dtype).eps
    weights = kappa * here.r / here.inner**2
    across = here.v * scaling

    def hessian(z):
        return (1 + damping) * z - across * rows.backward(weights * rows.forward(across * z))

    z, products = conjugate_gradients(hessian, scaling * residual, forcing, CG_STEPS)
    return scaling * z, products


def _search(p: Problem, s: State, rows: Rows, normaliser, here: Point, w: Array):
    """Backtrack until the dual has risen: (length, the point there, trials)."""
    noise = 8 * jnp.finfo(w.dtype).eps * pb.mass(p)
    # point by point: a few columns of hardly any mass must not shorten the step of all others
    w = jnp.clip(w, -REACH, REACH)

    def trial(t):
        count = t[-1]
        length = jnp.where(count == 0, 1, t[0] * 0.3)
        v = here.v * jnp.exp(length * w)
        inner = rows.forward(v)
        rise = _rise(p, s, here, length * w, jnp.log(inner / here.inner))
        return length, v, inner, rise, count + 1

    def going(t):
        _, _, _, rise, count = t
        return ~(rise > -noise) & (count < TRIALS)

    zero = jnp.zeros((), w.dtype)
    start = (zero, here.v, here.inner, zero - jnp.inf, jnp.zeros((), jnp.int32))
    length, v, inner, rise, trials = jax.lax.while_loop(going, trial, start)
    good = rise > -noise
    v, inner = jnp.where(good, v, here.v), jnp.where(good, inner, here.inner)
    after = point(p, s, rows, normaliser, v, inner)
    return jnp.where(good, length, 0), after, trials


def _rise(p: Problem, s: State, here: Point, dg: Array, dlog: Array) -> Array:
    """Change of the dual, in units of epsilon, without cancellation.

    Args:
        dg: (m,) change of g / epsilon. dlog: (n,) change of log S v that it makes.
    """
    g = _moved(s, here.v)
    kappa = p.source_marginal.slope(s.epsilon)
    rewards = (p.b * p.target_marginal.change(g, s.epsilon * dg)).sum()
    rewards += (p.a * p.source_marginal.change(here.f, -kappa * s.epsilon * dlog)).sum()
    return rewards / s.epsilon - (here.r * jnp.expm1((1 - kappa) * dlog)).sum()
