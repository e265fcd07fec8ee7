"""Entropic transport between clouds of 10^5 to 10^6 colours: bins first, then tiles.

The points of each cloud are gathered in bins about sqrt(epsilon) wide, and the problem between the
bins is solved by `newton`. From there the points themselves take Sinkhorn half-steps, over the
tiles where mass moves (`tiles`). Alone these would take thousands: what happens within a blur is
settled at once, what has to travel is not. So after each the bins' problem is asked again, its
target tilted by what the points' columns lack, and the answer is added; Anderson's acceleration
mends what the bins get wrong. Some ten cycles of two sums each do.

Whether that has converged is measured on all pairs, for rows and columns drawn at random.

Reference:
    Brandt (1977), Multi-level adaptive solutions to boundary-value problems (the full
    approximation scheme); Schmitzer (2019), Stabilized sparse scaling algorithms for entropy
    regularized transport problems (multiscale, truncated kernels).
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jaxcolor.iterate import Info, Status
from jaxcolor.transport import anderson, backends, newton, tiles
from jaxcolor.transport import problem as pb
from jaxcolor.transport.costs import SqEuclidean
from jaxcolor.transport.coupling import Coupling, Start, cast
from jaxcolor.transport.kernels import Cloud
from jaxcolor.transport.levels import Levels, build, extend, from_bins, half_steps, rise
from jaxcolor.transport.marginals import BALANCED, SmoothMarginal
from jaxcolor.transport.newton import Options
from jaxcolor.transport.problem import Problem
from jaxcolor.transport.tiles import Sorted, Tiles

SMALL = 2**26  # pairs: up to here newton keeps its matrix, and is faster
COARSE = 1e-2  # error to which the bins' problem is solved at first: their own is larger
LOST = 0.2  # of the tolerance: what tiles may leave out of any row or column
REACH = 2.0  # epsilon, by which potentials may rise before tiles are chosen anew
PATIENCE = 10  # cycles without progress before giving up
SAMPLES = 1024, 8192  # rows and columns that the check draws; the second where the first leave open

options = newton.options  # `max_steps` are cycles


@dataclass
class State:
    """Where a solve stands, on the host; the best pair so far and what was measured of it."""

    f: Array
    g: Array
    error: float
    moved: Array  # mass of the plan
    status: int = -1
    steps: int = 0
    pairs: float = 0.0  # visited, in all


def chosen(levels: Levels, f: Array, g: Array, tol: float) -> Tiles:
    """The tiles that may matter, as long as potentials rise by no more than REACH."""
    p = levels.fine
    masses = float(p.a.sum()), float(p.b.sum())
    share = LOST * tol * (masses[0] * masses[1]) ** 0.5 / max(masses)
    return tiles.kept(levels.x, levels.y, f, g, float(p.epsilon) * (np.log(share) - REACH))


@jax.jit
def _mixed(past: anderson.Memory, b: Array, g: Array, image: Array):
    shape = g.shape
    g, past = anderson.mix(past, g.ravel(), image.ravel(), jnp.sqrt(b).ravel())
    return g.reshape(shape), past


@jax.jit
def _violations(p: Problem, f: Array, g: Array, rows: Array, columns: Array):
    """How far the rows and columns drawn are from their half-steps, in units of their weight."""
    kernel = p.kernel

    def away(potential, hard, marginal):
        now = jnp.exp((potential - hard) / p.epsilon)
        return jnp.abs(now - jnp.exp((marginal.step(hard, p.epsilon) - hard) / p.epsilon))

    some_x = kernel.at(kernel.x[rows], 1)  # pyright: ignore[reportAttributeAccessIssue]
    some_y = kernel.at(kernel.y[columns], 0)  # pyright: ignore[reportAttributeAccessIssue]
    hard_f = pb.hard_f(replace(p, kernel=some_x), g)
    hard_g = pb.hard_g(replace(p, kernel=some_y), f)
    return (
        away(f[rows], hard_f, p.source_marginal),
        away(g[columns], hard_g, p.target_marginal),
    )


def _cycles(levels: Levels, f: Array, g: Array, tol: float, most: int) -> State:
    """Half-steps and what the bins make of them, until the columns' error is small."""
    p, b = levels.fine, levels.y.weights
    entries = levels.x.weights.shape[1] * b.shape[1]
    bins = levels.coarse.a.size * levels.coarse.b.size
    offset = pb.gauge(p, g.ravel())
    f, g = f + offset, g - offset
    s = State(f, g, np.inf, jnp.zeros(()))
    past, pairs, f0, g0, stale = anderson.start(g.ravel()), None, f, g, 0
    while s.status < 0:
        if pairs is None or rise(levels, f, g, f0, g0) > REACH:
            pairs, f0, g0 = chosen(levels, f, g, tol), f, g
        f, after, columns, lack, error = half_steps(p, pairs, f, g)
        s.pairs += 2 * entries * int(pairs.count)
        stale = 0 if float(error) < 0.99 * s.error else stale + 1
        if float(error) < s.error:
            s.f, s.g, s.error, s.moved = f, g, float(error), columns.sum()
        done = float(error) <= newton.MARGIN * tol
        if done and rise(levels, f, g, f0, g0) > REACH and s.steps < most:
            pairs, s.error, s.steps = None, np.inf, s.steps + 1  # of tiles that no longer count
            continue
        s.status = _judge(s, float(error), done, stale, most)
        if s.status < 0:
            df, dg, passes = from_bins(levels, g, after, lack, jnp.asarray(tol, g.dtype))
            s.pairs += bins * int(passes)
            image = after + p.epsilon * dg
            offset = pb.gauge(p, image.ravel())  # a constant is no residual
            g, past = _mixed(past, b, g, image - offset)
            f, s.steps = f + p.epsilon * df + offset, s.steps + 1
    return s


