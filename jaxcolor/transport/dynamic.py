"""Dynamic transport (Benamou, Brenier): the path between two densities that costs least.

    W_2^2 = min integral |m|^2 / rho  over  d_t rho + div m = 0, no flux through the border,

rho(0) and rho(1) given. Densities live between time cells, momenta on the faces between pixels;
the cost is that of their means at the centres of the cells (t, x). Primal-dual splitting: a
projection on the continuity equation, which the cosine transform solves, and at each centre the
proximal map of |m|^2 / (2 rho), a cubic's root.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.iterate import Info, Status, iterate, judged
from jaxcolor.maps import HIGHEST
from jaxcolor.measure import Grid
from jaxcolor.transport import problem as pb
from jaxcolor.tree import pytree

UNIT = 0.5  # of the longest side: lengths are measured in this, and densities in their maximum
SIGMA = 6.0  # step of the dual, 1 / SIGMA that of the primal
RELAXED = 1.9
NEWTON = 8  # steps to the cubic's root
TOL = 3e-3

Fields = tuple[Array, ...]  # rho, then m along each axis


@pytree
class Dynamic:
    """What was solved and what was found.

    Attributes:
        path: densities (T + 1, k1, .., kd) at times 0, 1 / T, .., 1, all of one mass; between the
            ends they may fall below zero by about the error.
        momentum: along each axis, on the faces between neighbours, (T, k1 - 1, .., kd) and so on:
            the mass that goes through a face per unit of time, so that
            path[t + 1] - path[t] + (momentum out - in) / T = 0 to rounding.
        value: W_2^2, differentiable in both densities (envelope: by the potentials found).
        info: how it ended; `error` is that of `solve`.
    """

    path: Grid
    momentum: tuple[Array, ...]
    value: Array
    info: Info


@pytree
class Problem:
    """In units of UNIT sides and of the greatest density.

    Attributes:
        ends: (2, k1, .., kd).
        rates: 1 / step of time and of each axis.
    """

    ends: Array
    rates: tuple[Array, ...]


@pytree
class State:
    primal: Fields  # rho (T - 1, k1, ..), m (T, k1 - 1, ..), ..: what is not given
    dual: Fields  # (T, k1, ..) each
    error: Array
    steps: Array
    status: Array


def solve(
    source: Grid,
    target: Grid,
    *,
    frames: int = 32,
    tol: float | Array | None = None,
    max_steps: int | Array | None = None,
) -> Dynamic:
    """W_2^2 between two densities on one grid, and the geodesic that attains it.

    The discretisation's error is O(h^2 + 1 / T^2): within 1 % where shapes and displacements span
    six pixels or more. A step costs O(T n (T + k1 + .. + kd)).

    Args:
        source, target: densities on the same evenly spaced axes, of the same mass.
        frames: T, steps of time (static).
        tol: on what a step still changes: the L1 distance between the fields that obey the
            continuity equation and those that have a cost, or between those and the last ones,
            relative to the fields; 3e-3 by default, the value then is within about half a percent.
        max_steps: 1,000 by default.

    Returns:
        A `Dynamic`; look at `info.status`, or `check(info)`: INFEASIBLE where masses differ by
        more than 1e-5.

    Raises:
        ValueError: where shapes do not match, or frames < 2.

    Example:
        >>> axis = jnp.linspace(0, 1, 32)
        >>> here, there = (Grid((axis,), jnp.exp(-(((axis - c) / 0.1) ** 2))) for c in (0.3, 0.7))
        >>> found = solve(here, there, frames=8)
        >>> print(f"{found.value / here.weights.sum():.2f}")
        0.16

    Reference:
        Benamou, Brenier (2000), A computational fluid mechanics solution to the Monge-Kantorovich
        mass transfer problem; Papadakis, Peyre, Oudet (2014), Optimal transport with proximal
        splitting, sections 3 and 4.4.
    """
    sizes = tuple(axis.shape[0] for axis in source.axes)
    if not source.weights.shape == target.weights.shape == sizes or min(sizes) < 2:
        raise ValueError(
            f"densities must be {sizes} like the source's axes, two nodes or more along each, "
            f"got {source.weights.shape} and {target.weights.shape}"
        )
    if frames < 2:
        raise ValueError(f"frames must be at least 2, got {frames}")
    dtype = pb.common_dtype(source.weights, target.weights, *source.axes)
    axes, *ends = jax.tree.map(
        lambda leaf: jnp.asarray(leaf, dtype), (source.axes, source.weights, target.weights)
    )
    tol = jnp.asarray(TOL if tol is None else tol, dtype)
    max_steps = jnp.asarray(1000 if max_steps is None else max_steps, jnp.int32)
    return _solve(axes, jnp.stack(ends), tol, max_steps, frames)


@jax.jit(static_argnames="frames")
def _solve(axes: tuple[Array, ...], ends: Array, tol: Array, max_steps: Array, frames: int):
    given, ends = ends, jax.lax.stop_gradient(ends)
    masses = ends.reshape(2, -1).sum(1)
    apart = jnp.abs(masses[0] - masses[1]) > pb.MISMATCH * masses.max()
    scale, heavy = ends.max(), jnp.where(masses > 0, masses, 1)
    gaps = [(axis[-1] - axis[0]) / (axis.shape[0] - 1) for axis in jax.lax.stop_gradient(axes)]
    sides = [gap * axis.shape[0] for gap, axis in zip(gaps, axes, strict=True)]
    unit = UNIT * jnp.stack(sides).max()
    even = ends * (masses[0] / heavy).reshape(2, *(1,) * len(axes)) / scale
    p = Problem(even, (jnp.asarray(frames, scale.dtype), *(unit / gap for gap in gaps)))

    start = _start(p, frames)
    status = jnp.where(apart, Status.INFEASIBLE, start.status).astype(jnp.int8)
    start = State(start.primal, start.dual, start.error, start.steps, status)
    end = iterate(lambda s: _step(p, tol, max_steps, s), start, lambda s: s.status < 0)
    primal, dual, centred = _sweep(p, end.primal, end.dual)

    per = 2 * unit**2 / frames
    shift = per * (_slopes(p, dual) * given).sum()
    value = per * scale * _cost(centred) + (shift - jax.lax.stop_gradient(shift))
    path = scale * _whole(p, primal[0])
    momentum = tuple(scale * unit / gap * part for gap, part in zip(gaps, primal[1:], strict=True))
    info = Info(status=end.status, steps=end.steps, passes=end.steps, error=end.error)
    return Dynamic(Grid(axes, path), momentum, value, info)


def _start(p: Problem, frames: int) -> State:
    """The densities' blend, at rest."""
    sizes = p.ends.shape[1:]
    dtype = p.ends.dtype
    t = (jnp.arange(1, frames, dtype=dtype) / frames).reshape(-1, *(1,) * len(sizes))
    momenta = [
        jnp.zeros((frames, *sizes[:k], sizes[k] - 1, *sizes[k + 1 :]), dtype)
        for k in range(len(sizes))
    ]
    primal = ((1 - t) * p.ends[0] + t * p.ends[1], *momenta)
    dual = tuple(jnp.zeros((frames, *sizes), dtype) for _ in primal)
    infinite = jnp.full((), jnp.inf, dtype)
    return State(primal, dual, infinite, jnp.zeros((), jnp.int32), jnp.int8(-1))


