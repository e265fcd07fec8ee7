"""Entropic barycenters of densities on one grid, plain and debiased.

Alternating projections in the log domain, accelerated: every pass is a log-sum-exp over the grid,
one axis after another (`grid`), so memory is a few times that of the densities.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Info, default_tol, iterate, judged
from jaxcolor.measure import Grid
from jaxcolor.transport import anderson
from jaxcolor.transport.grid import Axes, GridKernel
from jaxcolor.tree import pytree, static

FLOOR = 1e-2  # how much a residual counts at least, or nothing would keep it from overflow
# debiased, the error falls like 1 / steps in the end: in the tails there is nothing to hold on to
LEAST_DEBIASED = 1e-5


@pytree
class GridBarycenter:
    """What the iteration found.

    Attributes:
        measure: the barycenter, mass one.
        info: how it ended.
    """

    measure: Grid
    info: Info


@pytree
class State:
    """Log potentials of the K plans on the barycenter's side, and of the debiasing factor."""

    potentials: Array  # (K, n), debiased (K + 1, n)
    past: anderson.Memory
    log: Array  # (n,) of the best barycenter yet
    error: Array  # of that one
    steps: Array
    status: Array


@pytree
class Settings:
    epsilon: Array
    tol: Array
    max_steps: Array
    debiased: bool = static()


def solve(
    densities: Grid,
    *,
    epsilon: float | Array,
    weights: Array | None = None,
    debiased: bool = False,
    tol: float | Array | None = None,
    max_steps: int | Array | None = None,
) -> GridBarycenter:
    """argmin over mu of sum_k lambda_k W_epsilon(mu, mu_k), on the grid of the mu_k.

    W_epsilon is entropic transport with cost |x - y|^2; its bias blurs mu by about
    sqrt(epsilon / 2). `debiased` takes Sinkhorn divergences in its place, which do not blur.

    Args:
        densities: K densities on one grid, weights (K, k1, .., kd); masses do not matter.
        epsilon: regularisation, in units of squared coordinates.
        weights: lambda (K,), equal by default; traced.
        debiased: see above (static).
        tol: on sum_k lambda_k |P_k 1 - mu|_1, P_k the plan from mu to mu_k; by default 1e-4 in
            float32, in float64 1e-8, debiased 1e-5.
        max_steps: 1,000 by default.

    Returns:
        A `GridBarycenter`; look at `info.status`, or `check(info)`.

    Raises:
        ValueError: where shapes do not match.

    Example:
        >>> line = jnp.linspace(0, 1, 65)
        >>> bumps = jnp.stack([jnp.exp(-(((line - c) / 0.05) ** 2)) for c in (0.25, 0.75)])
        >>> found = solve(Grid((line,), bumps), epsilon=1e-3, debiased=True)
        >>> float((found.measure.weights * line).sum().round(3))
        0.5

    Reference:
        Benamou, Carlier, Cuturi, Nenna, Peyre (2015), Iterative Bregman projections for
        regularized transportation problems, section 3.2; Janati, Cuturi, Gramfort (2020), Debiased
        Sinkhorn barycenters, algorithm 1.
    """
    shape = densities.weights.shape
    sizes = tuple(axis.shape[0] for axis in densities.axes)
    if shape[1:] != sizes:
        raise ValueError(f"weights must be (K, {', '.join(map(str, sizes))}), got {shape}")
    dtype = densities.weights.dtype
    if weights is None:
        weights = jnp.full(shape[0], 1 / shape[0], dtype)
    weights = jnp.asarray(weights, dtype)
    if weights.shape != shape[:1]:
        raise ValueError(f"weights must be ({shape[0]},), one a density: got {weights.shape}")
    if tol is None:
        tol = max(default_tol(dtype), LEAST_DEBIASED if debiased else 0)
    settings = Settings(
        jnp.asarray(epsilon, dtype),
        jnp.asarray(tol, dtype),
        jnp.asarray(1000 if max_steps is None else max_steps, jnp.int32),
        debiased,
    )
    return _solve(densities.axes, densities.weights, weights / weights.sum(), settings)


@jax.jit
def _solve(axes: Axes, weights: Array, shares: Array, settings: Settings) -> GridBarycenter:
    kernel = GridKernel(axes, axes)
    b = weights.reshape(weights.shape[0], -1)
    b = b / b.sum(1, keepdims=True)
    some = b > 0
    log_b = jnp.where(some, jnp.log(jnp.where(some, b, 1)), -jnp.inf)

    def blurred(h: Array) -> Array:
        return kernel.softmin(h, settings.epsilon, axis=1)

    def step(s: State) -> State:
        v = s.potentials[:count]
        w = log_b - jax.lax.map(blurred, v)
        rows = jax.lax.map(blurred, w)
        d = s.potentials[-1] if settings.debiased else shares @ v
        log = d + shares @ rows
        # all plans have the densities as marginals on their side; here is how they differ on this
        error = shares @ jnp.abs(jnp.exp(v + rows) - jnp.exp(log)).sum(1)
        image = log - rows
        if settings.debiased:
            own = blurred(d)
            error = error + jnp.abs(jnp.exp(d + own) - jnp.exp(log)).sum()
            image = jnp.concatenate([image, (d + log - own)[None] / 2])
        # a residual counts by the mass that it moves: where there is hardly any, it drifts for long
        scale = jnp.tile(jnp.exp((log - log.max()) / 2) + FLOOR, image.shape[0])
        mixed, past = anderson.mix(s.past, s.potentials.ravel(), image.ravel(), scale)
        status = judged(error, settings.tol, s.steps + 1, settings.max_steps)
        better = error < s.error  # never so for NaN
        log, error = jnp.where(better, log, s.log), jnp.where(better, error, s.error)
        return State(mixed.reshape(image.shape), past, log, error, s.steps + 1, status)

    count = b.shape[0]
    zero = jnp.zeros((count + settings.debiased, b.shape[1]), b.dtype)
    infinite = jnp.full((), jnp.inf, b.dtype)
    past = anderson.start(zero.ravel())
    start = State(zero, past, zero[0], infinite, jnp.zeros((), jnp.int32), jnp.int8(-1))
    end = iterate(step, start, lambda s: s.status < 0)
    mu = jnp.exp(end.log - jax.nn.logsumexp(end.log)).reshape(weights.shape[1:])
    passes = 2 * count * end.steps
    info = Info(status=end.status, steps=end.steps, passes=passes, error=end.error)
    return GridBarycenter(Grid(axes, mu), info)
