"""Many problems of one shape, each at its own cost: a finished one makes room for the next.

Under plain `vmap` every problem runs as long as the slowest. Here a CPU solves them one by one, on
all its cores; an accelerator keeps a number of lanes busy from a queue.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.sharding import Mesh

from jaxcolor.measure import Measure
from jaxcolor.sharding import BY_ROWS, EVERYWHERE, divided, each_its_part, replicated
from jaxcolor.transport.coupling import Coupling, Start, cast, settle
from jaxcolor.transport.kernels import Cloud, compact
from jaxcolor.transport.problem import Problem

CHUNK = 32  # problems a thread takes at once: a few milliseconds' work, little padding
LANES = 256  # on an accelerator


Begin = Callable[[Measure, Measure, Array], Start | None]


def solve_all(
    method: ModuleType,
    p: Problem,
    init: Start | Begin | None,
    options,
    lanes: int | None,
    mesh: Mesh | None = None,
) -> Coupling:
    """The couplings of a stack of problems; every leaf of `p` and `init` has the batch in front.

    Args:
        method: `newton` or `sinkhorn`.
        p: B problems.
        init: B starts, a function that makes one of a problem's measures and epsilon, or none.
        options: the method's, shared by all.
        lanes: problems in flight at once. By default one on a CPU (on each of its cores, outside
            `jit`), 256 elsewhere.
        mesh: devices to divide the problems between; each works on its own.
    """
    count = p.b.shape[0] // (mesh.size if mesh else 1)
    if lanes is None:
        lanes = 1 if jax.default_backend() == "cpu" else LANES
    lanes = min(lanes, count)
    if callable(init) and jax.tree_util.all_leaves([init]):
        init = jax.tree_util.Partial(init)  # a plain function; one with weights is a pytree
    if mesh is not None:
        return _on_devices(method, p, init, options, lanes, mesh)
    if lanes > 1:
        return _in_lanes(p, _begun(p, init), options, method=method, lanes=lanes)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((p, init, options))):
        return _one_by_one(p, _begun(p, init), options, method=method)
    return _on_all_cores(method, p, init, options)


def _begun(p: Problem, init: Start | Begin | None) -> Start | None:
    """The starts of a stack of problems; by a function's own `batched`, if it has one."""
    if not callable(init):
        return init
    assert isinstance(p.kernel, Cloud)
    mu, nu = Measure(p.kernel.x, p.a), Measure(p.kernel.y, p.b)
    batched = getattr(init, "batched", None)
    if batched is not None:
        return cast(batched(mu, nu, p.epsilon), p.b.dtype)
    return jax.lax.map(lambda z: cast(init(*z), p.b.dtype), (mu, nu, p.epsilon))


@jax.jit(static_argnames="method")
def _one_by_one(p: Problem, init: Start | None, options, method: ModuleType) -> Coupling:
    def one(problem):
        p, init = problem
        return settle(p, method.run(p, method.beginning(p, init), options))

    return jax.lax.map(one, (p, init))


@jax.jit(static_argnames=("method", "size"))
def _part(
    p: Problem, init: Start | Begin | None, options, low: Array, method: ModuleType, size: int
):
    """The potentials, values and infos of problems low .. low + size."""

    def some(tree):
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, low, size), tree)

    p = some(p)
    init = _begun(p, init) if callable(init) else some(init)
    # costs are computed once: within the loop XLA would do it anew in every sum that needs them
    p = replace(p, kernel=jax.vmap(compact)(p.kernel))
    done = _one_by_one(p, init, options, method=method)
    return done.f, done.g, done.value, done.info


def _on_all_cores(method: ModuleType, p: Problem, init: Start | Begin | None, options) -> Coupling:
    """Chunks of problems to threads: XLA runs a loop of small operations on one core."""
    count = p.b.shape[0]
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    size = min(CHUNK, -(-count // (workers or 1)))
    # a `with jax.enable_x64(True):` around the call holds for its own thread only
    double = jnp.result_type(float) == jnp.float64

    def chunk(start: int):
        # the last one reaches back, so that all have one shape
        low = min(start, count - size)
        with jax.enable_x64(double):
            done = _part(p, init, options, np.int32(low), method=method, size=size)
            return jax.tree.map(lambda leaf: np.asarray(leaf)[start - low :], done)

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(chunk, range(0, count, size)))
    f, g, value, info = jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves)), *parts)
    return Coupling(p, f, g, value, info)


def _on_devices(
    method: ModuleType, p: Problem, init: Start | Begin | None, options, lanes: int, mesh: Mesh
) -> Coupling:
    """Every device its own problems; nothing is sent, but for the values and infos at the end."""
    p = divided(p, mesh)
    init = replicated(init, mesh) if callable(init) else divided(init, mesh)
    options = replicated(options, mesh)
    f, g, value, info = _divided(p, init, options, method=method, lanes=lanes, mesh=mesh)
    return Coupling(p, f, g, *replicated((value, info), mesh))


@jax.jit(static_argnames=("method", "lanes", "mesh"))
def _divided(
    p: Problem, init: Start | Begin | None, options, method: ModuleType, lanes: int, mesh: Mesh
):
    def own(p, init, options):
        begun = _begun(p, init)
        if lanes > 1:
            done = _in_lanes(p, begun, options, method=method, lanes=lanes)
        else:
            done = _one_by_one(p, begun, options, method=method)
        return done.f, done.g, done.value, done.info

    given = BY_ROWS, EVERYWHERE if callable(init) else BY_ROWS, EVERYWHERE
    return each_its_part(own, mesh, given, BY_ROWS)(p, init, options)


@jax.jit(static_argnames=("method", "lanes"))
def _in_lanes(p: Problem, init: Start | None, options, method: ModuleType, lanes: int) -> Coupling:
    """A queue: lanes step together; one that is done writes its result and takes the next."""
    fixed, start = jax.lax.stop_gradient((p, init))
    begin = jax.vmap(lambda p, init: method.begin(p, method.beginning(p, init), options))
    states = begin(fixed, start)  # O(n + m) each
    count = p.b.shape[0]

    @jax.vmap
    def step(p, s):  # one that ended before its first step, an infeasible problem, stays as it is
        after = method.step(p, options, s, stored=True)
        return jax.tree.map(lambda new, old: jnp.where(method.running(s), new, old), after, s)

    def take(tree, index):
        return jax.tree.map(lambda leaf: leaf[jnp.minimum(index, count - 1)], tree)

    def going(carry):
        _, index, _, _ = carry
        return (index < count).any()

    def turn(carry):
        states, index, lane, waiting = carry
        lane = step(take(fixed, index), lane)
        done = ~method.running(lane)
        one = done.astype(jnp.int32)
        # index = count is nobody's: what is written there is dropped
        where = jnp.where(done, index, count)
        states = jax.tree.map(lambda all_, new: all_.at[where].set(new, mode="drop"), states, lane)
        fresh = waiting + jnp.cumsum(one, dtype=jnp.int32) - one
        after = jnp.where(done, jnp.minimum(fresh, count), index)
        lane = jax.tree.map(
            lambda old, new: jnp.where(done.reshape(-1, *(1,) * (old.ndim - 1)), new, old),
            lane,
            take(states, after),
        )
        return states, after, lane, jnp.minimum(waiting + one.sum(dtype=jnp.int32), count)

    index = jnp.arange(lanes, dtype=jnp.int32)
    carry = (states, index, take(states, index), jnp.int32(lanes))
    states = jax.lax.while_loop(going, turn, carry)[0]
    return jax.vmap(settle)(p, jax.vmap(lambda p, s: method.found(p, s, options))(fixed, states))
