"""Entropic transport by annealed Newton steps on the dual: the fast path.

Sinkhorn's iteration count grows as 1 / epsilon; Newton's hardly does. The unknown is g (f follows
by one softmin), the system

    (diag(c) + epsilon diag(q) - kappa S' diag(r) S) w = target - c,      g <- g + epsilon w

with S the plan's rows divided by their masses r, c its column masses, kappa and q the slope and
curvature of the marginals (1 and 0 when hard). It is solved by conjugate gradients, only as well as
the step deserves. Within a step the kernel is evaluated once: half-steps, the line search and the
Hessian are products with S, corrected by v = exp(change of g / epsilon).

Reference:
    Brauer, Clason, Lorenz, Wirth (2017), A Sinkhorn-Newton method for entropic optimal transport,
    section 2; annealing and inexact steps as in Kemertas, Farahmand, Jepson (2025), A truncated
    Newton method for optimal transport, algorithm 2.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Status, default_tol, iterate
from jaxcolor.transport import problem as pb
from jaxcolor.transport.coupling import Coupling, Found, Start, better, cast, settle
from jaxcolor.transport.kernels import STORED, Cloud, Kernel, Rows, compact
from jaxcolor.transport.linear import conjugate_gradients
from jaxcolor.transport.marginals import BALANCED, SmoothMarginal, kind
from jaxcolor.transport.problem import Problem
from jaxcolor.transport.sharded import cloud_of
from jaxcolor.tree import pytree

START = 16.0  # annealing begins at span / 16 ...
RATIO = 3.0  # ... and divides epsilon by 3 ...
MANY = 2048  # clouds from this size on begin with ...
FEW = 512  # ... so many of their points, down to ...
FINE = 500.0  # ... span / 500: finer, they would mislead the others
COOL = 0.2  # ... whenever the error is below .2
FORCING = 0.1  # conjugate gradients stop at this part of the residual, or earlier
CG_STEPS = 200
MARGIN = 0.5  # of the tolerance, for what rounding adds when the result is measured afresh
TRIALS = 6
REACH = 40.0  # greatest change of log v in one step: twice that is all float32 can hold
PATIENCE = 12  # steps without progress before giving up


@pytree
class Options:
    """Stopping: `tol` on the error, `max_steps` on the steps; both traced scalars."""

    tol: Array
    max_steps: Array


def options(
    dtype, tol: float | Array | None = None, max_steps: int | Array | None = None
) -> Options:
    """Options with their defaults, in the problem's dtype."""
    tol = default_tol(dtype) if tol is None else tol
    max_steps = 100 if max_steps is None else max_steps
    return Options(jnp.asarray(tol, dtype), jnp.asarray(max_steps, jnp.int32))


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


def begin(p: Problem, start: Start, options: Options) -> State:
    """The state before the first step."""
    g = start.g
    infinite = jnp.full((), jnp.inf, g.dtype)
    zero = jnp.zeros((), jnp.int32)
    status = pb.beginning_status(p)
    epsilon = jnp.maximum(start.epsilon, p.epsilon)
    damping = jnp.full((), 1e-3, g.dtype)
    f = jnp.zeros(p.a.shape, g.dtype)
    return State(g, epsilon, damping, f, g, infinite, zero, zero, zero, status)


def running(s: State) -> Array:
    return s.status < 0


def step(p: Problem, options: Options, s: State, stored: bool) -> State:
    """Evaluate the kernel, see whether that will do, else half-step, Newton step, half-step."""
    scale = pb.mass(p)
    h = pb.leaning(p.b, s.g, s.epsilon, scale)
    rows, normaliser = p.kernel.rows(h, s.epsilon, stored)
    here = _point(p, s, rows, normaliser, jnp.ones_like(s.g), jnp.ones_like(normaliser))
    ideal = _half(p, s, here)
    error = jnp.abs(here.c - here.c * ideal).sum() / scale
    last = s.epsilon <= p.epsilon
    better = last & (error < s.error)
    gained = last & (error < 0.99 * s.error)
    s = State(
        g=s.g,
        epsilon=s.epsilon,
        damping=s.damping,
        best_f=jnp.where(better, here.f, s.best_f),
        best_g=jnp.where(better, s.g, s.best_g),
        error=jnp.where(better, error, s.error),
        stale=jnp.where(gained | ~last, 0, s.stale + 1),
        steps=s.steps,
        passes=s.passes + 2,
        status=_judge(options, s, error, last),
    )
    return jax.lax.cond(
        running(s),
        lambda s: _advance(p, options, s, rows, normaliser, ideal),
        lambda s: s,
        s,
    )


def _judge(options: Options, s: State, error: Array, last: Array) -> Array:
    status = jnp.where(s.stale >= PATIENCE, Status.STALLED, -1)
    status = jnp.where(s.steps >= options.max_steps, Status.MAX_STEPS, status)
    status = jnp.where(last & (error <= MARGIN * options.tol), Status.OK, status)
    # an error that cannot be measured has lost the iterate; the best pair is still there
    return jnp.where(jnp.isfinite(error), status, Status.NONFINITE).astype(jnp.int8)


def _advance(p: Problem, options: Options, s: State, rows: Rows, normaliser, ideal) -> State:
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
    ideal = _half(p, s, after)
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


