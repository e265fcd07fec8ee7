"""How a solve ended: status codes, counts, and the one function that turns them into errors."""

import enum

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jaxcolor.tree import pytree


class Status(enum.IntEnum):
    """The outcome of one problem; of several outcomes the larger wins."""

    OK = 0  # the error is within the tolerance (once rounded to the dtype, within twice it)
    MAX_STEPS = 1  # steps ran out first
    STALLED = 2  # the error stopped falling: the dtype's rounding, or a degenerate problem
    INFEASIBLE = 3  # no coupling has these marginals
    NONFINITE = 4  # NaN or infinity came in, or up


_REMEDY = {
    Status.MAX_STEPS: "raise max_steps, tol or epsilon, or use method='newton'",
    Status.STALLED: "raise tol or epsilon, or enable float64 (jax.enable_x64)",
    Status.INFEASIBLE: "give both measures the same mass, or relax a marginal (KL, TV, Range)",
    Status.NONFINITE: "look for NaN, infinity or an epsilon that is not positive in the input",
}


@pytree
class Info:
    """What a solver reports; every leaf has the batch's shape.

    Attributes:
        status: int8, a `Status`.
        steps: int32, outer steps taken.
        passes: int32, sweeps over all n * m pairs, the unit of work.
        error: the plan's distance to its marginals, relative to the mass (`transport.problem`).
        history: (length,) error after each step, NaN beyond the last; or None.
    """

    status: Array
    steps: Array
    passes: Array
    error: Array
    history: Array | None = None


def check(info: Info) -> None:
    """Raise unless every problem ended well.

    Raises:
        RuntimeError: with the number of failures, the first of them, the cause and a remedy.
        TypeError: under `jit`, `vmap` or `grad`, where a status has no value yet.

    Example:
        >>> fine = Info(jnp.int8(0), jnp.int32(7), jnp.int32(90), jnp.float32(1e-5))
        >>> check(fine)
        >>> check(Info(jnp.int8(1), jnp.int32(9), jnp.int32(99), jnp.float32(0.1)))
        Traceback (most recent call last):
        RuntimeError: 1 of 1 problems ended with MAX_STEPS (error 0.1 after 9 steps): raise ...
    """
    if isinstance(info.status, Tracer):
        raise TypeError("check(info) needs values: call it outside jit, vmap and grad")
    status = np.atleast_1d(np.asarray(info.status)).ravel()
    failed = np.flatnonzero(status)
    if failed.size == 0:
        return
    worst = Status(int(status.max()))
    first = failed[status[failed] == worst]
    error, steps = (np.atleast_1d(np.asarray(x)).ravel() for x in (info.error, info.steps))
    where = "" if status.size == 1 else f", first at index {first[:5].tolist()}"
    raise RuntimeError(
        f"{failed.size} of {status.size} problems ended with {worst.name}{where} "
        f"(error {error[first[0]]:.3g} after {steps[first[0]]} steps): {_REMEDY[worst]}"
    )


def default_tol(dtype) -> float:
    """1e-4 in float32, 1e-8 in float64: what rounding lets an iteration reach with ease."""
    return 1e-8 if jnp.finfo(dtype).bits == 64 else 1e-4


def iterate(step, state, running):
    """Apply `step` while `running(state)`: one flat loop, whatever a solver does in it.

    Under `vmap` the loop runs until the last problem is done; those that are keep their state.

    Example:
        >>> iterate(lambda x: x * 2, jnp.float32(1), lambda x: x < 100)
        Array(128., dtype=float32)
    """
    return jax.lax.while_loop(running, step, state)


def judged(error: Array, tol: Array, steps: Array, max_steps: Array) -> Array:
    """The status (int8) after so many steps, -1 to go on.

    Example:
        >>> [int(judged(jnp.float32(e), 1e-4, 9, 10)) for e in (1e-5, 0.1, float("nan"))]
        [0, -1, 4]
    """
    status = jnp.where(steps >= max_steps, Status.MAX_STEPS, -1)
    status = jnp.where(error <= tol, Status.OK, status)
    return jnp.where(jnp.isfinite(error), status, Status.NONFINITE).astype(jnp.int8)