def _step(p: Problem, tol: Array, max_steps: Array, s: State) -> State:
    primal, dual, centred = _sweep(p, s.primal, s.dual)
    gap = _distance(_centre(p, primal), centred) / _size(centred)
    error = jnp.maximum(gap, _distance(primal, s.primal) / _size(primal))
    status = judged(error, tol, s.steps + 1, max_steps)

    def relaxed(old, new):
        return jnp.where(jnp.isfinite(error), old + RELAXED * (new - old), old)

    primal, dual = jax.tree.map(relaxed, (s.primal, s.dual), (primal, dual))
    return State(primal, dual, error, s.steps + 1, status)


def _sweep(p: Problem, primal: Fields, dual: Fields) -> tuple[Fields, Fields, Fields]:
    """One step of Chambolle and Pock: the fields, their duals, and the fields with a cost."""
    pulled = [u - w / SIGMA for u, w in zip(primal, _spread(dual), strict=True)]
    after = _project(p, tuple(pulled))
    ahead = _centre(p, tuple(2 * new - old for new, old in zip(after, primal, strict=True)))
    z = tuple(i + w / SIGMA for i, w in zip(ahead, dual, strict=True))
    centred = _proximal(z)
    return after, tuple(SIGMA * (a - b) for a, b in zip(z, centred, strict=True)), centred


def _proximal(z: Fields) -> Fields:
    """argmin over rho >= 0 and m of |m|^2 / (2 rho) + SIGMA / 2 |(rho, m) - z|^2.

    m = z_m rho / (rho + c) with c = 1 / SIGMA, and rho is the greatest root of
    (rho - z_rho) (rho + c)^2 = c |z_m|^2 / 2, if positive. Newton from beyond it falls to it.
    """
    rho, *momenta = z
    c = 1 / SIGMA
    goal = c / 2 * sum((m**2 for m in momenta), jnp.zeros_like(rho))
    x = jnp.maximum(rho, 0) + jnp.minimum(jnp.cbrt(goal), goal / c**2)
    for _ in range(NEWTON):
        wide, rise = x + c, x - rho
        x = jnp.maximum(x - (rise * wide - goal / wide) / (wide + 2 * rise), 0)
    return (x, *(m * (x / (x + c)) for m in momenta))


