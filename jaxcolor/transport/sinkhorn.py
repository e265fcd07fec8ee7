"""Entropic transport by Sinkhorn's alternating updates: every marginal, any kernel.

    f = step_a(-epsilon log sum_j (b_j / s) exp((g_j - C_ij) / epsilon)),   then g likewise.

Done in blocks: the kernel's softmax S is evaluated once, the updates of a block are products with S
corrected by v = exp(change of g / epsilon). That is the stabilised scaling of Schmitzer (2019) with
absorption after every block; nothing over- or underflows at small epsilon.

Reference:
    Cuturi (2013), Sinkhorn distances; Chizat et al. (2018) for the relaxed marginals; Thibault,
    Chizat, Dossal, Papadakis (2021), Overrelaxed Sinkhorn-Knopp algorithm, section 3.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Status, default_tol, iterate
from jaxcolor.transport import problem as pb
from jaxcolor.transport.coupling import Coupling, Found, Start, better, cast, settle
from jaxcolor.transport.kernels import STORED, Kernel, Rows, compact
from jaxcolor.transport.marginals import BALANCED, Marginal
from jaxcolor.transport.problem import Problem
from jaxcolor.tree import pytree, static

START = 4.0  # annealing begins at span / 4
INNER = 10  # updates in a block
REACH = 60.0  # greatest change of log v in a block: a block that goes further ends there
MOST = 1.9  # over-relaxation; at 2 the iteration would never contract
PATIENCE = 50  # blocks without progress before giving up


@pytree
class Options:
    """Traced: when to stop, how to anneal. Static: how to update, what to remember."""

    tol: Array
    max_steps: Array
    scaling: Array
    relax: bool = static(default=True)
    symmetric: bool = static(default=False)
    history: int = static(default=0)


def options(
    dtype,
    tol: float | Array | None = None,
    max_steps: int | Array | None = None,
    scaling: float | Array = 0.5,
    relax: bool = True,
    symmetric: bool = False,
    history: int = 0,
) -> Options:
    """Options with their defaults, in the problem's dtype."""
    tol = default_tol(dtype) if tol is None else tol
    max_steps = jnp.asarray(2000 if max_steps is None else max_steps, jnp.int32)
    scaling, tol = jnp.asarray(scaling, dtype), jnp.asarray(tol, dtype)
    return Options(tol, max_steps, scaling, relax and not symmetric, symmetric, history)


@pytree
class State:
    """Where a solve stands; (f, g) is the iterate, (best_f, best_g) the best measured so far."""

    f: Array
    g: Array
    epsilon: Array
    omega: Array  # over-relaxation
    ceiling: Array  # what it may be at most
    before: Array  # error one block ago
    best_f: Array
    best_g: Array
    error: Array  # of the best
    stale: Array
    steps: Array
    passes: Array
    status: Array  # -1: still running
    history: Array


def begin(p: Problem, start: Start, options: Options) -> State:
    epsilon = jnp.maximum(start.epsilon, p.epsilon)
    infinite = jnp.full((), jnp.inf, p.b.dtype)
    zero = jnp.zeros((), jnp.int32)
    status = jnp.where(pb.infeasible(p), Status.INFEASIBLE, -1).astype(jnp.int8)
    f = pb.best_f(_at(p, epsilon), start.g)
    history = jnp.full(options.history, jnp.nan, p.b.dtype)
    one = jnp.ones((), p.b.dtype)
    return State(
        f=f,
        g=start.g,
        epsilon=epsilon,
        omega=one,
        ceiling=MOST * one,
        before=infinite,
        best_f=f,
        best_g=start.g,
        error=infinite,
        stale=zero,
        steps=zero,
        passes=zero,
        status=status,
        history=history,
    )


def running(s: State) -> Array:
    return s.status < 0


def _at(p: Problem, epsilon: Array) -> Problem:
    """The problem at another epsilon."""
    return Problem(p.kernel, p.a, p.b, epsilon, p.source_marginal, p.target_marginal)


