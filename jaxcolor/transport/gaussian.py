"""Transport between Gaussians: only means and covariances matter."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Info, Status
from jaxcolor.maps import HIGHEST, Affine
from jaxcolor.measure import Measure
from jaxcolor.transport.spectral import factor, singular

ROUNDS = 20  # of the barycenter's iteration, which gains a digit in one or two


def moments(mu: Measure) -> tuple[Array, Array]:
    """Mean (d,) and covariance (d, d) of a measure, normalised by its mass.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> moments(point_cloud([[0.0], [2.0]]))
        (Array([1.], dtype=float32), Array([[1.]], dtype=float32))
    """
    weights = mu.weights / mu.weights.sum()
    mean = jnp.matmul(weights, mu.points, precision=HIGHEST)
    centred = mu.points - mean[None]
    return mean, jnp.matmul((weights[:, None] * centred).T, centred, precision=HIGHEST)


def _factor(covariance: Array, least: Array | float = 0.0) -> Array:
    """L (d, d) with L L' = S, the directions with a variance of at most `least` left out."""
    columns = factor(covariance)
    return jnp.where((columns**2).sum(0)[None] > least, columns, 0)


def _coupled(factor0: Array, factor1: Array) -> tuple[Array, Array, Array]:
    """The optimal coupling of N(0, L0 L0') and N(0, L1 L1'): x = X z, y = Y z, z ~ N(0, I).

    L1' L0 = W diag(sigma) V', X = L0 V, Y = L1 W. Of all factors of the two covariances these are
    the nearest to each other, W_2^2 = |X - Y|^2, and Y' X = diag(sigma).

    Returns:
        X (d, d), Y (d, d), sigma (d,) >= 0. Where sigma is zero, so is Y: what S1 - Y Y' leaves of
        the target is independent of the source.
    """
    left, sigma, right = singular(_dot(factor1.T, factor0))
    return _dot(factor0, right), _dot(factor1, left), sigma


def _inverse(values: Array) -> Array:
    """1 / values, zero where they are zero."""
    some = values > 0
    return jnp.where(some, 1 / jnp.where(some, values, 1), 0)


@jax.custom_jvp
def _optimal(cov0: Array, cov1: Array, least: Array) -> Array:
    """The least positive T with T S0 T = S1, as far as there is one: Y diag(1 / sigma) Y'."""
    _, y, sigma = _coupled(_factor(cov0, least), _factor(cov1))
    return _dot(y * _inverse(sigma)[None], y.T)


@_optimal.defjvp
def _(primals, tangents):
    # d(T S0 T) = dS1 is a Sylvester equation, which X and Y make diagonal: finite where
    # eigenvalues meet or vanish
    cov0, cov1, least = primals
    x, y, sigma = _coupled(_factor(cov0, least), _factor(cov1))
    ends = y * _inverse(sigma)[None]
    moved = _dot(x.T, _dot(tangents[1], x)) - _dot(y.T, _dot(tangents[0], y))
    inner = moved * _inverse(sigma[:, None] + sigma[None])
    return _dot(ends, y.T), _dot(ends, _dot(inner, ends.T))


@jax.custom_jvp
def _bures(cov0: Array, cov1: Array) -> Array:
    x, y, sigma = _coupled(_factor(cov0), _factor(cov1))
    return ((x - y) ** 2).sum() + jnp.trace(_alone(cov1, y, sigma))


def _alone(covariance: Array, y: Array, sigma: Array) -> Array:
    """What the target varies by without the source, (d, d); without rounding where that is all."""
    return jnp.where((sigma > 0).all(), 0, covariance - _dot(y, y.T))


@_bures.defjvp
def _(primals, tangents):
    eye = jnp.eye(len(primals[0]), dtype=primals[0].dtype)

    def slope(one, other):
        return eye - _optimal(one, other, _negligible(jnp.trace(one)))

    change = slope(*primals) * tangents[0] + slope(*primals[::-1]) * tangents[1]
    return _bures(*primals), change.sum()


def _negligible(largest: Array) -> Array:
    """Variance that may be rounding, beside one so large."""
    return 32 * jnp.finfo(largest.dtype).eps * jax.lax.stop_gradient(largest)


