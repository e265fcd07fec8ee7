"""Semi-discrete transport: a density on a grid to weighted points, by power cells.

Each point y_j has the cell of the pixels x whose psi_j = |x - y_j|^2 - g_j is least, and g is such
that the cells have the points' masses: it maximises D(g) = b.g + sum_x a(x) min_j psi_j, concave.
On pixels D has kinks. So a pixel on a border is shared: q minimises <psi, q> + (delta / 2) |q|^2
over the simplex, q_j = max(tau - psi_j, 0) / delta, with delta such that borders are about a
pixel wide. D is then piecewise quadratic with continuous gradient b - masses, its Hessian minus
the Laplacian of the graph of cells that meet: Newton's method, damped, with delta annealed.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Info, Status, default_tol, iterate
from jaxcolor.maps import HIGHEST
from jaxcolor.measure import Grid, Measure
from jaxcolor.transport import power_cells as pc
from jaxcolor.transport import problem as pb
from jaxcolor.tree import pytree

RATIO = 3.0  # annealing divides delta by 3 ...
COOL = 0.2  # ... whenever the masses are this near the points' (L1)
DAMPING = 1e-6, 1e-3, 1e6  # the least, the first and the greatest
EASE, STIFFEN = 0.3, 4.0  # what success and failure make of it
LEAST = 0.5  # a cell below this part of its mass is damped for itself: else g would leap
REACH = 0.5  # of the next delta: farther away other cells meet, and the dual is another parabola
PATIENCE = 12  # steps without progress before giving up


@pytree
class SemiDiscrete:
    """What was solved and what was found.

    Attributes:
        density: the source. target: m points.
        g: (m,) weights of the cells, b.g = 0; zero for points without weight.
        delta: how far psi differs across half a border.
        value: the dual value D(g), kinks and all: never above the exact one, and differentiable
            in axes, densities, points and weights (envelope: g and the shares held fixed).
        info: how it ended; `error` is |masses - b|_1, relative, of these g.
    """

    density: Grid
    target: Measure
    g: Array
    delta: Array
    value: Array
    info: Info


@pytree
class State:
    """Where a solve stands: `trial` is to be measured, `point` has been."""

    point: pc.Point
    trial: Array
    delta: Array
    damping: Array
    fresh: Array  # whether delta is new: there is nothing to compare with
    best: Array  # g of the least error at the last delta
    error: Array
    stale: Array
    steps: Array
    status: Array


@pytree
class Settings:
    delta: Array  # the last
    tol: Array
    max_steps: Array


def solve(
    density: Grid,
    target: Measure,
    *,
    tol: float | Array | None = None,
    max_steps: int | Array | None = None,
) -> SemiDiscrete:
    """W_2^2 between a density and weighted points, with the power cells that attain it.

    The density is a sum of Diracs on its nodes; pixels of side h that it stands for would add about
    d h^2 / 12 times its mass. Memory is O(k2 .. kd m + m^2), a step O(n m^2): up to about a
    thousand points.

    Args:
        density: on evenly spaced axes, one to three.
        target: m points in as many dimensions, of the same mass.
        tol: on |masses - b|_1 / |b|; by default 1e-4 in float32, 1e-8 in float64.
        max_steps: 200 by default.

    Returns:
        A `SemiDiscrete`; look at `info.status`, or `check(info)`: INFEASIBLE where masses differ by
        more than 1e-5.

    Raises:
        ValueError: where shapes do not match.

    Example:
        >>> axis = (jnp.arange(32) + 0.5) / 32
        >>> square = Grid((axis, axis), jnp.full((32, 32), 1 / 1024))
        >>> corners = Measure(jnp.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), jnp.full(4, 0.25))
        >>> print(f"{solve(square, corners).value:.3f}")
        0.167

    Reference:
        Kitagawa, Merigot, Thibert (2019), Convergence of a Newton algorithm for semi-discrete
        optimal transport; Blondel, Seguy, Rolet (2018), Smooth and sparse optimal transport (the
        shares).
    """
    sizes = tuple(axis.shape[0] for axis in density.axes)
    if density.weights.shape != sizes or min(sizes) < 2:
        raise ValueError(
            f"the density must be {sizes} like its axes, two nodes or more along each, "
            f"got {density.weights.shape}"
        )
    m = target.points.shape[0]
    if target.points.shape != (m, len(sizes)) or target.weights.shape != (m,):
        raise ValueError(
            f"the target must be points (m, {len(sizes)}) with weights (m,), "
            f"got {target.points.shape} and {target.weights.shape}"
        )
    dtype = pb.common_dtype(density.weights, target.points, target.weights, *density.axes)
    density, target = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), (density, target))
    tol = jnp.asarray(default_tol(dtype) if tol is None else tol, dtype)
    max_steps = jnp.asarray(200 if max_steps is None else max_steps, jnp.int32)
    return _solve(density, target, tol, max_steps)


@jax.jit
def cells(found: SemiDiscrete) -> Array:
    """(k1, .., kd) int32: for each pixel, the point in whose cell its centre lies.

    Example:
        >>> line = Grid((jnp.arange(4.0),), jnp.ones(4))
        >>> cells(solve(line, Measure(jnp.array([[0.0], [9.0]]), jnp.array([3.0, 1.0]))))
        Array([0, 0, 0, 1], dtype=int32)
    """
    p = pc.problem(found.density, found.target)
    labels = jax.lax.map(lambda x: pc.powers(p, found.g, x).argmin(1).astype(jnp.int32), p.x)
    return labels.reshape(found.density.weights.shape)


@jax.jit
def centroids(found: SemiDiscrete) -> Measure:
    """The cells' barycenters and masses: a step of Lloyd's iteration with prescribed masses.

    A point without a cell stays where it is.

    Example:
        >>> line = Grid((jnp.arange(4.0),), jnp.ones(4))
        >>> target = Measure(jnp.array([[0.0], [3.0]]), jnp.array([2.0, 2.0]))
        >>> centroids(solve(line, target)).weights.round(3)
        Array([2., 2.], dtype=float32)

    Reference:
        de Goes, Breeden, Ostromoukhov, Desbrun (2012), Blue noise through optimal transport.
    """
    p = pc.problem(found.density, found.target)

    def part(x, a):
        shared = a[:, None] * pc.shares(pc.powers(p, found.g, x), found.delta)
        return shared.sum(0), jnp.matmul(shared.T, x, precision=HIGHEST)

    masses, moments = pc.total(p, part)
    some = (masses > 0)[:, None]
    means = moments / jnp.where(some, masses[:, None], 1)
    return Measure(jnp.where(some, means, p.y), masses)


@jax.jit
def _solve(density: Grid, target: Measure, tol: Array, max_steps: Array) -> SemiDiscrete:
    p = pc.problem(density, target)
    q, shift = pc.centred(jax.lax.stop_gradient(p))
    corner = (q.x**2).sum(-1).max() + (jnp.where(q.b > 0, (q.y**2).sum(-1), 0)).max()
    final = pc.width(jax.lax.stop_gradient(density.axes), q)
    final = jnp.maximum(final, 32 * jnp.finfo(final.dtype).eps * corner)
    masses = p.a.sum(), p.b.sum()
    apart = jnp.abs(masses[0] - masses[1]) > pb.MISMATCH * jnp.maximum(*masses)
    # at m times the greatest cost all cells share all pixels, and Newton's first step is exact
    start = _start(q, jnp.maximum(2 * corner * (q.b > 0).sum(dtype=q.b.dtype), final))
    start = replace(start, status=jnp.where(apart, Status.INFEASIBLE, -1).astype(jnp.int8))
    settings = Settings(final, tol, max_steps)
    end = iterate(lambda s: _step(q, settings, s), start, lambda s: s.status < 0)
    g = jnp.where(jnp.isfinite(end.error), end.best, end.point.g) - 2 * jnp.matmul(q.y, shift)
    g = jnp.where(q.b > 0, g - (q.b * g).sum(), 0)
    value, masses = pc.value(p, g, final)
    error = jax.lax.stop_gradient(jnp.abs(masses - p.b).sum() / p.b.sum())
    info = Info(status=end.status, steps=end.steps, passes=end.steps, error=error)
    return SemiDiscrete(density, target, g, final, value, info)


def _start(p: pc.Problem, delta: Array) -> State:
    z = jnp.zeros_like(p.b)
    infinite, zero = jnp.full((), jnp.inf, z.dtype), jnp.zeros((), jnp.int32)
    point = pc.Point(z, -infinite, z, z, jnp.zeros((z.size, z.size), z.dtype))
    damping, fresh = jnp.full((), DAMPING[1], z.dtype), jnp.array(True)
    return State(point, z, delta, damping, fresh, z, infinite, zero, zero, jnp.int8(-1))


def _step(p: pc.Problem, settings: Settings, s: State) -> State:
    """Measure the trial, keep it if the dual has risen, and propose the next."""
    trial = pc.measure(p, s.trial, s.delta)
    noise = 8 * jnp.finfo(s.delta.dtype).eps * jnp.abs(s.point.height)
    rise = trial.height - s.point.height
    good = jnp.isfinite(trial.height) & (s.fresh | (rise >= -noise))
    here = jax.tree.map(lambda new, old: jnp.where(good, new, old), trial, s.point)
    size = jnp.abs(p.b - here.masses).sum()
    last = s.delta <= settings.delta
    better = last & (size < s.error)
    gained = (last & (size < 0.99 * s.error)) | (good & (rise > noise))
    cool = ~last & (size < COOL)
    damping = jnp.clip(s.damping * jnp.where(good, EASE, STIFFEN), DAMPING[0], DAMPING[2])
    delta = jnp.where(cool, jnp.maximum(s.delta / RATIO, settings.delta), s.delta)
    after = State(
        point=here,
        trial=here.g + _move(p, here, s.delta, delta, damping),
        delta=delta,
        damping=damping,
        fresh=cool,
        best=jnp.where(better, here.g, s.best),
        error=jnp.where(better, size, s.error),
        stale=jnp.where(gained | ~last, 0, s.stale + 1),
        steps=s.steps + 1,
        status=s.status,
    )
    return replace(after, status=_judge(settings, after))


def _judge(settings: Settings, s: State) -> Array:
    status = jnp.where(s.stale >= PATIENCE, Status.STALLED, -1)
    status = jnp.where(s.steps >= settings.max_steps, Status.MAX_STEPS, status)
    status = jnp.where(s.error <= settings.tol, Status.OK, status)
    return jnp.where(jnp.isfinite(s.point.height), status, Status.NONFINITE).astype(jnp.int8)


def _move(p: pc.Problem, here: pc.Point, delta: Array, after: Array, damping: Array) -> Array:
    """Newton's step, to the maximum at the delta that comes after.

    The gradient's derivative in delta is (masses - even) / delta. b b' keeps b.g as it is.
    """
    residual = p.b - here.masses
    size = jnp.abs(residual).sum()
    ahead = (after / delta - 1) * (here.masses - here.even)
    lack = jnp.maximum(p.b - here.masses / LEAST, 0)
    damped = (damping * jnp.minimum(size, 1) * p.b + lack) / delta
    system = here.laplacian + p.b[:, None] * p.b / delta
    system = system + jnp.diag(jnp.where(p.b > 0, damped, 1))
    scale = jax.lax.rsqrt(jnp.diagonal(system))
    factor = jax.scipy.linalg.cho_factor(scale[:, None] * system * scale)
    w = scale * jax.scipy.linalg.cho_solve(factor, scale * (residual + ahead))
    return jnp.clip(w, -REACH * after, REACH * after)