def step(p: Problem, options: Options, s: State, stored: bool) -> State:
    """Evaluate the kernel, see whether that will do, else a block of updates."""
    q = _at(p, s.epsilon)
    rows, normaliser = p.kernel.rows(pb.leaning(p.b, s.g, s.epsilon, pb.mass(p)), s.epsilon, stored)
    hard_f = -s.epsilon * normaliser
    hard_g = _hard_g(q, s.g, rows.backward(pb.moved(p.a, s.f, hard_f, s.epsilon)))
    s = _record(p, options, s, pb.error(q, s.f, s.g, (hard_f, hard_g)))
    return jax.lax.cond(running(s), lambda s: _advance(p, options, s, rows, hard_f), lambda s: s, s)


def _hard_g(p: Problem, g: Array, columns: Array) -> Array:
    """The g that would give columns their masses b, given the masses that they have."""
    some = p.b > 0
    columns = jnp.maximum(columns, jnp.finfo(g.dtype).tiny)
    missing = jnp.log(jnp.where(some, p.b, 1)) - jnp.log(columns)
    return g + jnp.where(some, p.epsilon * missing, 0)


def _record(p: Problem, options: Options, s: State, error: Array) -> State:
    """Keep the best iterate, choose the next over-relaxation, decide whether to go on."""
    last = s.epsilon <= p.epsilon
    better = last & (error < s.error)
    stale = jnp.where((last & (error < 0.999 * s.error)) | ~last, 0, s.stale + 1)
    status = jnp.where(stale >= PATIENCE, Status.STALLED, -1)
    status = jnp.where(s.steps >= options.max_steps, Status.MAX_STEPS, status)
    status = jnp.where(last & (error <= options.tol), Status.OK, status)
    status = jnp.where(jnp.isfinite(error), status, Status.NONFINITE)
    # over-relaxed and worse: back to the best, plainly for a while, more carefully from then on
    wild = last & (s.omega > 1) & ~(error < s.before)
    ceiling = jnp.where(wild, 1 + 0.7 * (s.omega - 1), s.ceiling)
    omega = jnp.where(wild | ~last, 1, _relaxation(error / s.before, s.omega, ceiling))
    return replace(
        s,
        f=jnp.where(wild, s.best_f, s.f),
        g=jnp.where(wild, s.best_g, s.g),
        omega=omega if options.relax else s.omega,
        ceiling=ceiling,
        before=jnp.where(last, jnp.where(wild, s.error, error), jnp.inf),
        best_f=jnp.where(better, s.f, s.best_f),
        best_g=jnp.where(better, s.g, s.best_g),
        error=jnp.where(better, error, s.error),
        stale=stale,
        passes=s.passes + 2,
        status=status.astype(jnp.int8),
        history=s.history.at[s.steps].set(error) if options.history else s.history,
    )


def _relaxation(fall: Array, omega: Array, ceiling: Array) -> Array:
    """The best factor for the contraction that a block has shown.

    With factor w the error contracts by mu where (mu + w - 1)^2 = mu w^2 theta, theta being the
    plain contraction; the best w is 2 / (1 + sqrt(1 - theta)) (Young 1954, Thibault et al. 2021).
    """
    mu = jnp.clip(fall, 1e-6, 1) ** (1 / INNER)
    theta = jnp.clip((mu + omega - 1) ** 2 / (mu * omega**2), 0, 1)
    return jnp.minimum(2 / (1 + jnp.sqrt(1 - theta)), ceiling)


