"""Exact transport: the linear programme min <C, P>, P 1 = a, P' 1 = b, on the host in float64.

Other libraries find a plan: POT's network simplex, SciPy's assignment or simplex. The potentials
are found here, from the plan, by shortest paths: they are at once the proof that it is optimal.
"""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxcolor.iterate import Info, Status
from jaxcolor.transport import problem as pb
from jaxcolor.transport.backends import choose, import_pot
from jaxcolor.transport.kernels import Kernel
from jaxcolor.transport.marginals import BALANCED
from jaxcolor.transport.sparse import SparseCoupling

SLACK = 1e-11  # of the range of costs: how far from zero a used pair's C - f - g may be


class Plan(NamedTuple):
    """What another library hands over: entries, a guess of g, how it ended."""

    rows: np.ndarray
    cols: np.ndarray
    mass: np.ndarray
    g: np.ndarray
    status: Status


def _nothing(status: Status) -> Plan:
    none = np.zeros(0, int)
    return Plan(none, none, np.zeros(0), np.zeros(0), status)


def _pot(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> Plan:
    """Network simplex, for any weights."""
    ot = import_pot()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it has to say is in its result code
        plan, log = ot.lp.emd(
            a, b, cost, numItermax=10**9, log=True, center_dual=False, check_marginals=False
        )
    rows, cols = np.nonzero(plan)
    codes = {1: Status.OK, 3: Status.MAX_STEPS}
    status = codes.get(log["result_code"], Status.STALLED)
    return Plan(rows, cols, plan[rows, cols], log["v"], status)


def _scipy(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> Plan:
    """Assignment where every point has the same mass, else the dual simplex of HiGHS."""
    if len(a) == len(b) and (a == 1).all() and (b == 1).all():
        from scipy.optimize import linear_sum_assignment

        rows, cols = linear_sum_assignment(cost)
        return Plan(rows, cols, a, np.zeros_like(b), Status.OK)
    return _linear_programme(a, b, cost)


def _linear_programme(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> Plan:
    from scipy import sparse
    from scipy.optimize import linprog

    n, m = cost.shape
    row_sums = sparse.kron(sparse.eye_array(n), np.ones((1, m)))
    col_sums = sparse.kron(np.ones((1, n)), sparse.eye_array(m))
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(
        cost.ravel(),
        A_eq=sparse.vstack([row_sums, col_sums], format="csc"),
        b_eq=np.concatenate([a, b]),
        method="highs-ds",  # a vertex: at most n + m - 1 entries
        options=options,
    )
    if found.x is None:
        return _nothing(Status.STALLED)._replace(g=np.zeros(m))
    plan, g = found.x.reshape(n, m), found.eqlin.marginals[n:]
    rows, cols = np.nonzero(plan > 0)
    codes = {0: Status.OK, 1: Status.MAX_STEPS}
    return Plan(rows, cols, plan[rows, cols], g, codes.get(found.status, Status.STALLED))


BACKENDS = {"pot": _pot, "scipy": _scipy}


def _potentials(plan: Plan, cost: np.ndarray) -> tuple[np.ndarray, int, bool]:
    """The g of an optimal plan: shortest paths in its residual graph, by Bellman and Ford.

    A used pair can be left as well as taken, so f_i = C_ij - g_j there; any pair can be taken, so
    g_j <= C_ij - f_i. Lowering g until both hold ends just when the plan is optimal. Only rows
    that changed are looked at again.

    Returns:
        g (m,), sweeps, and whether it ended.
    """
    rows, cols, g = plan.rows, plan.cols, plan.g
    used = cost[rows, cols]
    f = np.full(len(cost), -np.inf)
    for sweep in range(sum(cost.shape)):
        needed = np.full(len(cost), -np.inf)
        np.maximum.at(needed, rows, used - g[cols])
        changed = np.flatnonzero(needed > f + SLACK)
        if not changed.size:
            return g, sweep, True
        f[changed] = needed[changed]
        g = np.minimum(g, (cost[changed] - f[changed, None]).min(0))
    return g, sum(cost.shape), False


def _masses(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Both measures in one unit of mass, and that unit; equal weights become exactly one."""
    unit = a.sum() / len(a)
    if len(a) == len(b) and np.ptp(a) == 0 and np.ptp(b) == 0:
        return np.ones_like(a), np.ones_like(b), unit
    return a / unit, b * (len(a) / b.sum()), unit


def _unit_costs(cost: np.ndarray) -> tuple[np.ndarray, float]:
    """Costs between zero and one, and their range: tolerances of the libraries are absolute.

    And POT 0.9.7 finds nothing feasible where all costs are below minus one.
    """
    span = np.ptp(cost)
    span = span if span > 0 else 1.0
    return (cost - cost.min()) / span, span


def _status(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> Status:
    """What is wrong with a problem before anyone solves it."""
    if not all(np.isfinite(part).all() for part in (a, b, cost)):
        return Status.NONFINITE
    least, gap = min(a.min(), b.min()), abs(a.sum() - b.sum())
    if least < 0 or gap > pb.MISMATCH * max(a.sum(), b.sum()):
        return Status.INFEASIBLE
    return Status.OK


def _error(p: pb.Problem, rows: np.ndarray, cols: np.ndarray, mass: np.ndarray) -> float:
    """The L1 violation of both marginals, in units of the mass."""
    a, b = np.asarray(p.a, np.float64), np.asarray(p.b, np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.inf
    error = np.abs(np.bincount(rows, mass, len(a)) - a).sum()
    error += np.abs(np.bincount(cols, mass, len(b)) - b).sum()
    total = max(a.sum(), b.sum())
    return float(error / total) if total > 0 else 0.0


_costs = jax.jit(lambda kernel: kernel.dense())


def _pack(p: pb.Problem, plan: Plan, f, g, value: float, sweeps: int) -> SparseCoupling:
    """The result, in the problem's dtype, its entries filled up to n + m - 1."""
    n, m = p.kernel.shape
    dtype = p.b.dtype
    # one shape for all plans: they stack, and nothing compiles anew
    fill = max(n + m - 1 - len(plan.mass), 0)
    rows, cols, mass = (np.pad(part, (0, fill)) for part in plan[:3])
    info = Info(
        status=jnp.asarray(plan.status, jnp.int8),
        steps=jnp.asarray(1, jnp.int32),
        passes=jnp.asarray(sweeps, jnp.int32),
        error=jnp.asarray(_error(p, rows, cols, mass), dtype),
    )
    return SparseCoupling(
        kernel=p.kernel,
        a=p.a,
        b=p.b,
        rows=jnp.asarray(rows, jnp.int32),
        cols=jnp.asarray(cols, jnp.int32),
        mass=jnp.asarray(mass, dtype),
        f=jnp.asarray(f, dtype),
        g=jnp.asarray(g, dtype),
        value=jnp.asarray(value, dtype),
        info=info,
    )


def solve(kernel: Kernel, a, b, *, backend: str | None = None) -> SparseCoupling:
    """Exact transport min <C, P> over P >= 0 with P 1 = a and P' 1 = b.

    A vertex of the programme: at most n + m - 1 entries, a permutation where n = m and all weights
    are equal. On the host, O(n m) memory: 4,096 points take POT four seconds.

    Args:
        kernel: n x m costs, formed in its own dtype.
        a: (n,) and b: (m,) weights >= 0; zeros are padding. Masses may differ by 1e-5.
        backend: "pot" (network simplex), "scipy" (assignment where n = m and all weights are
            equal, else linear programme), or by default POT where it is installed, on 4,096 points
            ten times as fast.

    Returns:
        A `SparseCoupling`; look at `info.status`, or `check(info)`. INFEASIBLE where masses differ
        or a weight is negative, NONFINITE on NaN; the plan is then empty. STALLED where the plan
        is not proven optimal. `info.passes`: sweeps that the proof took.

    Raises:
        ValueError: where shapes do not match, under jit, vmap and grad, or where the backend is
            unknown or not installed.

    Example:
        >>> from jaxcolor.transport.kernels import Cloud
        >>> x, half = jnp.array([[0.0], [1.0]]), jnp.array([0.5, 0.5])
        >>> solve(Cloud(x, x + 2), half, half).value
        Array(4., dtype=float32)

    Reference:
        Bonneel, van de Panne, Paris, Heidrich (2011), Displacement interpolation using Lagrangian
        mass transport, section 4 (the network simplex); Crouse (2016), On implementing 2D
        rectangular assignment algorithms (SciPy's assignment).
    """
    find = BACKENDS[str(choose("exact", backend))]
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((kernel, a, b))):
        raise ValueError("exact.solve runs on the host: call it outside jit, vmap and grad")
    p = pb.make(kernel, a, b, 0.0, BALANCED, BALANCED)
    a, b, cost = (np.asarray(part, np.float64) for part in (p.a, p.b, _costs(p.kernel)))
    status = _status(a, b, cost)
    source, target = np.flatnonzero(a > 0), np.flatnonzero(b > 0)
    if status != Status.OK or not source.size:
        value = 0.0 if status == Status.OK else np.inf
        return _pack(p, _nothing(status), np.zeros_like(a), np.zeros_like(b), value, 0)
    inner, span = _unit_costs(cost[np.ix_(source, target)])
    masses = _masses(a[source], b[target])
    plan = find(*masses[:2], inner)
    g, sweeps, proven = _potentials(plan, inner)
    f = (cost[:, target] - span * g).min(1)
    g = (cost[source] - f[source, None]).min(0)
    offset = b @ g / b.sum()
    status = plan.status if proven else max(plan.status, Status.STALLED)
    rows, cols, mass = source[plan.rows], target[plan.cols], plan.mass * masses[2]
    value = float(mass @ cost[rows, cols])
    plan = Plan(rows, cols, mass, g, status)
    return _pack(p, plan, f + offset, g - offset, value, sweeps)
