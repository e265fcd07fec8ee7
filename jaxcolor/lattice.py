"""Even lattices in a box: where colours lie between their nodes, and what that gives.

Both wings need it: tables of a LUT are read this way, and so are maps found on a grid.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.measure import Grid, Measure
from jaxcolor.tree import pytree


def corners(
    unit: Array, size: int, interpolation: str = "tetrahedral"
) -> list[tuple[Array, Array]]:
    """The grid points around colours (n, 3) within the unit cube, and how much each counts.

    Returns:
        For each corner, places (n,) in the flattened table and weights (n,).
    """
    if interpolation not in WEIGHERS:
        raise ValueError(f"interpolation must be one of {', '.join(WEIGHERS)}")
    t = jnp.clip(unit, 0, 1) * (size - 1)
    strides = jnp.array([size * size, size, 1])
    first = jnp.minimum(t.astype(strides.dtype), size - 2)
    start = (first * strides[None]).sum(1)
    return [
        (start + offset, w)
        for offset, w in WEIGHERS[interpolation](t - first.astype(t.dtype), strides)
    ]


def _trilinear(rest: Array, strides: Array) -> list[tuple[Array, Array]]:
    """The eight corners of a cell: offset into the table, weight (n,)."""
    corners = []
    for index in np.ndindex(2, 2, 2):
        weights = [rest[:, c] if up else 1 - rest[:, c] for c, up in enumerate(index)]
        corners.append((jnp.array(index) @ strides, weights[0] * weights[1] * weights[2]))
    return corners


def _tetrahedral(rest: Array, strides: Array) -> list[tuple[Array, Array]]:
    """The four corners on the way from a cell's black to its white, greatest fraction first."""
    order = jnp.argsort(-rest, axis=1)
    falling = jnp.take_along_axis(rest, order, 1)
    steps = jnp.cumsum(strides[order], 1)
    return [
        (jnp.zeros_like(steps[:, 0]), 1 - falling[:, 0]),
        (steps[:, 0], falling[:, 0] - falling[:, 1]),
        (steps[:, 1], falling[:, 1] - falling[:, 2]),
        (steps[:, 2], falling[:, 2]),
    ]


WEIGHERS = {"tetrahedral": _tetrahedral, "trilinear": _trilinear}


@pytree
class Displacement:
    """T(x) = x + the displacement at x, trilinear between the nodes of a lattice.

    Beyond the box it is what it is at the border, so T is defined on all of R^3.

    Attributes:
        low, high: (3,) corners of the box.
        table: (n, n, n, 3) displacements.

    Example:
        >>> up = jnp.zeros((2, 2, 2, 3)).at[1].set(0.5)
        >>> Displacement(jnp.zeros(3), jnp.ones(3), up)(jnp.array([[0.5, 0.25, 2.0]]))
        Array([[0.75, 0.5 , 2.25]], dtype=float32)
    """

    low: Array
    high: Array
    table: Array

    def __call__(self, colors: Array) -> Array:
        low, high, table = (leaf.astype(colors.dtype) for leaf in (self.low, self.high, self.table))
        rows, moved = table.reshape(-1, 3), colors
        for place, weight in corners((colors - low) / (high - low), len(table), "trilinear"):
            moved = moved + weight[:, None] * rows.at[place].get(mode="promise_in_bounds")
        return moved


@jax.jit(static_argnames="size")
def spread(mu: Measure, low: Array, high: Array, size: int) -> Grid:
    """The measure on the nodes of a lattice, each mass shared among the eight around it.

    Total mass and, within the box, the mean are kept; counting nearest nodes would round it.

    Args:
        mu: n points in R^3; one outside the box counts at its border.
        low, high: (3,) corners of the box.
        size: nodes along each axis (static).

    Example:
        >>> mu = Measure(jnp.array([[0.5, 0.0, 0.75]]), jnp.ones(1))
        >>> spread(mu, jnp.zeros(3), jnp.ones(3), 2).weights[:, 0]
        Array([[0.125, 0.375],
               [0.125, 0.375]], dtype=float32)
    """
    weights = jnp.zeros(size**3, mu.weights.dtype)
    for place, share in corners((mu.points - low) / (high - low), size, "trilinear"):
        weights = weights.at[place].add(mu.weights * share.astype(mu.weights.dtype))
    axes = tuple(jnp.linspace(low[k], high[k], size, dtype=weights.dtype) for k in range(3))
    return Grid(axes, weights.reshape(size, size, size))
