"""Exact transport on the line, by sorting: the monotone plan, for any convex cost of x - y.

Masses are laid end to end, those of the source in order of x, those of the target in order of y.
Where one of them ends the plan goes on to the next row, or column: a staircase of n + m - 1 pairs,
along which f_i + g_j = C_ij fixes the potentials. (Binned, and much faster: `line`.)
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Info, Status
from jaxcolor.transport import problem as pb
from jaxcolor.transport.costs import Cost, Lp, SqEuclidean
from jaxcolor.transport.kernels import Cloud
from jaxcolor.transport.marginals import BALANCED
from jaxcolor.transport.problem import Problem
from jaxcolor.transport.sparse import SparseCoupling
from jaxcolor.tree import pytree

SQUARED = SqEuclidean()
WIDTH = 256  # of the rows that sums run over


@pytree
class Double:
    """Numbers high + low of twice the precision, |low| at most half a unit in the last of high.

    In float32 plain cumulative sums of 4,096 weights leave an L1 error of 1e-4 in the marginals.
    """

    high: Array
    low: Array

    def __add__(self, other: "Double") -> "Double":
        total, error = _two_sum(self.high, other.high)
        return Double(*_two_sum(total, error + (self.low + other.low)))


def _two_sum(x: Array, y: Array) -> tuple[Array, Array]:
    """x + y, and what rounding took from it: exact (Knuth)."""
    total = x + y
    rest = total - x
    return total, (x - (total - rest)) + (y - rest)


def _cumulated(weights: Array) -> tuple[Double, Double]:
    """Cumulative masses (n,), and the total.

    Sums only pass over positive weights, so that points without weight change no bit of them.
    """
    some = weights > 0
    n = weights.shape[0]
    rank = jnp.cumsum(some, dtype=jnp.int32)
    packed = jnp.zeros_like(weights).at[jnp.where(some, rank - 1, n)].set(weights, mode="drop")
    sums = _running(packed)

    def at(rank):
        return jax.tree.map(lambda s: jnp.where(rank > 0, s[jnp.maximum(rank - 1, 0)], 0), sums)

    return at(rank), at(rank[-1])


def _running(weights: Array) -> Double:
    """Cumulative sums (n,): within rows of 256, all rows at once, then over the rows' totals.

    Loops, because the tree of `associative_scan` takes ten seconds to compile; of a fixed width,
    because then no sum depends on what comes after it.
    """
    n = weights.size
    width = min(n, WIDTH)
    rows = jnp.concatenate([weights, jnp.zeros(-n % width, weights.dtype)]).reshape(-1, width)
    within = _scan(Double(rows.T, jnp.zeros_like(rows.T)))  # (width, rows)
    before = _scan(jax.tree.map(lambda s: jnp.roll(s[-1], 1).at[0].set(0), within))
    sums = within + jax.tree.map(lambda s: jnp.broadcast_to(s, (width, *s.shape)), before)
    return jax.tree.map(lambda s: s.T.ravel()[:n], sums)


def _scan(parts: Double) -> Double:
    def add(total: Double, part: Double):
        total = total + part
        return total, total

    start = jax.tree.map(lambda s: jnp.zeros_like(s[0]), parts)
    return jax.lax.scan(add, start, parts)[1]


def _ends(a: Array, b: Array) -> tuple[Double, Double, Double]:
    """Where the mass of each source and each target point ends, and where all of it does."""
    ends, total = _cumulated(a)
    own = _cumulated(b)[1].high
    # masses differ by rounding, or by as much as is allowed; an empty target takes nothing
    stretched, last = _cumulated(b * (total.high / jnp.where(own > 0, own, 1)))
    over = (stretched.high > total.high) | (
        (stretched.high == total.high) & (stretched.low > total.low)
    )
    over |= (stretched.high == last.high) & (stretched.low == last.low)
    return ends, jax.tree.map(lambda s, t: jnp.where(over, t, s), stretched, total), total


def _staircase(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Rows, columns and masses (n + m - 1,) of the monotone plan between sorted points.

    Where a row and a column end together the row is left first, weightless rows and columns right
    after: they never change the way that the others are passed.
    """
    row_ends, col_ends, total = _ends(a, b)
    zero = jnp.zeros(1, a.dtype)
    leaves_row = jnp.arange(a.size + b.size - 2) < a.size - 1
    high, low = (
        jnp.concatenate([getattr(row_ends, part)[:-1], getattr(col_ends, part)[:-1]])
        for part in ("high", "low")
    )
    high, low, leaves_row = jax.lax.sort(
        (high, low, leaves_row.astype(jnp.int32)), num_keys=2, is_stable=True
    )
    rows = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(leaves_row, dtype=jnp.int32)])
    cols = jnp.arange(rows.size, dtype=jnp.int32) - rows
    high = jnp.diff(jnp.concatenate([zero, high, total.high[None]]))
    low = jnp.diff(jnp.concatenate([zero, low, total.low[None]]))
    return rows, cols, jnp.maximum(high + low, 0)


