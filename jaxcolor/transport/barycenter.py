"""Barycenters of clouds: argmin over mu of sum_k lambda_k W_2^2(mu, mu_k), or of its sliced kin.

K measures are one `Measure` with a leading axis, points (K, m, d) and weights (K, m), padded with
weightless points where their sizes differ (`stack`); lambda (K,) >= 0 is divided by its sum.
Results are measures of mass one. On grids: `barycenter_grid`.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Info, Status
from jaxcolor.maps import HIGHEST, lookup
from jaxcolor.measure import Measure
from jaxcolor.transport import directions, line, newton
from jaxcolor.transport.coupling import Start, average
from jaxcolor.transport.kernels import Cloud
from jaxcolor.transport.sparse import SparseCoupling
from jaxcolor.tree import pytree


@pytree
class Barycenter:
    """What an iteration found.

    Attributes:
        measure: the barycenter.
        info: how it ended. `error` is the greatest move of a point in the last step, relative to
            the extent of all measures; `steps` the steps taken.
    """

    measure: Measure
    info: Info


def _shares(measures: Measure, weights: Array | None) -> Array:
    """lambda (K,), summing to one."""
    points = measures.points
    if points.ndim != 3 or measures.weights.shape != points.shape[:2]:
        raise ValueError(
            "measures must be one Measure of points (K, m, d) and weights (K, m), see `stack`; got "
            f"{points.shape} and {measures.weights.shape}"
        )
    if weights is None:
        return jnp.full(points.shape[0], 1 / points.shape[0], points.dtype)
    weights = jnp.asarray(weights, points.dtype)
    if weights.shape != points.shape[:1]:
        raise ValueError(f"weights must be ({points.shape[0]},), one a measure: {weights.shape}")
    return weights / weights.sum()


def _normalised(measures: Measure) -> Measure:
    return Measure(measures.points, measures.weights / measures.weights.sum(1, keepdims=True))


def mixture(measures: Measure, size: int, weights: Array | None = None) -> Measure:
    """`size` points of equal mass that stand for sum_k lambda_k mu_k: where iterations begin.

    Taken at even steps of mass, measure after measure in the order of their points.

    Args:
        measures: K measures. size: static. weights: lambda.

    Raises:
        ValueError: where shapes do not match.

    Example:
        >>> both = Measure(jnp.array([[[0.0], [1.0]], [[5.0], [6.0]]]), jnp.ones((2, 2)))
        >>> mixture(both, 4).points.ravel().tolist()
        [0.0, 1.0, 5.0, 6.0]
    """
    shares = _shares(measures, weights)
    measures = _normalised(measures)
    total = jnp.cumsum((shares[:, None] * measures.weights).ravel())
    levels = (jnp.arange(size, dtype=total.dtype) + 0.5) * (total[-1] / size)
    index = jnp.minimum(jnp.searchsorted(total, levels, method="sort"), total.size - 1)
    points = measures.points.reshape(-1, measures.points.shape[-1])[index]
    return Measure(points, jnp.full(size, 1 / size, total.dtype))


@jax.jit(static_argnames=("size", "steps", "knots"))
def sliced(
    measures: Measure,
    key: Array,
    *,
    weights: Array | None = None,
    start: Measure | None = None,
    size: int = 4096,
    steps: int = 30,
    knots: int = 512,
) -> Barycenter:
    """The sliced barycenter: argmin over mu of sum_k lambda_k SW_2^2(mu, mu_k), free support.

    Along each axis of an orthonormal frame every point moves to the lambda-weighted mean of where
    the 1-D maps onto the K measures send it; a fresh frame each step. The problem is not convex:
    the result depends on the start.

    Args:
        measures: K measures in R^d; masses do not matter.
        key: typed PRNG key; it draws the frames.
        weights: lambda (K,), equal by default; traced.
        start: n points to begin with, by default `mixture(measures, size, weights)`.
        size: how many then (static). steps: frames (static). knots: of each 1-D map (static).

    Returns:
        A `Barycenter` of as many points as the start, with its weights.

    Raises:
        ValueError: where shapes do not match.

    Example:
        >>> both = Measure(jnp.array([[[0.0, 0.0]], [[2.0, 4.0]]]), jnp.ones((2, 1)))
        >>> sliced(both, jax.random.key(0), size=1).measure.points.round(3)
        Array([[1., 2.]], dtype=float32)

    Reference:
        Rabin, Peyre, Delon, Bernot (2012), Wasserstein barycenter and its application to texture
        mixing, section 3.
    """
    shares = _shares(measures, weights)
    measures = _normalised(measures)
    start = mixture(measures, size, shares) if start is None else start
    dimension = measures.points.shape[2]
    drawn = directions.frames(key, steps, dimension).astype(start.points.dtype)
    a = start.weights / start.weights.sum()
    goals = jnp.moveaxis(measures.points, 2, 0)  # (d, K, m)

    def step(x, frame):  # x (d, n)
        along = jnp.matmul(frame, x, precision=HIGHEST)

        def toward(carry, one):
            goal, b, share = one  # (d, m), (m,), ()
            tables = line.axis_maps(frame, x, a, goal, b, knots)
            return carry + share * jax.vmap(lookup)(along, *tables), None

        each = jnp.moveaxis(goals, 1, 0), measures.weights, shares
        shift, _ = jax.lax.scan(toward, jnp.zeros_like(along), each)
        move = jnp.matmul(frame.T, shift, precision=HIGHEST)
        return x + move, jnp.abs(jnp.where(a > 0, move, 0)).max()

    x, moves = jax.lax.scan(step, start.points.T, drawn)
    return Barycenter(Measure(x.T, a), _info(moves, measures, steps))


def _info(moves: Array, measures: Measure, steps: int) -> Info:
    """All steps were taken; how far the last one went."""
    some = (measures.weights > 0)[..., None]
    top, low = (
        jnp.where(some, measures.points, end).reshape(-1, measures.points.shape[-1])
        for end in (-jnp.inf, jnp.inf)
    )
    extent = (top.max(0) - low.min(0)).max()
    error = moves[-1] / jnp.where(extent > 0, extent, 1)
    return Info(
        status=jnp.where(jnp.isfinite(error), Status.OK, Status.NONFINITE).astype(jnp.int8),
        steps=jnp.asarray(steps, jnp.int32),
        passes=jnp.asarray(steps * measures.points.shape[0], jnp.int32),
        error=error,
    )


@jax.jit(static_argnames=("size", "steps"))
def free_support(
    measures: Measure,
    *,
    epsilon: float | Array,
    weights: Array | None = None,
    start: Measure | None = None,
    size: int = 256,
    steps: int = 20,
    tol: float | Array | None = None,
) -> Barycenter:
    """An entropic barycenter of n free points: X <- sum_k lambda_k T_k(X) until it rests.

    T_k is the barycentric map of the entropic plan from X onto mu_k, cost |x - y|^2: alternating
    minimisation, each round K solves by `newton`, begun where the last round's ended.

    Args:
        measures: K measures in R^d. epsilon: regularisation. weights: lambda, traced.
        start: n points, by default `mixture(measures, size, weights)`; its weights stay.
        size: how many then (static). steps: rounds (static).
        tol: of the solves.

    Returns:
        A `Barycenter`; its status is the worst of the last round's solves.

    Raises:
        ValueError: where shapes do not match.

    Example:
        >>> both = Measure(jnp.array([[[0.0, 0.0]], [[2.0, 4.0]]]), jnp.ones((2, 1)))
        >>> free_support(both, epsilon=0.1, size=1).measure.points.round(3)
        Array([[1., 2.]], dtype=float32)

    Reference:
        Cuturi, Doucet (2014), Fast computation of Wasserstein barycenters, algorithm 2.
    """
    shares = _shares(measures, weights)
    measures = _normalised(measures)
    start = mixture(measures, size, shares) if start is None else start
    a = start.weights / start.weights.sum()

    def step(carry, _):
        x, starts = carry

        def toward(one):
            y, b, share, begin = one
            found = newton.solve(Cloud(x, y), a, b, epsilon=epsilon, init=begin, tol=tol)
            return share * average(found, y), Start(found.g, found.epsilon), found.info.status

        parts, starts, status = jax.lax.map(
            toward, (measures.points, measures.weights, shares, starts)
        )
        image = parts.sum(0)
        move = jnp.abs(jnp.where((a > 0)[:, None], image - x, 0)).max()
        return (image, starts), (move, status.max())

    count = measures.points.shape[0]
    dtype = measures.points.dtype
    # the first round anneals from the top: from a potential of zero at the greatest epsilon
    wide = Cloud(start.points, measures.points.reshape(-1, measures.points.shape[-1]))
    top = wide.span(a, measures.weights.ravel()) / 4
    starts = Start(jnp.zeros(measures.weights.shape, dtype), jnp.full(count, top, dtype))
    (x, _), (moves, status) = jax.lax.scan(step, (start.points, starts), length=steps)
    info = _info(moves, measures, steps)
    worst = jnp.maximum(info.status, status[-1]).astype(jnp.int8)
    return Barycenter(Measure(x, a), Info(worst, info.steps, info.passes, info.error, info.history))


@jax.jit
def quantile(measures: Measure, *, weights: Array | None = None) -> Measure:
    """The exact barycenter on the line: the mean of the quantile functions.

    F^-1 = sum_k lambda_k F_k^-1; for any lambda at most sum of n_k - K + 1 points with weight.

    Args:
        measures: K measures, points (K, m, 1). weights: lambda, traced.

    Returns:
        A `Measure` of K m points (some weightless), in rising order.

    Raises:
        ValueError: where shapes do not match, or points are not on a line.

    Example:
        >>> both = Measure(jnp.array([[[0.0], [1.0]], [[4.0], [7.0]]]), jnp.ones((2, 2)))
        >>> quantile(both).points.ravel().tolist()[1:3]
        [2.0, 4.0]

    Reference:
        Agueh, Carlier (2011), Barycenters in the Wasserstein space, section 6.1.
    """
    shares = _shares(measures, weights)
    if measures.points.shape[2] != 1:
        raise ValueError(f"points must be (K, m, 1), got {measures.points.shape}")
    measures = _normalised(measures)
    order = jnp.argsort(measures.points[..., 0], axis=1)
    x, b = (
        jnp.take_along_axis(part, order, 1) for part in (measures.points[..., 0], measures.weights)
    )
    ends = jnp.cumsum(b, 1)
    ends = ends / ends[:, -1:]
    # a function of the level that only changes where one of the quantile functions does
    levels = jnp.sort(ends.ravel())
    before = jnp.concatenate([jnp.zeros(1, levels.dtype), levels[:-1]])
    middle = (levels + before) / 2
    place = jax.vmap(lambda e: jnp.searchsorted(e, middle, method="sort"))(ends)
    place = jnp.minimum(place, x.shape[1] - 1)
    values = jnp.matmul(shares, jnp.take_along_axis(x, place, 1), precision=HIGHEST)
    return Measure(values[:, None], levels - before)


def interpolate(coupling: SparseCoupling, t: float | Array) -> Measure:
    """Displacement interpolation: sum over the plan of P_kl delta((1 - t) x_k + t y_l).

    At t the barycenter of both ends with weights 1 - t and t; at most n + m - 1 points.

    Args:
        coupling: a sparse plan between two clouds (`exact.solve`, `line_exact.couple`).
        t: 0 at the source, 1 at the target.

    Raises:
        ValueError: where the coupling knows no points.

    Example:
        >>> from jaxcolor.transport import line_exact
        >>> half = jnp.array([0.5, 0.5])
        >>> plan = line_exact.couple(jnp.array([0.0, 1.0]), half, jnp.array([2.0, 5.0]), half)
        >>> middle = interpolate(plan, 0.5)
        >>> middle.points[middle.weights > 0].ravel().tolist()
        [1.0, 3.0]

    Reference:
        McCann (1997), A convexity principle for interacting gases.
    """
    kernel = coupling.kernel
    if not isinstance(kernel, Cloud):
        raise ValueError(f"interpolation needs points, got {type(kernel).__name__}: use Cloud")
    x, y = kernel.x[coupling.rows], kernel.y[coupling.cols]
    t = jnp.asarray(t, x.dtype)
    return Measure((1 - t) * x + t * y, coupling.mass)
