"""Transport between mixtures of Gaussians, by plans that are Gaussian mixtures themselves."""

from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.iterate import check
from jaxcolor.maps import HIGHEST
from jaxcolor.transport import exact, gaussian
from jaxcolor.transport.kernels import Dense
from jaxcolor.transport.sparse import SparseCoupling
from jaxcolor.tree import pytree

LARGEST = 100_000  # tuples of components that a barycenter looks at


@pytree
class GaussianMixture:
    """sum_k pi_k N(m_k, S_k).

    Attributes:
        weights: pi (K,) >= 0; a component of weight zero is legal padding.
        means: (K, d).
        covariances: (K, d, d), positive definite for densities, semi-definite for transport.
    """

    weights: Array
    means: Array
    covariances: Array


def lower(covariances: Array) -> Array:
    """(K, d, d) lower triangular L with L L' = S."""
    return jnp.linalg.cholesky(covariances)


def whitened(mixture: GaussianMixture, points: Array) -> Array:
    """(K, d, n) L_k^-1 (x - m_k) of points (d, n): standard normal under component k."""
    d, n = points.shape
    eye = jnp.broadcast_to(jnp.eye(d, dtype=points.dtype), mixture.covariances.shape)
    inverse = jax.lax.linalg.triangular_solve(
        lower(mixture.covariances), eye, left_side=True, lower=True
    )
    offset = jnp.einsum("kij,kj->ki", inverse, mixture.means, precision=HIGHEST)
    # all components in one product of (K d, d) and (d, n)
    y = jnp.matmul(inverse.reshape(-1, d), points, precision=HIGHEST)
    return y.reshape(-1, d, n) - offset[:, :, None]


def joint(mixture: GaussianMixture, points: Array) -> Array:
    """(K, n) log pi_k + log N(x; m_k, S_k) of points (d, n); -inf where pi_k is zero."""
    d = len(points)
    y = whitened(mixture, points)
    diagonal = jnp.diagonal(lower(mixture.covariances), axis1=1, axis2=2)
    some = mixture.weights > 0
    height = jnp.log(jnp.where(some, mixture.weights, 1)) - jnp.log(diagonal).sum(1)
    height = jnp.where(some, height - d / 2 * np.log(2 * np.pi).astype(points.dtype), -jnp.inf)
    # term by term: XLA's sum over an axis that is not the last takes a CPU many times as long
    squared = reduce(jnp.add, [y[:, i] * y[:, i] for i in range(d)])
    return height[:, None] - squared / 2


def posterior(logs: Array) -> tuple[Array, Array]:
    """exp l_k over sum_j exp l_j (K, n), and log sum_j exp l_j (n,), of l (K, n)."""
    fixed = jax.lax.stop_gradient(logs)
    # by a loop: XLA would find the maximum anew wherever it is used
    top, _ = jax.lax.scan(lambda top, row: (jnp.maximum(top, row), None), fixed[0], fixed[1:])
    top = jnp.where(jnp.isfinite(top), top, 0)
    each = jnp.exp(logs - top[None])
    total = reduce(jnp.add, each)
    return each / total[None], top + jnp.log(total)


@jax.jit
def log_density(mixture: GaussianMixture, points: Array) -> Array:
    """log p (n,) of points (n, d), in nats.

    Example:
        >>> one = GaussianMixture(jnp.ones(1), jnp.zeros((1, 1)), jnp.ones((1, 1, 1)))
        >>> round(float(log_density(one, jnp.zeros((1, 1)))[0]), 4)
        -0.9189
    """
    return posterior(joint(mixture, points.T))[1]


@jax.jit
def responsibilities(mixture: GaussianMixture, points: Array) -> Array:
    """(n, K) probability of each component given a point (n, d).

    Example:
        >>> two = GaussianMixture(jnp.ones(2) / 2, jnp.array([[0.0], [9.0]]), jnp.ones((2, 1, 1)))
        >>> responsibilities(two, jnp.array([[4.5]])).tolist()
        [[0.5, 0.5]]
    """
    return posterior(joint(mixture, points.T))[0].T


_each = jax.vmap(gaussian.distance, (None, None, 0, 0))
_every = jax.jit(jax.vmap(_each, (0, 0, None, None)))


def costs(source: GaussianMixture, target: GaussianMixture) -> Array:
    """(K0, K1) squared Bures-Wasserstein distances between components."""
    return _every(source.means, source.covariances, target.means, target.covariances)


def couple(source: GaussianMixture, target: GaussianMixture) -> SparseCoupling:
    """The optimal plan w between the components' weights; its value is MW_2^2.

    MW_2^2 = min sum_kl w_kl W_2^2(N_k, N_l) over w with marginals pi0, pi1: the least cost of plans
    that are Gaussian mixtures. MW_2 is a metric and at least W_2. At most K0 + K1 - 1 pairs move.

    On the host, like `exact.solve`: not under jit, vmap and grad.

    Raises:
        RuntimeError: where weights or moments are not finite, or masses differ.

    Example:
        >>> one = GaussianMixture(jnp.ones(1), jnp.zeros((1, 1)), jnp.ones((1, 1, 1)))
        >>> other = GaussianMixture(jnp.ones(1), jnp.ones((1, 1)), 4 * jnp.ones((1, 1, 1)))
        >>> couple(one, other).value
        Array(2., dtype=float32)

    Reference:
        Delon, Desolneux (2020), A Wasserstein-type distance in the space of Gaussian mixture
        models, proposition 4.
    """
    weights = [np.asarray(one.weights, np.float64) for one in (source, target)]
    dtype = source.means.dtype
    a, b = (jnp.asarray(each / each.sum(), dtype) for each in weights)
    coupling = exact.solve(Dense(costs(source, target)), a, b)
    check(coupling.info)
    return coupling


