"""Optimal transport on the line: monotone rearrangement, on binned measures."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST, Quantile
from jaxcolor.measure import Measure

# a share of the mass that counts for nothing: what all knots together get before smoothing
RARE = 1e-3
FLAT = 1e-5  # a share of the window that pulls its line level


def deposit(t: Array, weights: Array, knots: int) -> Array:
    """Masses (n,) at positions t (n,), in units of knots, each on the nearest knot.

    Not shared between two: the halves of one atom would go to different quantiles, and the map
    have a cliff where the source has a point.
    """
    nearest = jnp.clip(jnp.rint(t), 0, knots - 1).astype(jnp.int32)
    return jnp.zeros(knots, t.dtype).at[nearest].add(weights, mode="promise_in_bounds")


def rearrange(a: Array, b: Array, bounds: tuple[Array, Array] | None = None) -> Array:
    """The monotone map of one binned measure onto another, in units of knots.

    T(i) = G^-1(F(i)): F(i) counts half of knot i's own mass (the middle of the quantiles that it
    occupies), G spreads each knot's mass evenly over its cell [j - 1/2, j + 1/2]. Knots without
    mass in `a` interpolate the displacement of their neighbours; beyond the support it stays.

    Args:
        a: (knots,) masses >= 0, not all zero; any total.
        b: likewise, on the same knots.
        bounds: T stays between these two; by default wherever the cells reach.

    Returns:
        (knots,) displacement T(i) - i.

    Example:
        >>> rearrange(jnp.array([1.0, 0.0, 0.0, 0.0]), jnp.array([0.0, 0.0, 2.0, 0.0]))
        Array([2., 2., 2., 2.], dtype=float32)
    """
    knots = a.shape[0]
    index = jnp.arange(knots)
    tiny = jnp.finfo(a.dtype).tiny
    a = a / jnp.maximum(a.sum(), tiny)
    b = b / jnp.maximum(b.sum(), tiny)
    middle = jnp.cumsum(a) - a / 2
    above = jnp.cumsum(b)
    cell = jnp.minimum(jnp.searchsorted(above, middle, method="scan_unrolled"), knots - 1)
    inside = (middle - (above - b)[cell]) / jnp.maximum(b[cell], tiny)
    reached = cell.astype(a.dtype) + jnp.clip(inside, 0, 1) - 0.5
    if bounds is not None:
        reached = jnp.clip(reached, *bounds)
    shift = reached - index.astype(a.dtype)

    occupied = a > 0
    before = jax.lax.cummax(jnp.where(occupied, index, -1))
    after = jax.lax.cummin(jnp.where(occupied, index, knots), reverse=True)
    # beyond the support both neighbours are its end
    before, after = jnp.maximum(before, after[0]), jnp.minimum(after, before[-1])
    rest = (index - before).astype(a.dtype) / jnp.maximum(after - before, 1).astype(a.dtype)
    return shift[before] + jnp.clip(rest, 0, 1) * (shift[after] - shift[before])


def axis_map(
    x: Array, a: Array, y: Array, b: Array, knots: int, blur: float | Array = 0.0
) -> tuple[Array, Array, Array]:
    """The 1-D map of sum a_i delta(x_i) onto sum b_j delta(y_j), as a table for `maps.lookup`.

    Args:
        x, a: (n,) positions and masses of the source; y, b: (m,) of the target.
        knots: number of evenly spaced knots over the union of both supports.
        blur: standard deviation, a length on the line, by which the displacement is smoothed.

    Returns:
        low (), step (), shift (knots,).
    """
    both = binned(x, a, y, b, knots)
    # within the target's support: binning never invents a colour, and a flat target is hit exactly
    shift = rearrange(both.a, both.b, both.target)
    return both.low, both.step, both.step * _smooth(shift, both.a, blur / both.step)


def _smooth(shift: Array, a: Array, width: Array) -> Array:
    """A displacement by local lines, each fitted in a Gaussian window of mass `a`.

    What is linear, a translation or the map onto one point, stays as it is (a local mean would
    flatten it); so does everything for a width of 0.

    Args:
        shift, a: (knots,). width: standard deviation in knots.

    Reference:
        Cleveland (1979), Robust locally weighted regression and smoothing scatterplots.
    """
    # knots^2 exponentials, so only if someone wants them
    return jax.lax.cond(width > 0, _local_lines, lambda shift, *_: shift, shift, a, width)


def _local_lines(shift: Array, a: Array, width: Array) -> Array:
    knots = shift.shape[0]
    # where there is hardly a colour all knots count alike: rounding must not decide
    weight = a / jnp.maximum(a.sum(), jnp.finfo(a.dtype).tiny) + RARE / knots
    index = jnp.arange(knots, dtype=shift.dtype)
    width = jnp.minimum(width, knots)
    away = (index[None] - index[:, None]) / jnp.where(width > 0, width, 1)
    window = jnp.exp(-(away**2) / 2)
    columns = jnp.stack([weight, weight * shift], 1)
    s0, t0 = jnp.matmul(window, columns, precision=HIGHEST).T
    s1, t1 = jnp.matmul(window * away, columns, precision=HIGHEST).T
    s2 = jnp.matmul(window * away**2, weight, precision=HIGHEST)
    s2 = s2 + FLAT * s0  # a window with one knot has no slope
    return (s2 * t0 - s1 * t1) / (s0 * s2 - s1**2)


def axis_maps(
    frame: Array,
    x: Array,
    a: Array,
    y: Array,
    b: Array,
    knots: int,
    blur: float | Array = 0.0,
) -> tuple[Array, Array, Array]:
    """`axis_map` between the projections of two clouds onto each row of a frame.

    One row at a time: XLA's scatter into several rows at once takes a CPU five times longer.

    Args:
        frame: (K, d) directions. x: (d, n) and y: (d, m), coordinates first. a, b: masses.
        blur: as for `axis_map`.

    Returns:
        low (K,), step (K,), shift (K, knots).
    """

    def fit(direction):
        here, there = (jnp.matmul(direction, z, precision=HIGHEST) for z in (x, y))
        return axis_map(here, a, there, b, knots, blur)

    return jax.lax.map(fit, frame)


class Binned(NamedTuple):
    """Two measures on the same knots low + step * (0 .. knots - 1).

    Attributes:
        low, step: scalars.
        a, b: (knots,) masses of the source and of the target.
        source, target: the two ends of each support, in knots.
    """

    low: Array
    step: Array
    a: Array
    b: Array
    source: tuple[Array, Array]
    target: tuple[Array, Array]

    def shift(self) -> Array:
        """(knots,) by how far the monotone map moves the source, a length; within the target."""
        return self.step * rearrange(self.a, self.b, self.target)


def binned(x: Array, a: Array, y: Array, b: Array, knots: int) -> Binned:
    """sum a_i delta(x_i) and sum b_j delta(y_j) on evenly spaced knots over both supports."""
    x0, x1 = _support(x, a)
    y0, y1 = _support(y, b)
    low, high = jnp.minimum(x0, y0), jnp.maximum(x1, y1)
    # both supports one and the same point: any positive step will do
    step = jnp.maximum((high - low) / (knots - 1), jnp.finfo(x.dtype).eps * (1 + jnp.abs(low)))
    return Binned(
        low,
        step,
        a=deposit((x - low) / step, a, knots),
        b=deposit((y - low) / step, b, knots),
        source=((x0 - low) / step, (x1 - low) / step),
        target=((y0 - low) / step, (y1 - low) / step),
    )


def check_shapes(source: Measure, target: Measure, knots: int) -> None:
    """What every solver by projections asks for.

    Raises:
        ValueError: where dimensions differ, or fewer than two knots are asked for.
    """
    shapes = source.points.shape, target.points.shape
    if shapes[0][1] != shapes[1][1]:
        raise ValueError(f"source and target differ in dimension: {shapes[0]} and {shapes[1]}")
    if knots < 2:
        raise ValueError(f"knots must be at least 2, got {knots}")


def _support(x: Array, weights: Array) -> tuple[Array, Array]:
    """The least and the greatest position that carries mass."""
    inside = weights > 0
    return jnp.where(inside, x, jnp.inf).min(), jnp.where(inside, x, -jnp.inf).max()


@jax.jit(static_argnames="knots")
def solve(source: Measure, target: Measure, *, knots: int = 4096) -> Quantile:
    """Channel-wise transport: each coordinate by its own monotone map, T_c = G_c^-1 . F_c.

    Optimal for each coordinate's distribution and any convex cost; the joint distribution is not
    matched (that is `sliced`). Histogram matching in other words.

    Args:
        source: n points in R^d. target: m points in R^d. Total masses may differ.
        knots: resolution of the binned distribution functions.

    Returns:
        A `Quantile` map with one frame, the identity.

    Raises:
        ValueError: where dimensions differ, or knots < 2.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> T = solve(point_cloud([[0.0], [1.0]]), point_cloud([[2.0], [4.0]]))
        >>> T(jnp.array([[0.0], [1.0]])).round(2)
        Array([[2.],
               [4.]], dtype=float32)

    Reference:
        Santambrogio (2015), Optimal Transport for Applied Mathematicians, theorem 2.9.
    """
    check_shapes(source, target, knots)
    frame = jnp.eye(source.points.shape[1], dtype=source.points.dtype)
    x, y = source.points.T, target.points.T
    tables = axis_maps(frame, x, source.weights, y, target.weights, knots)
    return Quantile(frame[None], *(leaf[None] for leaf in tables))
