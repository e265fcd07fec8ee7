"""Plans with few entries, from exact and 1-D solvers, and what can be asked of them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Info
from jaxcolor.transport.blocks import by_blocks
from jaxcolor.transport.kernels import Cloud, Kernel
from jaxcolor.transport.nearest import nearest
from jaxcolor.tree import pytree


@pytree
class SparseCoupling:
    """An unregularised plan, min <C, P> with P 1 = a and P' 1 = b, kept as its entries.

    Attributes:
        kernel: n x m costs.
        a: (n,) and b: (m,) weights.
        rows: (k,) and cols: (k,) int32, where the entries are.
        mass: (k,) what they are; zeros are padding, and pairs may repeat.
        f: (n,) and g: (m,) potentials in units of the cost: f_i + g_j <= C_ij (unless both points
            weigh nothing), with equality wherever mass moves, and b.g = 0.
        value: the problem's value, <C, P> = a.f + b.g; infinite where there is no plan.
        info: how the solve ended; `check(info)` raises if badly.
    """

    kernel: Kernel
    a: Array
    b: Array
    rows: Array
    cols: Array
    mass: Array
    f: Array
    g: Array
    value: Array
    info: Info


@jax.jit
def plan(coupling: SparseCoupling) -> Array:
    """(n, m) masses P_ij; memory O(n m), for small problems.

    Example:
        >>> from jaxcolor.transport import line_exact
        >>> half = jnp.array([0.5, 0.5])
        >>> x, y = jnp.array([0.0, 1.0]), jnp.array([3.0, 2.0])
        >>> plan(line_exact.couple(x, half, y, half))
        Array([[0. , 0.5],
               [0.5, 0. ]], dtype=float32)
    """
    empty = jnp.zeros(coupling.kernel.shape, coupling.mass.dtype)
    return empty.at[coupling.rows, coupling.cols].add(coupling.mass)


@jax.jit(static_argnames="axis")
def average(coupling: SparseCoupling, values: Array, axis: int = 1) -> Array:
    """Mean of values under the plan: for axis 1 sum_j P_ij values_j / sum_j P_ij.

    The barycentric image of each source point where values are the target's points; soft labels
    where they are one-hot. A point from which nothing moves gets the value of the point to which
    mass there would go first: the least C_ij - g_j over b_j > 0.

    Args:
        coupling: n x m.
        values: (m,) or (m, c); for axis 0 (n,) or (n, c), averaged over the source.
        axis: the axis summed over.

    Returns:
        (n,) or (n, c); for axis 0 (m,) or (m, c).

    Example:
        >>> from jaxcolor.transport import line_exact
        >>> half = jnp.array([0.5, 0.5])
        >>> x, y = jnp.array([0.0, 1.0]), jnp.array([3.0, 2.0])
        >>> average(line_exact.couple(x, half, y, half), y)
        Array([2., 3.], dtype=float32)
    """
    mean, moved = _mean(coupling, values, axis)
    alone = moved.reshape(-1, *(1,) * (values.ndim - 1)) <= 0

    def first_partner():
        index = _over_partners(lambda slack: slack.argmin(-1), coupling, axis)
        return values[index].astype(mean.dtype)

    # all n m costs, so only if someone needs them (under vmap: always)
    return jnp.where(alone, jax.lax.cond(alone.any(), first_partner, lambda: mean), mean)


@jax.jit(static_argnames="axis")
def potential(coupling: SparseCoupling, points: Array, axis: int = 1) -> Array:
    """The potential at any points, by c-transform: f(x) = min_j C(x, y_j) - g_j over b_j > 0.

    Args:
        coupling: solved on a `Cloud`.
        points: (k, d).
        axis: 1 for f; 0 for g(y) = min_i C(x_i, y) - f_i over a_i > 0.

    Returns:
        (k,), in units of the cost.

    Raises:
        ValueError: where the coupling was solved on a bare cost matrix.

    Example:
        >>> from jaxcolor.transport import line_exact
        >>> half = jnp.array([0.5, 0.5])
        >>> coupling = line_exact.couple(jnp.array([0.0, 1.0]), half, jnp.array([2.0, 3.0]), half)
        >>> bool((potential(coupling, jnp.array([[0.0], [1.0]])) == coupling.f).all())
        True
    """
    kernel = coupling.kernel.at(points, axis)
    return _over_partners(lambda slack: slack.min(-1), coupling, axis, kernel)


@jax.jit(static_argnames="axis")
def confidence(coupling: SparseCoupling, axis: int = 1) -> Array:
    """Transported mass over own mass: one, unless no plan was found; one where there is no mass.

    Args:
        coupling: n x m.
        axis: 1 for the source's points, 0 for the target's.

    Returns:
        (n,) or (m,), >= 0.

    Example:
        >>> from jaxcolor.transport import line_exact
        >>> half = jnp.array([0.5, 0.5])
        >>> coupling = line_exact.couple(jnp.array([0.0, 1.0]), half, jnp.array([2.0, 3.0]), half)
        >>> confidence(coupling)
        Array([1., 1.], dtype=float32)
    """
    weights = coupling.a if axis == 1 else coupling.b
    some = weights > 0
    return jnp.where(some, _moved(coupling, axis) / jnp.where(some, weights, 1), 1)


@pytree
class Nearest:
    """The map of a sparse plan: T(x) = x + T_i - x_i, x_i the nearest source point with weight.

    T_i is the barycentric image of x_i, met exactly there; between the points the displacement
    jumps, as the plan does, and is cut to the box around all images. Points that the plan leaves
    alone stay as they are. Defined on all of R^d.

    Attributes:
        coupling: solved on a `Cloud`.

    Example:
        >>> from jaxcolor.transport import line_exact
        >>> half = jnp.array([0.5, 0.5])
        >>> T = Nearest(line_exact.couple(jnp.array([0.0, 1]), half, jnp.array([2.0, 4]), half))
        >>> T(jnp.array([[0.0], [0.25], [1.0]]))
        Array([[2.  ],
               [2.25],
               [4.  ]], dtype=float32)
    """

    coupling: SparseCoupling

    def __call__(self, colors: Array) -> Array:
        if not isinstance(self.coupling.kernel, Cloud):
            raise ValueError(
                "a cost matrix knows no points: for a map solve on Cloud(x, y, cost), got "
                f"{type(self.coupling.kernel).__name__}"
            )
        return _carried(self.coupling, self.coupling.kernel, colors)


@jax.jit
def _carried(coupling: SparseCoupling, kernel: Cloud, colors: Array) -> Array:
    mean, moved = _mean(coupling, kernel.y, axis=1)
    image = jnp.where((moved > 0)[:, None], mean, kernel.x).astype(colors.dtype)
    x = kernel.x.astype(colors.dtype)
    index = nearest(colors, x, coupling.a > 0)
    # between the source's points a displacement may not lead out of the target's box
    inside = jnp.where((coupling.a > 0)[:, None], image, image[jnp.argmax(coupling.a)])
    low, high = (edge(inside, 0) for edge in (jnp.min, jnp.max))
    return jnp.clip(image[index] + (colors - x[index]), low, high)


def _sides(coupling: SparseCoupling, axis: int) -> tuple[Array, Array, int]:
    """Each entry's point on the side that is asked, its partner, and that side's size."""
    if axis == 1:
        return coupling.rows, coupling.cols, coupling.kernel.shape[0]
    return coupling.cols, coupling.rows, coupling.kernel.shape[1]


def _moved(coupling: SparseCoupling, axis: int) -> Array:
    """The plan's row masses (n,); for axis 0 its column masses (m,)."""
    own, _, size = _sides(coupling, axis)
    return jnp.zeros(size, coupling.mass.dtype).at[own].add(coupling.mass)