def _judge(s: State, error: float, done: bool, stale: int, most: int) -> int:
    if not np.isfinite(error):
        return Status.NONFINITE
    if done:
        return Status.OK
    if s.steps >= most:
        return Status.MAX_STEPS
    return Status.STALLED if stale >= PATIENCE else -1


def _begin(levels: Levels, right: Sorted, init: Start | None, tol: float) -> tuple[Array, Array]:
    """The potentials to begin with: the bins', or those of `init` where its half-steps err less."""
    p, bins = levels.fine, levels.columns
    near = newton.options(p.b.dtype, max(COARSE, tol))
    if init is None:
        return extend(levels, newton.solve_problem(levels.coarse, None, near))
    g = right.there(np.asarray(init.g))
    start = Start(bins.mean(levels.y, g), init.epsilon)
    solved = newton.solve_problem(levels.coarse, start, near)
    tried = [extend(levels, solved)]
    if float(init.epsilon) <= 1.001 * float(p.epsilon):
        tried.append((extend(levels, replace(solved, g=start.g))[0], g))
    return min(tried, key=lambda pair: _first_error(levels, pair[0], pair[1], tol))


def _first_error(levels: Levels, f: Array, g: Array, tol: float) -> float:
    error = float(half_steps(levels.fine, chosen(levels, f, g, tol), f, g)[-1])
    return error if np.isfinite(error) else np.inf


def _checked(levels: Levels, s: State, tol: float) -> float:
    """Mean of the marginals' error over rows and columns drawn, on all pairs, + 3 standard errors.

    Drawn by weight, so that the mean is that of the L1 violation. More where tol lies between.
    """
    p = levels.fine
    random = np.random.default_rng(0)
    weights = [np.asarray(w, np.float64) for w in (p.a, p.b)]
    totals = [w.sum() for w in weights]
    scale = (totals[0] * totals[1]) ** 0.5
    mean = spread = np.inf
    for count in SAMPLES:
        drawn = [random.choice(w.size, count, p=w / w.sum()).astype(np.int32) for w in weights]
        rows, columns = map(jnp.asarray, drawn)
        found = _violations(p, s.f.ravel(), s.g.ravel(), rows, columns)
        found = [
            np.asarray(part, np.float64) * (total / scale)
            for part, total in zip(found, totals, strict=True)
        ]
        s.pairs += count * (weights[0].size + weights[1].size)
        mean = sum(part.mean() for part in found)
        spread = 3 * sum(part.var() / count for part in found) ** 0.5
        if not abs(mean - tol) < spread:
            break
    return float(mean + spread)