@jax.jit
def distance(mean0: Array, cov0: Array, mean1: Array, cov1: Array) -> Array:
    """W_2^2 between N(mean0, cov0) and N(mean1, cov1), the squared Bures-Wasserstein distance.

    |m0 - m1|^2 + tr(S0 + S1 - 2 (S0^1/2 S1 S0^1/2)^1/2), computed without that difference: in
    float32 near distributions keep their digits. Its gradients are finite everywhere (zero for the
    root where a variance is zero).

    Args:
        mean0, mean1: (d,). cov0, cov1: (d, d), symmetric, positive semi-definite.

    Example:
        >>> distance(jnp.zeros(2), jnp.eye(2), jnp.ones(2), 4 * jnp.eye(2))
        Array(4., dtype=float32)

    Reference:
        Gelbrich (1990), On a formula for the L2 Wasserstein metric between measures on Euclidean
        and Hilbert spaces.
    """
    return ((mean0 - mean1) ** 2).sum() + _bures(cov0, cov1)


@jax.jit
def info(cov0: Array, cov1: Array) -> Info:
    """Whether a map carries N(., cov0) onto N(., cov1): INFEASIBLE unless ker S0, Im S1 meet in 0.

    Args:
        cov0, cov1: (d, d).

    Returns:
        `Info`; its error is the share of the target's variance that no map of the source reaches.

    Example:
        >>> flat, round = jnp.diag(jnp.array([1.0, 0.0])), jnp.eye(2)
        >>> int(info(round, flat).status), int(info(flat, round).status)
        (0, 3)
    """
    _, y, sigma = _coupled(_factor(cov0, _negligible(jnp.trace(cov0))), _factor(cov1))
    total = jnp.trace(cov1)
    lost = jnp.trace(_alone(cov1, y, sigma)) / jnp.where(total > 0, total, 1)
    fails = lost > jnp.sqrt(jnp.finfo(cov0.dtype).eps)
    status = jnp.where(fails, Status.INFEASIBLE, Status.OK).astype(jnp.int8)
    return Info(status, jnp.ones((), jnp.int32), jnp.zeros((), jnp.int32), lost)


@jax.jit
def between(mean0: Array, cov0: Array, mean1: Array, cov1: Array) -> Affine:
    """The optimal map N(mean0, cov0) -> N(mean1, cov1) for the squared distance.

    T(x) = mean1 + A (x - mean0), A = S0^-1/2 (S0^1/2 S1 S0^1/2)^1/2 S0^-1/2, symmetric and
    positive. Directions in which the source does not vary (eigenvalue below 32 eps of the
    greatest) keep slope one, so that T is defined, and collapses nothing, everywhere.

    Args:
        mean0, mean1: (d,). cov0, cov1: (d, d), symmetric, positive semi-definite.

    Example:
        >>> T = between(jnp.zeros(1), jnp.eye(1), jnp.ones(1), 4 * jnp.eye(1))
        >>> T(jnp.array([[1.0]]))
        Array([[3.]], dtype=float32)

    Reference:
        Pitie, Kokaram (2007), The linear Monge-Kantorovitch linear colour mapping, section 4.
    """
    columns = jax.lax.stop_gradient(factor(cov0))
    values = (columns**2).sum(0)
    least = jnp.maximum(_negligible(values.max()), rounding(mean0).max())
    moving = jnp.where(values > least, columns / jnp.sqrt(jnp.where(values > least, values, 1)), 0)
    still = jnp.eye(len(values), dtype=cov0.dtype) - _dot(moving, moving.T)
    still = jnp.where((values > least).all(), 0, still)
    matrix = _optimal(cov0, cov1, least) + still
    return Affine(matrix, mean1 - jnp.matmul(matrix, mean0, precision=HIGHEST))


