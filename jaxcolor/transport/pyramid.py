"""Coarse to fine: where a solve on a grid may begin, from the same problem on coarser ones."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.measure import Grid
from jaxcolor.transport import problem as pb
from jaxcolor.transport.coupling import Coupling
from jaxcolor.transport.grid import Axes, GridKernel

COARSEST = 32  # nodes along the longest axis that are solved as they are
TOL = 3e-2  # of the coarse solves


def halve(density: Grid) -> Grid:
    """Every two nodes along each axis as one between them; the last of an odd number stays.

    Example:
        >>> halve(Grid((jnp.arange(5.0),), jnp.array([1.0, 2.0, 3.0, 4.0, 5.0]))).weights.tolist()
        [3.0, 7.0, 5.0]
    """
    weights, axes = density.weights, []
    for k, axis in enumerate(density.axes):
        odd = axis.shape[0] % 2
        along = jnp.moveaxis(weights, k, 0)
        along = jnp.pad(along, [(0, odd), *[(0, 0)] * (along.ndim - 1)])
        weights = jnp.moveaxis(along[::2] + along[1::2], 0, k)
        ends = jnp.pad(axis, (0, odd), mode="edge")
        axes.append((ends[::2] + ends[1::2]) / 2)
    return Grid(tuple(axes), weights)


@jax.jit
def extend(coupling: Coupling, source: Axes, axes: Axes) -> Array:
    """The target's potential at the nodes of another grid, as its own half-step has it.

    Args:
        coupling: solved on a `GridKernel`. source: the axes of its rows. axes: of the other grid.

    Returns:
        (k1 * .. * kd,), in units of the cost.

    Example:
        >>> from jaxcolor.transport import newton
        >>> axis, even = jnp.linspace(0, 1, 4), jnp.full(4, 0.25)
        >>> coupling = newton.solve(GridKernel((axis,), (axis,)), even, even, epsilon=0.1)
        >>> bool(jnp.allclose(extend(coupling, (axis,), (axis,)), coupling.g, atol=1e-4))
        True
    """
    return pb.best_g(replace(coupling.problem, kernel=GridKernel(source, axes)), coupling.f)


def coarser(source: Grid, target: Grid, epsilon: Array) -> tuple[Grid, Grid, Array] | None:
    """The problem two levels up, at an epsilon that it resolves; None where it is coarse already.

    Two at once, since every size is a program to compile.

    Example:
        >>> axis = jnp.linspace(0, 1, 64)
        >>> density = Grid((axis,), jnp.ones(64) / 64)
        >>> up, _, epsilon = coarser(density, density, jnp.float32(1e-5))
        >>> up.weights.shape, epsilon.round(4)
        ((16,), Array(0.004, dtype=float32))
    """
    if max(*source.weights.shape, *target.weights.shape) <= COARSEST:
        return None
    source, target = (halve(halve(density)) for density in (source, target))
    steps = [jnp.diff(axis).max() for axis in (*source.axes, *target.axes) if axis.shape[0] > 1]
    return source, target, jnp.maximum(epsilon, jnp.stack(steps).max() ** 2)
