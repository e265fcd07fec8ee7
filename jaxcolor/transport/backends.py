"""Other libraries that compute the potentials: oracles to check against, or yours.

An adapter is a function `(problem, tol, max_steps) -> (f, g)` on the host, in float64; plan, value,
error and status are then computed here, the same for all. Only this module knows the conventions of
others. What is possible is said once, in `CAPABILITIES`.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxcolor.iterate import Status
from jaxcolor.transport import problem as pb
from jaxcolor.transport.coupling import Coupling, Found, settle
from jaxcolor.transport.kernels import Dense
from jaxcolor.transport.marginals import Balanced, kind
from jaxcolor.transport.problem import Problem

Adapter = Callable[[Problem, float, int], tuple[np.ndarray, np.ndarray]]


class Capability(NamedTuple):
    """What one method on one backend can do."""

    marginals: tuple[str, ...]
    traced: bool  # works under jit, vmap and grad; others are host code


CAPABILITIES = {
    ("newton", "jax"): Capability(("Balanced", "KL"), True),
    ("multiscale", "jax"): Capability(("Balanced", "KL"), False),
    ("sinkhorn", "jax"): Capability(("Balanced", "KL", "TV", "Range", "Mixed"), True),
    ("sinkhorn", "ott"): Capability(("Balanced", "KL"), False),
    ("sinkhorn", "pot"): Capability(("Balanced", "KL"), False),
    ("exact", "scipy"): Capability(("Balanced",), False),
    ("exact", "pot"): Capability(("Balanced",), False),
}
PACKAGES = {"ott": "ott", "pot": "ot", "scipy": "scipy", "jax": "jax"}
MOST = 100_000  # steps of another library, by default
METHODS = tuple(dict.fromkeys(method for method, _ in CAPABILITIES))


def choose(method: str, backend: str | Adapter | None) -> str | Adapter:
    """The backend that serves a method; by default its own.

    Raises:
        ValueError: for an unknown method, a pair that does not exist, or a package not installed.

    Example:
        >>> choose("newton", None)
        'jax'
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}: one of {', '.join(METHODS)}")
    if callable(backend):
        if method == "exact":
            raise ValueError("a callable backend computes entropic potentials, not an exact plan")
        return backend
    if backend is None:
        if method == "exact":
            return "pot" if find_spec("ot") else "scipy"
        return "jax"
    if (method, backend) not in CAPABILITIES:
        offered = ", ".join(b for m, b in CAPABILITIES if m == method)
        own = "" if method == "exact" else ", or a callable"
        raise ValueError(f"{method} has no backend {backend!r}: one of {offered}{own}")
    if find_spec(PACKAGES[backend]) is None:
        raise ValueError(f"backend {backend!r} is not installed: pip install 'jaxcolor[{backend}]'")
    return backend


def check_marginals(method: str, backend: str | Adapter, *marginals) -> None:
    """Whether a backend knows these marginals; a callable is believed.

    Raises:
        ValueError: with those that it knows.
    """
    if callable(backend):
        return
    known = CAPABILITIES[method, backend].marginals
    for marginal in marginals:
        # ours take a marginal from any reference, others from their own
        name = type(kind(marginal) if backend == "jax" else marginal).__name__
        if name not in known:
            able = [f"{m}/{b}" for (m, b), c in CAPABILITIES.items() if name in c.marginals]
            advice = f"; {name} works with {', '.join(able)}" if able else ""
            raise ValueError(
                f"{method} on {backend} takes {', '.join(known)} marginals, got {name}{advice}"
            )


