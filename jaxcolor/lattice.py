"""Even lattices in a box: where colours lie between their nodes, and what that gives.

Both wings need it: tables of a LUT are read this way, and so are maps found on a grid.
"""

from collections.abc import Sequence

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
    # axis by axis: on (n, 3) at once XLA takes several times as long
    along = [jnp.clip(unit[:, c], 0, 1) * (size - 1) for c in range(3)]
    cell = [jnp.minimum(one.astype(jnp.int32), size - 2) for one in along]
    rest = [one - at.astype(one.dtype) for one, at in zip(along, cell, strict=True)]
    start = (cell[0] * size + cell[1]) * size + cell[2]
    strides = size * size, size, 1
    return [(start + offset, w) for offset, w in WEIGHERS[interpolation](rest, strides)]


def _trilinear(rest: Sequence[Array], strides: tuple[int, ...]) -> list[tuple[int | Array, Array]]:
    """The eight corners of a cell: offset into the table, weight (n,)."""
    corners = []
    for index in np.ndindex(2, 2, 2):
        weights = [part if up else 1 - part for part, up in zip(rest, index, strict=True)]
        offset = sum(stride for stride, up in zip(strides, index, strict=True) if up)
        corners.append((offset, weights[0] * weights[1] * weights[2]))
    return corners


def _tetrahedral(
    rest: Sequence[Array], strides: tuple[int, ...]
) -> list[tuple[int | Array, Array]]:
    """The four corners on the way from a cell's black to its white, greatest fraction first."""
    r, g, b = rest
    red, green, blue = (jnp.int32(stride) for stride in strides)
    high, low = jnp.maximum(r, g), jnp.minimum(r, g)
    most, least = jnp.maximum(high, b), jnp.minimum(low, b)
    middle = jnp.maximum(low, jnp.minimum(high, b))
    first = jnp.where(r == most, red, jnp.where(g == most, green, blue))
    last = jnp.where(b == least, blue, jnp.where(g == least, green, red))
    white = red + green + blue
    weights = [1 - most, most - middle, middle - least, least]
    return list(zip([0, first, white - last, white], weights, strict=True))


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
