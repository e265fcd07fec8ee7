"""Maps of colours from plans between Gaussian mixtures."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.maps import HIGHEST
from jaxcolor.transport import gaussian
from jaxcolor.transport.mixture import GaussianMixture, couple, responsibilities
from jaxcolor.tree import pytree, static

LEVELS = 2.0**20  # to a unit: colours this near to each other are drawn alike


@pytree
class MixtureMap:
    """Transport of colours by a plan between mixtures: affine maps, shared by responsibilities.

    A colour x belongs to pair e = (k, l) with probability p_e(x) = r_k(x) w_kl / pi_k. 'mean' moves
    it to T_mean(x) = sum_e p_e(x) T_e(x), smooth. 'rand' moves it by one T_e, drawn with that
    probability by a hash of x and the key: equal colours go the same way, and the source as a
    whole goes onto the target, which T_mean narrows.

    Attributes:
        source: the mixture of the source.
        rows: (E,) int32, the component k of each pair.
        shares: (E,) w_kl / pi_k.
        matrices: (E, d, d) and offsets: (E, d), the optimal map of each pair.
        key: typed PRNG key, of 'rand'.
        draw: 'mean' or 'rand'.

    Reference:
        Delon, Desolneux (2020), section 6.3.
    """

    source: GaussianMixture
    rows: Array
    shares: Array
    matrices: Array
    offsets: Array
    key: Array
    draw: str = static(default="mean")

    def __call__(self, colors: Array) -> Array:
        source, shares, matrices, offsets = jax.tree.map(
            lambda leaf: leaf.astype(colors.dtype),
            (self.source, self.shares, self.matrices, self.offsets),
        )
        chances = shares[:, None] * responsibilities(source, colors).T[self.rows]  # (E, n)
        if self.draw == "rand":
            chances = _drawn(chances, colors, self.key)
        # sum_e p_e (A_e x + b_e): one product with the (E, d d + d) numbers of all pairs
        count, d = offsets.shape
        table = jnp.concatenate([matrices.reshape(count, -1), offsets], 1)
        mixed = jnp.matmul(table.T, chances, precision=HIGHEST)
        moved = (mixed[: d * d].reshape(d, d, -1) * colors.T[None]).sum(1) + mixed[d * d :]
        return moved.T


def _drawn(chances: Array, colors: Array, key: Array) -> Array:
    """(E, n) one-hot: for each colour the pair in which a uniform number falls."""
    # not the bits themselves: rounding differs with the program that made the colour
    words = jax.lax.bitcast_convert_type(jnp.rint(colors * LEVELS).astype(jnp.int32), jnp.uint32)

    def uniform(word):
        mine = key
        for one in word:
            mine = jax.random.fold_in(mine, one)
        return jax.random.uniform(mine, (), chances.dtype)

    sums = jnp.cumsum(chances, 0)
    passed = sums > jax.vmap(uniform)(words)[None] * sums[-1:]
    before = jnp.concatenate([jnp.zeros_like(passed[:1]), passed[:-1]])
    return (passed & ~before).astype(chances.dtype)


_maps = jax.jit(jax.vmap(gaussian.between))


def solve(
    source: GaussianMixture,
    target: GaussianMixture,
    *,
    draw: str = "mean",
    key: Array | None = None,
) -> MixtureMap:
    """The map of the optimal plan between two mixtures.

    Args:
        source, target: K0 and K1 components in R^d, the source's covariances positive definite.
        draw: 'mean' or 'rand', see `MixtureMap`.
        key: of 'rand', by default `jax.random.key(0)`.

    Raises:
        ValueError: for another draw.
        RuntimeError: as `couple`.

    Example:
        >>> one = GaussianMixture(jnp.ones(1), jnp.zeros((1, 1)), jnp.ones((1, 1, 1)))
        >>> other = GaussianMixture(jnp.ones(1), jnp.ones((1, 1)), 4 * jnp.ones((1, 1, 1)))
        >>> solve(one, other)(jnp.array([[1.0]]))
        Array([[3.]], dtype=float32)

    Reference:
        Delon, Desolneux (2020), section 6.3.
    """
    if draw not in ("mean", "rand"):
        raise ValueError(f"draw must be 'mean' or 'rand', got {draw!r}")
    plan = couple(source, target)
    rows, cols = plan.rows, plan.cols
    pairs = _maps(
        source.means[rows], source.covariances[rows], target.means[cols], target.covariances[cols]
    )
    weights = plan.a[rows]
    shares = jnp.where(weights > 0, plan.mass / jnp.where(weights > 0, weights, 1), 0)
    key = jax.random.key(0) if key is None else key
    return MixtureMap(source, rows, shares, pairs.matrix, pairs.offset, key, draw)