def _advance(p: Problem, options: Options, s: State, rows: Rows, hard_f: Array) -> State:
    """A block of updates; then a smaller epsilon, where annealing goes on."""
    q = _at(p, s.epsilon)

    def update(_, state):
        f, t = state
        v, g = jnp.exp(t), s.g + s.epsilon * t
        new_f = p.source_marginal.step(hard_f - s.epsilon * jnp.log(rows.forward(v)), s.epsilon)
        after_f = 0.5 * (f + new_f) if options.symmetric else f + s.omega * (new_f - f)
        seen = f if options.symmetric else after_f
        columns = v * rows.backward(pb.moved(p.a, seen, hard_f, s.epsilon))
        new_g = p.target_marginal.step(_hard_g(q, g, columns), s.epsilon)
        factor = 0.5 if options.symmetric else s.omega
        return after_f, jnp.clip(t + factor * (new_g - g) / s.epsilon, -REACH, REACH)

    last = s.epsilon <= p.epsilon
    # alternating updates need few at each epsilon on the way; averaged ones are half as fast
    count = INNER if options.symmetric else jnp.where(last, INNER, 2)
    f, t = jax.lax.fori_loop(0, count, update, (s.f, jnp.zeros_like(s.g)))
    g = s.g + s.epsilon * t
    offset = pb.gauge(p, g)
    return replace(
        s,
        f=f + offset,
        g=g - offset,
        epsilon=jnp.maximum(s.epsilon * options.scaling, p.epsilon),
        steps=s.steps + 1,
        passes=s.passes + 2 * count,
    )


def run(p: Problem, start: Start, options: Options) -> Found:
    """The potentials of one problem: the loop itself, without doors and derivatives."""
    p, start = jax.lax.stop_gradient((p, start))
    p = replace(p, kernel=compact(p.kernel))
    n, m = p.kernel.shape
    s = begin(p, start, options)
    return found(iterate(lambda s: step(p, options, s, n * m <= STORED), s, running))


def found(s: State) -> Found:
    """What a finished state has to show."""
    return Found(
        s.best_f, s.best_g, s.status, s.steps, s.passes, s.history if s.history.size else None
    )


def beginning(p: Problem, init: Start | None) -> Start:
    """Where annealing begins: cold from a part of the span, or from `init` where that is better."""
    cold = Start(jnp.zeros_like(p.b), p.kernel.span(p.a, p.b) / START)
    return cold if init is None else better(p, init, cold)


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
    source_marginal: Marginal = BALANCED,
    target_marginal: Marginal = BALANCED,
    init: Start | None = None,
    tol: float | Array | None = None,
    max_steps: int | Array | None = None,
    scaling: float | Array = 0.5,
    relax: bool = True,
    symmetric: bool = False,
    history: int = 0,
) -> Coupling:
    """Entropic transport min <C, P> + epsilon KL(P | a b' / s) + F_a(P 1) + F_b(P' 1).

    Args:
        kernel: n x m costs, `Dense` or `Cloud`.
        a: (n,) and b: (m,) weights >= 0; zeros are padding.
        epsilon: regularisation > 0, in units of the cost.
        source_marginal, target_marginal: `Balanced()`, `KL`, `TV` or `Range`.
        init: potential to start from, and where annealing begins.
        tol: on the error (`problem.error`); by default 1e-4 in float32, 1e-8 in float64.
        max_steps: blocks of ten updates at most, 2,000 by default.
        scaling: annealing multiplies epsilon by this, from a quarter of the greatest cost down;
            near 0 there is none. In (0, 1).
        relax: over-relax by what the contraction seen so far says is best; a block that made things
            worse is undone.
        symmetric: average both updates from the same iterate, as GeomLoss does: slower, but f = g
            where both measures are one. Not relaxed.
        history: length of `info.history`, the errors after each block.

    Returns:
        A `Coupling`; look at `info.status`, or `check(info)`.

    Raises:
        ValueError: where shapes do not match.

    Example:
        >>> from jaxcolor.transport.kernels import Cloud
        >>> x, half = jnp.array([[0.0], [1.0]]), jnp.array([0.5, 0.5])
        >>> round(float(solve(Cloud(x, x + 2), half, half, epsilon=0.1).value), 2)
        4.07

    Reference:
        See the module.
    """
    p = pb.make(kernel, a, b, epsilon, source_marginal, target_marginal)
    dtype = p.b.dtype
    chosen = options(dtype, tol, max_steps, scaling, relax, symmetric, history)
    return solve_problem(p, cast(init, dtype), chosen)
