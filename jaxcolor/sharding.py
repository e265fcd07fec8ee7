"""Measures on several devices: computation follows where their points lie.

    mu = jaxcolor.shard(mu)              # its points divided between all devices

`solve`, `solve_batch` and the sliced solvers take such a measure like any other, on the devices of
one process or of many (`jax.distributed`): every process runs the same lines.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcolor.measure import Measure

AXIS = "devices"
EVERYWHERE, BY_ROWS = PartitionSpec(), PartitionSpec(AXIS)  # where an array lies

Devices = Sequence[Any] | None


def line_of(devices: Devices = None) -> Mesh:
    """Devices in a row; by default all there are, those of other processes too."""
    return Mesh(np.asarray(jax.devices() if devices is None else devices), (AXIS,))


def shard(mu: Measure, devices: Devices = None) -> Measure:
    """The same measure, its points divided between devices; points without weight fill it up.

    A stack of measures is divided by problems, and filled up with copies of the last.

    Args:
        mu: (n, d) points and (n,) weights; or (B, n, d) and (B, n). With several processes the same
            in each.
        devices: by default all, those of other processes too.

    Returns:
        n' points (or B' problems), a multiple of the number of devices.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> mu = shard(point_cloud([[0.0], [1.0], [2.0]]))
        >>> mu.points.sharding.spec[0]
        'devices'
    """
    mesh = line_of(devices)
    # from the host: an array of one process cannot be laid out over several
    points, weights = np.asarray(mu.points), np.asarray(mu.weights)
    missing = -points.shape[0] % mesh.size
    if missing:
        points = np.concatenate([points, np.repeat(points[-1:], missing, 0)])
        more = np.repeat(weights[-1:], missing, 0) if points.ndim == 3 else np.zeros(missing)
        weights = np.concatenate([weights, more.astype(weights.dtype)])
    return divided(Measure(points, weights), mesh)  # pyright: ignore[reportArgumentType]


def mesh_of(array: Array) -> Mesh | None:
    """The devices between which an array's first axis is divided; None for any other array.

    Also None under `jit`, where an array's place is not known.
    """
    if isinstance(array, Tracer) or not isinstance(array, jax.Array):
        return None
    place = array.sharding
    if not isinstance(place, NamedSharding) or place.mesh.size == 1:
        return None
    if tuple(place.spec)[:1] in ((), (None,)):
        return None
    assert isinstance(place.mesh, Mesh)
    return Mesh(place.mesh.devices.ravel(), (AXIS,))


def replicated(tree, mesh: Mesh):
    """The whole of every array on each device."""
    return _put(tree, NamedSharding(mesh, EVERYWHERE))


def divided(tree, mesh: Mesh):
    """The first axis of every array divided between the devices.

    Raises:
        ValueError: where they cannot share it evenly.
    """
    for leaf in jax.tree.leaves(tree):
        if leaf.shape[0] % mesh.size:
            raise ValueError(
                f"{leaf.shape[0]} are not to be divided evenly between {mesh.size} devices: "
                "jaxcolor.shard fills up"
            )
    return _put(tree, NamedSharding(mesh, BY_ROWS))


def _put(tree, place: NamedSharding):
    def put(leaf):
        if isinstance(leaf, Tracer):
            return jax.lax.with_sharding_constraint(leaf, place)
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return _copied(leaf, place)
        if isinstance(leaf, jax.Array) and leaf.sharding.device_set == place.device_set:
            return jax.device_put(leaf, place)  # from device to device
        return _laid_out(np.asarray(leaf), place)

    return jax.tree.map(put, tree)


def each_its_part(function: Callable, mesh: Mesh, given: Any, result: Any) -> Callable:
    """`function` run by every device on what it holds: in_specs `given`, out_specs `result`."""
    return jax.shard_map(function, mesh=mesh, in_specs=given, out_specs=result, check_vma=False)


@jax.jit(static_argnames="place")
def _copied(array: Array, place: NamedSharding) -> Array:
    return jax.lax.with_sharding_constraint(array, place)


def _laid_out(array: np.ndarray, place: NamedSharding) -> Array:
    return jax.make_array_from_callback(array.shape, place, lambda index: array[index])