def _potentials(rows: Array, cols: Array, costs: Array, n: int, m: int) -> tuple[Array, Array]:
    """f (n,) and g (m,) with f + g = cost on every pair of the staircase, g_0 = 0.

    A step to the next row changes f alone, one to the next column g alone. Convexity makes the
    pair feasible everywhere else.
    """
    rise = jnp.concatenate([costs[:1], jnp.diff(costs)])
    down = jnp.concatenate([jnp.ones(1, bool), jnp.diff(rows) > 0])
    right = jnp.concatenate([jnp.ones(1, bool), jnp.diff(cols) > 0])
    along_f = jnp.cumsum(jnp.where(down, rise, 0))
    along_g = jnp.cumsum(jnp.where(down, 0, rise))
    f = jnp.zeros(n, costs.dtype).at[jnp.where(down, rows, n)].set(along_f, mode="drop")
    g = jnp.zeros(m, costs.dtype).at[jnp.where(right, cols, m)].set(along_g, mode="drop")
    return f, g


def _info(p: Problem, rows: Array, cols: Array, mass: Array, costs: Array) -> Info:
    moved = jnp.zeros_like(p.a).at[rows].add(mass), jnp.zeros_like(p.b).at[cols].add(mass)
    total = pb.mass(p)
    error = jnp.abs(moved[0] - p.a).sum() + jnp.abs(moved[1] - p.b).sum()
    finite = jnp.isfinite(jnp.where(mass > 0, costs, 0)).all() & jnp.isfinite(total)
    status = jnp.where(pb.infeasible(p), Status.INFEASIBLE, Status.OK)
    return Info(
        status=jnp.where(finite, status, Status.NONFINITE).astype(jnp.int8),
        steps=jnp.ones((), jnp.int32),
        passes=jnp.zeros((), jnp.int32),
        error=jax.lax.stop_gradient(error / jnp.where(total > 0, total, 1)),
    )


def _couple(p: Problem) -> SparseCoupling:
    n, m = p.kernel.shape
    x, y, cost = _line(p)
    by_x, by_y = (jnp.argsort(side[:, 0]).astype(jnp.int32) for side in (x, y))
    a, b = jax.lax.stop_gradient((p.a, p.b))
    rows, cols, mass = _staircase(a[by_x], b[by_y])
    pairs = by_x[rows], by_y[cols]
    costs = jax.vmap(lambda u, v: cost(u[None], v[None])[0, 0])(x[pairs[0]], y[pairs[1]])
    f, g = _potentials(rows, cols, costs, n, m)
    f, g = jnp.zeros_like(f).at[by_x].set(f), jnp.zeros_like(g).at[by_y].set(g)
    total = b.sum()
    offset = (b * g).sum() / jnp.where(total > 0, total, 1)
    f, g = f + offset, g - offset
    info = _info(p, *pairs, mass, costs)
    found = info.status == jnp.int8(Status.OK)
    mass = jnp.where(found, mass, 0)
    # envelope theorem: the plan is constant to costs, the potentials to weights
    slopes = jax.lax.stop_gradient((f, g))
    value = (mass * jnp.where(mass > 0, costs, 0)).sum()
    value += ((p.a - a) * slopes[0]).sum() + ((p.b - b) * slopes[1]).sum()
    value = jnp.where(found, value, jnp.inf)
    return SparseCoupling(p.kernel, p.a, p.b, *pairs, mass, f, g, value, info)