_between = jax.jit(jax.vmap(gaussian.geodesic, (0, 0, 0, 0, None)))


def geodesic(source: GaussianMixture, target: GaussianMixture, t: float) -> GaussianMixture:
    """The mixture at time t, 0 .. 1, of the shortest path for MW_2: K0 + K1 - 1 components.

    sum_kl w_kl N_kl(t), each pair on its own geodesic. (The path that is shortest for W_2 leaves
    the mixtures.)

    Example:
        >>> one = GaussianMixture(jnp.ones(1), jnp.zeros((1, 1)), jnp.ones((1, 1, 1)))
        >>> other = GaussianMixture(jnp.ones(1), jnp.ones((1, 1)), 9 * jnp.ones((1, 1, 1)))
        >>> geodesic(one, other, 0.5).covariances
        Array([[[4.]]], dtype=float32)

    Reference:
        Delon, Desolneux (2020), corollary 1.
    """
    plan = couple(source, target)
    ends = [leaf[plan.rows] for leaf in (source.means, source.covariances)]
    ends += [leaf[plan.cols] for leaf in (target.means, target.covariances)]
    return GaussianMixture(plan.mass, *_between(*ends, t))


def barycenter(
    mixtures: Sequence[GaussianMixture], weights: Sequence[float] | None = None
) -> GaussianMixture:
    """The mixture that minimises sum_j lambda_j MW_2^2(., mu_j).

    Exact, by the linear programme over tuples of components, one of each mixture: the barycenter of
    each tuple of Gaussians weighs what the programme gives it. At most sum_j K_j - J + 1 do.

    Args:
        mixtures: J >= 1 mixtures in R^d, whose component counts multiply to at most 100,000.
        weights: lambda (J,) >= 0; equal by default.

    Raises:
        ValueError: for more tuples than that, or weights that make no sense.
        RuntimeError: where the programme has no solution.

    Example:
        >>> one = GaussianMixture(jnp.ones(1), jnp.zeros((1, 1)), jnp.ones((1, 1, 1)))
        >>> other = GaussianMixture(jnp.ones(1), jnp.ones((1, 1)), 9 * jnp.ones((1, 1, 1)))
        >>> barycenter([one, other], [1, 1]).means
        Array([[0.5]], dtype=float32)

    Reference:
        Delon, Desolneux (2020), proposition 6.
    """
    counts = [len(one.weights) for one in mixtures]
    if np.prod(counts, dtype=float) > LARGEST:
        raise ValueError(
            f"components {counts} make more than {LARGEST:,} tuples: take fewer mixtures at once, "
            "or fewer components"
        )
    shares = np.ones(len(counts)) if weights is None else np.asarray(weights, float)
    if shares.shape != (len(counts),) or (shares < 0).any() or not shares.sum() > 0:
        raise ValueError(f"{len(counts)} mixtures need as many weights >= 0, got {weights}")
    shares = shares / shares.sum()
    tuples = np.indices(counts).reshape(len(counts), -1)  # (J, T)
    parts = [(one.means[k], one.covariances[k]) for one, k in zip(mixtures, tuples, strict=True)]
    means, covariances = (jnp.stack(part, 1) for part in zip(*parts, strict=True))
    cost, centre, spread = _centres(means, covariances, jnp.asarray(shares, means.dtype))
    masses = _programme(np.asarray(cost, np.float64), tuples, mixtures)
    some = np.flatnonzero(masses > 0)
    return GaussianMixture(jnp.asarray(masses[some], means.dtype), centre[some], spread[some])


@jax.jit
def _centres(means: Array, covariances: Array, shares: Array):
    """Barycenters of T tuples of J Gaussians, and what each costs a unit of mass."""

    def one(means, covariances):
        mean, covariance = gaussian.barycenter(means, covariances, shares)
        far = jax.vmap(gaussian.distance, (None, None, 0, 0))(mean, covariance, means, covariances)
        return jnp.matmul(shares, far, precision=HIGHEST), mean, covariance

    return jax.lax.map(lambda args: one(*args), (means, covariances), batch_size=1024)


def _programme(cost: np.ndarray, tuples: np.ndarray, mixtures) -> np.ndarray:
    """Masses (T,) of the tuples that have the mixtures' weights as marginals and cost least."""
    from scipy import sparse
    from scipy.optimize import linprog

    count = tuples.shape[1]
    rows = [
        sparse.csr_array((np.ones(count), (index, np.arange(count))), (len(one.weights), count))
        for index, one in zip(tuples, mixtures, strict=True)
    ]
    weights = [np.asarray(one.weights, np.float64) for one in mixtures]
    goal = np.concatenate([each / each.sum() for each in weights])
    found = linprog(cost, A_eq=sparse.vstack(rows, format="csc"), b_eq=goal, method="highs-ds")
    if found.x is None:
        raise RuntimeError(f"no barycenter was found: {found.message}")
    return found.x