def _mean(coupling: SparseCoupling, values: Array, axis: int) -> tuple[Array, Array]:
    """`average`, zero where nothing moves, and the masses that do."""
    own, partner, size = _sides(coupling, axis)
    moved = _moved(coupling, axis)
    # shares first: a point with one partner gets its value to the last bit
    share = coupling.mass / jnp.where(moved > 0, moved, 1)[own]
    received = share.reshape(-1, *(1,) * (values.ndim - 1)) * values[partner]
    return jnp.zeros((size, *values.shape[1:]), received.dtype).at[own].add(received), moved


def _over_partners(
    reduction: Callable[[Array], Array],
    coupling: SparseCoupling,
    axis: int,
    kernel: Kernel | None = None,
) -> Array:
    """A reduction of C_ij - g_j (block, m), infinite where b_j = 0; for axis 0 of C_ij - f_i."""
    kernel = coupling.kernel if kernel is None else kernel
    weights, other = (coupling.b, coupling.g) if axis == 1 else (coupling.a, coupling.f)

    def block(costs):
        return reduction(jnp.where((weights > 0)[None], costs - other[None], jnp.inf))

    if not isinstance(kernel, Cloud):
        costs = kernel.dense()
        costs = costs if axis == 1 else costs.T
        return by_blocks(block, costs, costs.shape[1])
    x, y, cost = kernel.x, kernel.y, kernel.cost
    if axis == 1:
        return by_blocks(lambda rows: block(cost(rows, y)), x, len(y))
    return by_blocks(lambda columns: block(cost(x, columns).T), y, len(x))