def _point(p: Problem, s: State, rows: Rows, normaliser, v: Array, inner: Array) -> Point:
    """The plan at v, its product `inner` = S v given."""
    hard = -s.epsilon * (normaliser + jnp.log(inner))
    f = p.source_marginal.step(hard, s.epsilon)
    r = pb.moved(p.a, f, hard, s.epsilon)
    return Point(v, inner, f, r, v * rows.backward(r / inner))


def _at(p: Problem, s: State, rows: Rows, normaliser: Array, v: Array) -> Point:
    return _point(p, s, rows, normaliser, v, rows.forward(v))


def _half(p: Problem, s: State, here: Point) -> Array:
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
    after = _point(p, s, rows, normaliser, v, inner)
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


def run(p: Problem, start: Start, options: Options) -> Found:
    """The potentials of one problem: the loop itself, without doors and derivatives."""
    p, start = jax.lax.stop_gradient((p, start))
    p = replace(p, kernel=compact(p.kernel))
    n, m = p.kernel.shape
    s = begin(p, start, options)
    return found(p, iterate(lambda s: step(p, options, s, n * m <= STORED), s, running), options)


def found(p: Problem, s: State, options: Options) -> Found:
    """What a finished state has to show."""
    f, g = pb.at_hand(p, (s.best_f, s.best_g), s.error, s.g)
    return Found(f, g, s.status, s.steps, s.passes, tol=options.tol)


def beginning(p: Problem, init: Start | None) -> Start:
    """Where annealing begins: cold, from `init` where that is better, or from a few points."""
    cold = Start(jnp.zeros_like(p.b), p.kernel.span(p.a, p.b) / START)
    if init is not None:
        return better(p, init, cold)
    cloud = cloud_of(p.kernel)
    if cloud is not None and min(cloud.shape) >= MANY:
        return _from_few(p, cloud, cold)
    return cold


def _from_few(p: Problem, kernel: Cloud, cold: Start) -> Start:
    """The first levels of annealing on FEW points of each cloud, at hardly any cost.

    The points are those at even steps of mass, so that padding changes nothing.
    """
    p, kernel, cold = jax.lax.stop_gradient((p, kernel, cold))
    some = Cloud(kernel.x[_spread(p.a)], kernel.y[_spread(p.b)], kernel.cost)
    share = jnp.full(FEW, 1 / FEW, p.b.dtype)
    epsilon = jnp.maximum(p.epsilon, cold.epsilon * (START / FINE))
    few = replace(p, kernel=some, a=share * p.a.sum(), b=share * p.b.sum(), epsilon=epsilon)
    start = Start(jnp.zeros_like(share), cold.epsilon)
    found = run(few, start, options(p.b.dtype, 0.01))
    f = pb.leaning(few.a, found.f, epsilon, pb.mass(few))
    hard = -epsilon * some.at(kernel.y, 0).softmin(f, epsilon, 0)
    return Start(p.target_marginal.step(hard, epsilon), epsilon)


def _spread(weights: Array) -> Array:
    """FEW indices at even steps of cumulative weight."""
    steps = (jnp.arange(FEW, dtype=weights.dtype) + 0.5) / FEW
    total = jnp.cumsum(weights)
    return jnp.minimum(jnp.searchsorted(total, steps * total[-1]), weights.shape[0] - 1)


@jax.jit
def solve_problem(p: Problem, init: Start | None, options: Options) -> Coupling:
    """`solve` for one who has the parts at hand: nothing is cast or checked."""
    return settle(p, run(p, beginning(p, init), options))


def solve(
    kernel: Kernel,
    a: Array,
    b: Array,
    *,
    epsilon: float | Array,
    source_marginal: SmoothMarginal = BALANCED,
    target_marginal: SmoothMarginal = BALANCED,
    init: Start | None = None,
    tol: float | Array | None = None,
    max_steps: int | Array | None = None,
) -> Coupling:
    """Entropic transport min <C, P> + epsilon KL(P | a b' / s) + F_a(P 1) + F_b(P' 1).

    Args:
        kernel: n x m costs, `Dense` or `Cloud`.
        a: (n,) and b: (m,) weights >= 0; zeros are padding.
        epsilon: regularisation > 0, in units of the cost.
        source_marginal, target_marginal: `Balanced()` or `KL(rho)`.
        init: potential to start from, and where annealing begins.
        tol: on the error (`problem.error`); by default 1e-4 in float32, 1e-8 in float64.
        max_steps: Newton steps at most, 100 by default.

    Returns:
        A `Coupling`; look at `info.status`, or `check(info)`.

    Raises:
        ValueError: where shapes do not match, or a marginal is not smooth.

    Example:
        >>> from jaxcolor.transport.kernels import Cloud
        >>> x, half = jnp.array([[0.0], [1.0]]), jnp.array([0.5, 0.5])
        >>> round(float(solve(Cloud(x, x + 2), half, half, epsilon=0.1).value), 2)
        4.07

    Reference:
        See the module.
    """
    for marginal in (source_marginal, target_marginal):
        if not isinstance(kind(marginal), SmoothMarginal):
            raise ValueError(
                f"newton takes Balanced and KL marginals, got {type(kind(marginal)).__name__}: "
                "use method='sinkhorn'"
            )
    p = pb.make(kernel, a, b, epsilon, source_marginal, target_marginal)
    dtype = p.b.dtype
    return solve_problem(p, cast(init, dtype), options(dtype, tol, max_steps))