@jax.jit
def geodesic(
    mean0: Array, cov0: Array, mean1: Array, cov1: Array, t: Array | float
) -> tuple[Array, Array]:
    """Mean (d,) and covariance (d, d) at time t of the shortest path between two Gaussians.

    The law of (1 - t) x + t y under their optimal coupling: with the map A of `between`,
    D S0 D with D = (1 - t) I + t A. Where no map exists x and y are coupled all the same.

    Args:
        mean0, cov0, mean1, cov1: as for `distance`.
        t: 0 .. 1.

    Example:
        >>> geodesic(jnp.zeros(1), jnp.eye(1), jnp.ones(1), 9 * jnp.eye(1), 0.5)
        (Array([0.5], dtype=float32), Array([[4.]], dtype=float32))

    Reference:
        McCann (1997), A convexity principle for interacting gases, example 1.7.
    """
    t = jnp.asarray(t, mean0.dtype)
    x, y, sigma = _coupled(_factor(cov0), _factor(cov1))
    moved = (1 - t) * x + t * y
    covariance = _dot(moved, moved.T) + t**2 * _alone(cov1, y, sigma)
    return (1 - t) * mean0 + t * mean1, covariance


@jax.jit
def diagonal(mean0: Array, cov0: Array, mean1: Array, cov1: Array) -> Affine:
    """The same for diagonal covariances: T_c(x) = mean1_c + (sd1_c / sd0_c)(x_c - mean0_c).

    A channel in which the source does not vary keeps its slope. Arguments as for `between`; only
    the diagonals are read.

    Reference:
        Reinhard, Ashikhmin, Gooch, Shirley (2001), Color transfer between images, eq. 10-11.

    Example:
        >>> diagonal(jnp.zeros(1), jnp.eye(1), jnp.ones(1), 4 * jnp.eye(1)).matrix
        Array([[2.]], dtype=float32)
    """
    source, target = jnp.diagonal(cov0), jnp.diagonal(cov1)
    varies = source > rounding(mean0)
    ratio = jnp.where(varies, jnp.sqrt(target / jnp.where(varies, source, 1)), 1)
    return Affine(jnp.diag(ratio), mean1 - ratio * mean0)


@jax.jit
def barycenter(means: Array, covariances: Array, weights: Array) -> tuple[Array, Array]:
    """The Gaussian that minimises sum_k lambda_k W_2^2(., N(m_k, S_k)).

    Its mean is the mean of means; S is the fixed point of S <- A S A, A = sum_k lambda_k A_k the
    mean of the optimal maps' matrices from N(0, S) to N(0, S_k).

    Args:
        means: (K, d). covariances: (K, d, d). weights: lambda (K,) >= 0, divided by their sum.

    Returns:
        Mean (d,) and covariance (d, d).

    Example:
        >>> covariances = jnp.stack([jnp.eye(2), 9 * jnp.eye(2)])
        >>> barycenter(jnp.zeros((2, 2)), covariances, jnp.ones(2))[1].round(3)
        Array([[4., 0.],
               [0., 4.]], dtype=float32)

    Reference:
        Alvarez-Esteban, del Barrio, Cuesta-Albertos, Matran (2016), A fixed-point approach to
        barycenters in Wasserstein space, equation 12.
    """
    weights = (weights / weights.sum()).astype(means.dtype)
    nothing = jnp.zeros_like(means[0])

    def step(_, covariance):
        each = jax.vmap(lambda c: between(nothing, covariance, nothing, c).matrix)(covariances)
        mean = jnp.tensordot(weights, each, 1, precision=HIGHEST)
        return _dot(mean, _dot(covariance, mean))

    start = jnp.tensordot(weights, covariances, 1, precision=HIGHEST)
    mean = jnp.matmul(weights, means, precision=HIGHEST)
    return mean, jax.lax.fori_loop(0, ROUNDS, step, start)


def rounding(mean: Array) -> Array:
    """The variance that rounding alone gives to a constant: below it nothing varies."""
    return (32 * jnp.finfo(mean.dtype).eps * (1 + jnp.abs(mean))) ** 2


def _dot(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision=HIGHEST)


@jax.jit
def solve(source: Measure, target: Measure) -> Affine:
    """The optimal map between the Gaussians that have the two measures' moments.

    Args:
        source: n points in R^d. target: m points in R^d.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> x = jnp.array([[0.0], [1.0], [2.0]])
        >>> solve(point_cloud(x), point_cloud(3 * x))(x).round().ravel()
        Array([0., 3., 6.], dtype=float32)

    Reference:
        As `between`.
    """
    return between(*moments(source), *moments(target))