def run(adapter: Adapter, p: Problem, tol: float, max_steps: int) -> Coupling:
    """The coupling of the potentials that another library finds.

    Points of zero weight are left out of what the adapter sees.

    Raises:
        ValueError: under `jit`, `vmap` or `grad`; or where the adapter returns wrong shapes.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(p)):
        raise ValueError("this backend runs on the host: call it outside jit, vmap and grad")
    dtype = p.b.dtype
    if bool(pb.infeasible(p)):
        f, g, status = np.zeros(p.a.shape), np.zeros(p.b.shape), Status.INFEASIBLE
    else:
        f, g = _on_support(adapter, p, tol, max_steps)
        status = Status.OK
    found = Found(
        jnp.asarray(f, dtype),
        jnp.asarray(g, dtype),
        jnp.asarray(status, jnp.int8),
        jnp.zeros((), jnp.int32),
        jnp.zeros((), jnp.int32),
    )
    return _judged(p, found, jnp.asarray(tol, dtype))


@jax.jit
def _judged(p: Problem, found: Found, tol) -> Coupling:
    """The status follows from the error measured here, not from what the library says."""
    coupling = settle(p, found)
    info = coupling.info
    status = jnp.where(info.error <= tol, Status.OK, Status.MAX_STEPS)
    status = jnp.where(jnp.isfinite(info.error), status, Status.NONFINITE)
    status = jnp.maximum(info.status, status).astype(jnp.int8)
    return replace(coupling, info=replace(info, status=status))


def _on_support(adapter: Adapter, p: Problem, tol: float, max_steps: int):
    rows, columns = np.flatnonzero(p.a), np.flatnonzero(p.b)
    cost = np.asarray(p.kernel.dense(), np.float64)[np.ix_(rows, columns)]
    a, b = np.asarray(p.a, np.float64)[rows], np.asarray(p.b, np.float64)[columns]
    epsilon = np.float64(p.epsilon)
    q = Problem(Dense(cost), a, b, epsilon, p.source_marginal, p.target_marginal)  # pyright: ignore[reportArgumentType]  NumPy, on the host
    small_f, small_g = adapter(q, float(tol), int(max_steps))
    if np.shape(small_f) != a.shape or np.shape(small_g) != b.shape:
        got = np.shape(small_f), np.shape(small_g)
        raise ValueError(f"a backend returns f {a.shape} and g {b.shape}, got {got}")
    f, g = np.zeros(p.a.shape), np.zeros(p.b.shape)
    f[rows], g[columns] = small_f, small_g
    return f, g


def _rho(marginal) -> float:
    return np.inf if isinstance(marginal, Balanced) else float(marginal.rho)


def _reference(p: Problem) -> np.ndarray:
    a, b = np.asarray(p.a), np.asarray(p.b)
    return a[:, None] * b[None] / np.sqrt(a.sum() * b.sum())


def ott(p: Problem, tol: float, max_steps: int):
    """OTT-JAX's Sinkhorn on the dense cost C - epsilon log R, which makes its potentials ours."""
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        epsilon = float(p.epsilon)
        cost = jnp.asarray(p.kernel.dense() - epsilon * np.log(_reference(p)))
        tau = [1 / (1 + epsilon / _rho(m)) for m in (p.source_marginal, p.target_marginal)]
        # in units of unit mass, as its threshold is
        problem = linear_problem.LinearProblem(
            geometry.Geometry(cost_matrix=cost, epsilon=epsilon),
            jnp.asarray(p.a),
            jnp.asarray(p.b),
            tau_a=tau[0],
            tau_b=tau[1],
        )
        solver = sinkhorn.Sinkhorn(threshold=tol / 10, max_iterations=max_steps)
        out = solver(problem)
        return np.asarray(out.f), np.asarray(out.g)


def pot(p: Problem, tol: float, max_steps: int):
    """POT: log-domain Sinkhorn where both marginals are hard, else its unbalanced scaling."""
    ot = import_pot()
    cost, epsilon, reference = np.asarray(p.kernel.dense()), float(p.epsilon), _reference(p)
    a, b = np.asarray(p.a), np.asarray(p.b)
    options = {"numItermax": max_steps, "stopThr": tol / 100, "log": True}
    if pb.both_hard(p):
        # hard masses may differ by rounding, which its test never forgives
        b = b * (a.sum() / b.sum())
        _, log = ot.bregman.sinkhorn_log(a, b, cost, epsilon, warn=False, **options)
        scale = np.sqrt(a.sum())
        return (
            epsilon * (log["log_u"] - np.log(a / scale)),
            epsilon * (log["log_v"] - np.log(b / scale)),
        )
    rho = (_rho(p.source_marginal), _rho(p.target_marginal))
    _, log = ot.unbalanced.sinkhorn_unbalanced(
        a, b, cost, epsilon, rho, reg_type="kl", c=reference, **options
    )
    return epsilon * log["logu"], epsilon * log["logv"]


def import_pot():
    """POT without the array libraries that it would otherwise load."""
    for name in ("PYTORCH", "JAX", "TENSORFLOW", "CUPY"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{name}", "1")
    import ot

    return ot


ADAPTERS: dict[str, Adapter] = {"ott": ott, "pot": pot}