def solve_problem(p: Problem, init: Start | None, options: Options) -> Coupling:
    """The coupling of a problem on a `Cloud`; on the host. See the module.

    `info.error` is the mean over sampled rows and columns plus three standard errors; the status
    is OK only where that is within the tolerance. `info.steps` are cycles.

    Raises:
        ValueError: under `jit`, `vmap` or `grad`; for other costs than |x - y|^2, or d > 3.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((p, init, options))):
        raise ValueError("multiscale runs on the host: call it outside jit, vmap and grad")
    kernel = p.kernel
    costs = kernel.cost if isinstance(kernel, Cloud) else kernel
    if not isinstance(kernel, Cloud) or not isinstance(costs, SqEuclidean):
        raise ValueError(
            f"multiscale takes clouds and squared distances, got {type(costs).__name__}: "
            "use method='newton'"
        )
    if kernel.x.shape[1] > 3:
        raise ValueError(
            f"multiscale takes up to 3 dimensions, got {kernel.x.shape[1]}: use method='newton'"
        )
    n, m = kernel.shape
    if n * m <= SMALL or int(pb.beginning_status(p)) >= 0:
        return newton.solve_problem(p, init, options)
    rows, columns = (np.flatnonzero(np.asarray(w) > 0) for w in (p.a, p.b))
    inner = replace(
        p,
        kernel=Cloud(kernel.x[rows], kernel.y[columns]),
        a=p.a[rows],
        b=p.b[columns],
    )
    if init is not None:
        init = Start(init.g[columns], init.epsilon)
    f, g, moved, info = _solved(inner, init, float(options.tol), int(options.max_steps))
    f, g = _everywhere(p, inner, f, g, rows, columns)
    return Coupling(p, f, g, _value(p, f, g, moved), info)


def _solved(p: Problem, init: Start | None, tol: float, most: int):
    """Potentials, mass and info of a problem without weightless points."""
    levels, left, right = build(p)
    s = _cycles(levels, *_begin(levels, right, init, tol), tol, most)
    error, status = np.nan, s.status
    if status != Status.NONFINITE:
        error = max(_checked(levels, s, tol), s.error)
        status = Status.OK if error <= tol else max(status, Status.MAX_STEPS)
        if s.status == Status.OK and error > tol:
            status = Status.STALLED
    n, m = p.kernel.shape
    passes = -(-s.pairs // (n * m))
    info = Info(
        jnp.asarray(status, jnp.int8),
        jnp.asarray(s.steps, jnp.int32),
        jnp.asarray(int(passes), jnp.int32),
        jnp.asarray(error, p.b.dtype),
    )
    return jnp.asarray(left.back(s.f)), jnp.asarray(right.back(s.g)), s.moved, info


def _everywhere(p: Problem, inner: Problem, f: Array, g: Array, rows, columns):
    """Potentials at weightless points too, by half-steps; b.g = 0 where both marginals are hard."""
    kernel = inner.kernel
    assert isinstance(kernel, Cloud)
    assert isinstance(p.kernel, Cloud)
    offset = pb.gauge(inner, g)
    f, g = f + offset, g - offset
    full_f, full_g = jnp.zeros_like(p.a).at[rows].set(f), jnp.zeros_like(p.b).at[columns].set(g)
    idle = np.flatnonzero(np.asarray(p.a) == 0)
    if idle.size:
        there = replace(inner, kernel=kernel.at(p.kernel.x[idle], 1))
        full_f = full_f.at[idle].set(jax.jit(pb.best_f)(there, g))
    idle = np.flatnonzero(np.asarray(p.b) == 0)
    if idle.size:
        there = replace(inner, kernel=kernel.at(p.kernel.y[idle], 0))
        full_g = full_g.at[idle].set(jax.jit(pb.best_g)(there, f))
    return full_f, full_g


@jax.jit
def _value(p: Problem, f: Array, g: Array, moved: Array) -> Array:
    """The dual value, the plan's mass given."""
    rewards = (p.a * p.source_marginal.dual(f)).sum() + (p.b * p.target_marginal.dual(g)).sum()
    return rewards - p.epsilon * (moved - pb.mass(p))


def solve(
    kernel: Cloud,
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
    """Entropic transport between large clouds, min <C, P> + epsilon KL(P | a b' / s) + penalties.

    Args:
        kernel: n points against m, in up to 3 dimensions.
        a, b, epsilon, source_marginal, target_marginal, init, tol: as for `newton.solve`.
        max_steps: cycles at most, 100 by default.

    Returns:
        A `Coupling`, of `newton` where n m is at most 2^26; look at `info.status`, or
        `check(info)`.

    Raises:
        ValueError: see `solve_problem`; where shapes do not match, or a marginal is not smooth.

    Example:
        >>> x, half = jnp.array([[0.0], [1.0]]), jnp.array([0.5, 0.5])
        >>> round(float(solve(Cloud(x, x + 2), half, half, epsilon=0.1).value), 2)
        4.07

    Reference:
        See the module.
    """
    backends.check_marginals("multiscale", "jax", source_marginal, target_marginal)
    p = pb.make(kernel, a, b, epsilon, source_marginal, target_marginal)
    dtype = p.b.dtype
    return solve_problem(p, cast(init, dtype), options(dtype, tol, max_steps))