def _cost(centred: Fields) -> Array:
    rho, *momenta = centred
    some = rho > 0
    squares = sum((m**2 for m in momenta), jnp.zeros_like(rho))
    return jnp.where(some, squares / jnp.where(some, rho, 1), 0).sum() / 2


def _distance(one: Fields, other: Fields) -> Array:
    return _size(tuple(a - b for a, b in zip(one, other, strict=True)))


def _size(fields: Fields) -> Array:
    return sum((jnp.abs(part).sum() for part in fields[1:]), jnp.abs(fields[0]).sum())


def _whole(p: Problem, rho: Array) -> Array:
    """Densities with those at the ends, (T + 1, k1, ..)."""
    return jnp.concatenate([p.ends[:1], rho, p.ends[1:]])


def _walled(m: Array, axis: int) -> Array:
    """Momentum with the zeros at the border."""
    return jnp.pad(m, [(int(k == axis),) * 2 for k in range(m.ndim)])


def _means(field: Array, axis: int) -> Array:
    after, before = (jax.lax.slice_in_dim(field, *s, axis=axis) for s in ((1, None), (0, -1)))
    return (after + before) / 2


def _centre(p: Problem, primal: Fields) -> Fields:
    rho, *momenta = primal
    walled = (_means(_walled(m, k), k) for k, m in enumerate(momenta, 1))
    return (_means(_whole(p, rho), 0), *walled)


def _spread(dual: Fields) -> Fields:
    """The adjoint of `_centre`, on what is not given."""
    return tuple(_means(w, k) for k, w in enumerate(dual))


def _divergence(p: Problem, rho: Array, momenta: Fields) -> Array:
    """d_t rho + div m; rho (T + 1, k1, ..)."""
    parts = [jnp.diff(_walled(m, k), axis=k) for k, m in enumerate(momenta, 1)]
    return sum(
        (rate * part for rate, part in zip(p.rates[1:], parts, strict=True)),
        p.rates[0] * jnp.diff(rho, axis=0),
    )


def _project(p: Problem, primal: Fields) -> Fields:
    """The nearest fields that obey the continuity equation."""
    rho, *momenta = primal
    phi = _poisson(p, _divergence(p, _whole(p, rho), tuple(momenta)))
    rates = enumerate(p.rates)
    return tuple(
        u + rate * jnp.diff(phi, axis=k) for (k, rate), u in zip(rates, primal, strict=True)
    )


def _poisson(p: Problem, f: Array) -> Array:
    """phi of mean zero with minus Laplacian f, no flux through any border."""
    bases = [_cosines(size, f.dtype) for size in f.shape]
    waves = [
        rate**2 * _frequencies(size, f.dtype) for rate, size in zip(p.rates, f.shape, strict=True)
    ]
    total = sum(wave.reshape(-1, *(1,) * (f.ndim - 1 - k)) for k, wave in enumerate(waves))
    flat = total == 0  # the mean alone
    for k, basis in enumerate(bases):
        f = _along(basis, f, k)
    f = jnp.where(flat, 0, f / jnp.where(flat, 1, total))
    for k, basis in enumerate(bases):
        f = _along(basis.T, f, k)
    return f


def _along(matrix: Array, f: Array, axis: int) -> Array:
    return jnp.moveaxis(jnp.tensordot(matrix, f, (1, axis), precision=HIGHEST), 0, axis)


def _cosines(size: int, dtype) -> Array:
    """The orthonormal cosine transform as a matrix: up to a few hundred faster than an FFT."""
    k = np.arange(size)
    matrix = np.cos(np.pi * np.outer(k, k + 0.5) / size) * np.sqrt(2 / size)
    matrix[0] /= np.sqrt(2)
    return jnp.asarray(matrix, dtype)


def _frequencies(size: int, dtype) -> Array:
    """Eigenvalues of minus the second difference, free ends."""
    return jnp.asarray(4 * np.sin(np.pi * np.arange(size) / (2 * size)) ** 2, dtype)


def _slopes(p: Problem, dual: Fields) -> Array:
    """(2, k1, ..) by how much the cost grows with the density at either end.

    The Lagrangian <centre(u), w> + <phi, div u> is stationary in u: phi solves a Poisson equation.
    """
    w, *rest = _spread(dual)
    phi = -_poisson(p, _divergence(p, jnp.pad(w, [(1, 1), *[(0, 0)] * (w.ndim - 1)]), tuple(rest)))
    first, last = dual[0][0] / 2 - p.rates[0] * phi[0], dual[0][-1] / 2 + p.rates[0] * phi[-1]
    return jnp.stack([first, last])
