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
from jaxcolor.transport.kernels import STORED, Cloud, Kernel, compact
from jaxcolor.transport.marginals import BALANCED, SmoothMarginal, kind
from jaxcolor.transport.newton_step import MARGIN, Options, State, advance, half, point
from jaxcolor.transport.problem import Problem
from jaxcolor.transport.sharded import cloud_of

START = 16.0  # annealing begins at span / 16
MANY = 2048  # clouds from this size on begin with ...
FEW = 512  # ... so many of their points, down to ...
FINE = 500.0  # ... span / 500: finer, they would mislead the others
PATIENCE = 12  # steps without progress before giving up


def options(
    dtype, tol: float | Array | None = None, max_steps: int | Array | None = None
) -> Options:
    """Options with their defaults, in the problem's dtype."""
    tol = default_tol(dtype) if tol is None else tol
    max_steps = 100 if max_steps is None else max_steps
    return Options(jnp.asarray(tol, dtype), jnp.asarray(max_steps, jnp.int32))


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
    here = point(p, s, rows, normaliser, jnp.ones_like(s.g), jnp.ones_like(normaliser))
    ideal = half(p, s, here)
    error = jnp.abs(here.c - here.c * ideal).sum() / scale
    last = s.epsilon <= p.epsilon
    better = last & (error < s.error)
    gained = last & (error < 0.99 * s.error)
    s = replace(
        s,
        best_f=jnp.where(better, here.f, s.best_f),
        best_g=jnp.where(better, s.g, s.best_g),
        error=jnp.where(better, error, s.error),
        stale=jnp.where(gained | ~last, 0, s.stale + 1),
        passes=s.passes + 2,
        status=_judge(options, s, error, last),
    )
    return jax.lax.cond(
        running(s),
        lambda s: advance(p, options, s, rows, normaliser, ideal),
        lambda s: s,
        s,
    )


def _judge(options: Options, s: State, error: Array, last: Array) -> Array:
    status = jnp.where(s.stale >= PATIENCE, Status.STALLED, -1)
    status = jnp.where(s.steps >= options.max_steps, Status.MAX_STEPS, status)
    status = jnp.where(last & (error <= MARGIN * options.tol), Status.OK, status)
    # an error that cannot be measured has lost the iterate; the best pair is still there
    return jnp.where(jnp.isfinite(error), status, Status.NONFINITE).astype(jnp.int8)


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
    there = replace(few, kernel=some.at(kernel.y, 0))
    return Start(pb.best_g(there, found.f), epsilon)


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
        kernel: n x m costs: `Dense`, `Cloud`, `GridKernel` or `Sharded`.
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