def _problem(x: Array, a: Array, y: Array, b: Array, cost: Cost) -> Problem:
    x, y = jnp.asarray(x), jnp.asarray(y)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(f"positions on the line must be (n,) and (m,), got {x.shape}, {y.shape}")
    return pb.make(Cloud(x[:, None], y[:, None], cost), a, b, 0.0, BALANCED, BALANCED)


def _line(p: Problem) -> tuple[Array, Array, Cost]:
    """Positions (n, 1) and (m, 1), and their cost."""
    assert isinstance(p.kernel, Cloud)
    return p.kernel.x, p.kernel.y, p.kernel.cost


@jax.jit
def couple(x: Array, a: Array, y: Array, b: Array, cost: Cost = SQUARED) -> SparseCoupling:
    """The exact plan between sum a_i delta(x_i) and sum b_j delta(y_j) on the line.

    Monotone: no two of its pairs cross. O((n + m) log(n + m)), the cost is only evaluated where
    the plan may be. `value` has derivatives in positions, cost and weights.

    Args:
        x: (n,) positions and a: (n,) weights >= 0 of the source, in any order.
        y: (m,) positions and b: (m,) weights >= 0 of the target. Masses may differ by 1e-5.
        cost: convex in x - y: `SqEuclidean`, `Euclidean`, `Lp` with p >= 1. With any other the
            plan is still monotone, but not optimal.

    Returns:
        A `SparseCoupling` of n + m - 1 entries in the order of the line. INFEASIBLE where masses
        differ, NONFINITE where costs are; the plan is then empty.

    Raises:
        ValueError: where shapes do not match.

    Example:
        >>> half = jnp.array([0.5, 0.5])
        >>> coupling = couple(jnp.array([0.0, 1.0]), half, jnp.array([2.0]), jnp.array([1.0]))
        >>> coupling.rows, coupling.cols, coupling.mass
        (Array([0, 1], dtype=int32), Array([0, 0], dtype=int32), Array([0.5, 0.5], dtype=float32))
        >>> coupling.value
        Array(2.5, dtype=float32)

    Reference:
        Santambrogio (2015), Optimal Transport for Applied Mathematicians, theorem 2.9.
    """
    return _couple(_problem(x, a, y, b, cost))


@jax.jit
def distance(x: Array, a: Array, y: Array, b: Array, p: float | Array = 2.0) -> Array:
    """W_p on the line, (min sum P_ij |x_i - y_j|^p)^(1/p): exact, differentiable.

    Args:
        x, a, y, b: as for `couple`; total masses are taken as they are.
        p: at least one, traced.

    Returns:
        A scalar; infinite where the masses differ. Its derivative at distance zero is zero.

    Raises:
        ValueError: where shapes do not match.

    Example:
        >>> half = jnp.array([0.5, 0.5])
        >>> distance(jnp.array([0.0, 1.0]), half, jnp.array([3.0, 4.0]), half)
        Array(3., dtype=float32)
    """
    problem = _problem(x, a, y, b, Lp(p))
    x, y, _ = _line(problem)
    power = jnp.asarray(p, x.dtype)
    # in units of the greatest distance no power overflows
    unit = jax.lax.stop_gradient(_reach(x[:, 0], problem.a, y[:, 0], problem.b))
    value = _couple(replace(problem, kernel=Cloud(x / unit, y / unit, Lp(power)))).value
    some = value > 0
    return unit * jnp.where(some, jnp.where(some, value, 1) ** (1 / power), 0)


def _reach(x: Array, a: Array, y: Array, b: Array) -> Array:
    """The greatest distance between points of positive weight; one where it is zero."""
    positions = jnp.concatenate([x, y])
    some = jnp.concatenate([a, b]) > 0
    width = jnp.where(some, positions, -jnp.inf).max() - jnp.where(some, positions, jnp.inf).min()
    return jnp.where((width > 0) & jnp.isfinite(width), width, 1)
