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
# greatest change of log v in a block: a block that goes further ends there. A softmax in factors
# has e^35 of float32's e^87 for itself
REACH = 40.0
MOST = 1.9  # over-relaxation; at 2 the iteration would never contract
PATIENCE = 1000  # blocks without progress before giving up: on plateaus potentials still travel


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
    height: Array  # the highest dual value at this epsilon, and where it was
    high_f: Array
    high_g: Array
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
    status = pb.beginning_status(p)
    f = pb.best_f(_at(p, epsilon), start.g)
    if options.symmetric:
        f = jnp.zeros_like(f)
    history = jnp.full(options.history, jnp.nan, p.b.dtype)
    one = jnp.ones((), p.b.dtype)
    return State(
        f=f,
        g=start.g,
        epsilon=epsilon,
        omega=one,
        ceiling=MOST * one,
        before=infinite,
        height=-infinite,
        high_f=f,
        high_g=start.g,
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
    return replace(p, epsilon=epsilon)


def step(p: Problem, options: Options, s: State, stored: bool) -> State:
    """Evaluate the kernel, see whether that will do, else a block of updates."""
    q = _at(p, s.epsilon)
    rows, normaliser = p.kernel.rows(pb.leaning(p.b, s.g, s.epsilon, pb.mass(p)), s.epsilon, stored)
    hard_f = -s.epsilon * normaliser
    # where epsilon has just fallen f is of the one before: what it moves may overflow
    fresh = p.source_marginal.step(hard_f, s.epsilon)
    if not options.symmetric:
        s = replace(s, f=jnp.where(s.height > -jnp.inf, s.f, fresh))
    hard_g = _hard_g(q, s.g, rows.backward(pb.moved(p.a, s.f, hard_f, s.epsilon)))
    at = s.g
    error = pb.error(q, s.f, s.g, (hard_f, hard_g))
    s = _record(p, options, s, error, pb.dual(q, s.f, s.g, hard_f))
    return jax.lax.cond(
        running(s), lambda s: _advance(p, options, s, rows, hard_f, at), lambda s: s, s
    )


def _hard_g(p: Problem, g: Array, columns: Array) -> Array:
    """The g that would give columns their masses b, given the masses that they have."""
    some = p.b > 0
    columns = jnp.maximum(columns, jnp.finfo(g.dtype).tiny)
    missing = jnp.log(jnp.where(some, p.b, 1)) - jnp.log(columns)
    return g + jnp.where(some, p.epsilon * missing, 0)


def _record(p: Problem, options: Options, s: State, error: Array, height: Array) -> State:
    """Keep the best iterate, choose the next over-relaxation, decide whether to go on."""
    last = s.epsilon <= p.epsilon
    better = last & (error < s.error)
    stale = jnp.where((last & (error < 0.999 * s.error)) | ~last, 0, s.stale + 1)
    status = jnp.where(stale >= PATIENCE, Status.STALLED, -1)
    status = jnp.where(s.steps >= options.max_steps, Status.MAX_STEPS, status)
    status = jnp.where(last & (error <= options.tol), Status.OK, status)
    # over-relaxed and lower: back to the highest, plainly for a while, more carefully from then
    # on. The dual value tells, not the error, which may rest or rise on the way to the optimum
    noise = 64 * jnp.finfo(height.dtype).eps * jnp.abs(s.height)
    wild = last & (s.omega > 1) & ~(height >= s.height - noise)
    risen = last & ~wild & jnp.isfinite(height)
    ceiling = jnp.where(wild, 1 + 0.7 * (s.omega - 1), s.ceiling)
    status = jnp.where(jnp.isfinite(error) | wild, status, Status.NONFINITE)
    omega = jnp.where(wild | ~last, 1, _relaxation(error / s.before, s.omega, ceiling))
    return replace(
        s,
        f=jnp.where(wild, s.high_f, s.f),
        g=jnp.where(wild, s.high_g, s.g),
        omega=omega if options.relax else s.omega,
        ceiling=ceiling,
        before=jnp.where(last, jnp.where(wild, s.error, error), jnp.inf),
        height=jnp.where(risen, height, s.height),
        high_f=jnp.where(risen, s.f, s.high_f),
        high_g=jnp.where(risen, s.g, s.high_g),
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


def _advance(p: Problem, options: Options, s: State, rows: Rows, hard_f: Array, at: Array) -> State:
    """A block of updates; then a smaller epsilon, where annealing goes on.

    `rows` and `hard_f` belong to the potential `at`, which s.g may have been taken back from.
    """
    q = _at(p, s.epsilon)

    def update(_, state):
        f, t = state
        v, g = jnp.exp(t), at + s.epsilon * t
        inner = jnp.maximum(rows.forward(v), jnp.finfo(v.dtype).tiny)
        new_f = p.source_marginal.step(hard_f - s.epsilon * jnp.log(inner), s.epsilon)
        after_f = 0.5 * (f + new_f) if options.symmetric else f + s.omega * (new_f - f)
        seen = f if options.symmetric else after_f
        columns = v * rows.backward(pb.moved(p.a, seen, hard_f, s.epsilon))
        new_g = p.target_marginal.step(_hard_g(q, g, columns), s.epsilon)
        factor = 0.5 if options.symmetric else s.omega
        return after_f, jnp.clip(t + factor * (new_g - g) / s.epsilon, -REACH, REACH)

    last = s.epsilon <= p.epsilon
    # alternating updates need few at each epsilon on the way; averaged ones are half as fast
    count = INNER if options.symmetric else jnp.where(last, INNER, 2)
    t = jnp.clip((s.g - at) / s.epsilon, -REACH, REACH)
    f, t = jax.lax.fori_loop(0, count, update, (s.f, t))
    g = at + s.epsilon * t
    # averaged updates keep f = g where both measures are one
    offset = jnp.zeros_like(s.epsilon) if options.symmetric else pb.gauge(p, g)
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
    return found(p, iterate(lambda s: step(p, options, s, n * m <= STORED), s, running), options)


def found(p: Problem, s: State, options: Options) -> Found:
    """What a finished state has to show."""
    history = s.history if s.history.size else None
    f, g = pb.at_hand(p, (s.best_f, s.best_g), s.error, s.g)
    return Found(f, g, s.status, s.steps, s.passes, history, options.tol)


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
        kernel, a, b, epsilon, init, tol: as for `newton.solve`.
        source_marginal, target_marginal: `Balanced()`, `KL`, `TV`, `Range` or `Mixed`.
        max_steps: blocks of ten updates at most, 2,000 by default.
        scaling: annealing multiplies epsilon by this, from a quarter of the greatest cost down;
            near 0 there is none. In (0, 1).
        relax: over-relax by what the contraction seen so far says is best; a block that made things
            worse is undone.
        symmetric: average both updates from the same iterate, as GeomLoss does: slower, but f = g
            (up to the gauge) where both measures are one. Not relaxed.
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
