"""Gaussian mixtures fitted to weighted measures by expectation maximisation."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import Info, Status
from jaxcolor.maps import HIGHEST
from jaxcolor.measure import Measure
from jaxcolor.transport.gaussian import rounding
from jaxcolor.transport.mixture import (
    GaussianMixture,
    joint,
    log_density,
    lower,
    posterior,
    whitened,
)
from jaxcolor.transport.quantize import assign, quantize

CANDIDATES = (1, 2, 3, 5, 8, 12, 16)


@jax.jit(static_argnames=("components", "steps"))
def fit(
    mu: Measure,
    components: int,
    key: Array,
    *,
    steps: int = 100,
    tol: Array | float = 1e-4,
    ridge: Array | float = 1e-5,
) -> tuple[GaussianMixture, Info]:
    """The mixture of K Gaussians of greatest likelihood, sum_i w_i log sum_k pi_k N(x_i; m_k, S_k).

    A local maximum: from the clusters of k-means, responsibilities r_ik and the moments that they
    give in turn, until the mean log-likelihood grows by less than `tol` a step. All in logarithms,
    and the moments in coordinates in which the last covariance is the identity: float32 keeps its
    digits. A component that runs empty stays where it is, with weight zero.

    Args:
        mu: n points in R^d; points of weight zero are padding.
        components: K (static).
        key: typed PRNG key; it draws the first centres.
        steps: at most so many (static).
        tol: in nats.
        ridge: added to each covariance's diagonal, as a share of the mean variance of all points;
            it keeps a component from collapsing onto one colour.

    Returns:
        The mixture, and `Info`: MAX_STEPS where steps ran out, its error the last gain in nats,
        its history (steps,) the mean log-likelihood (per unit of mass).

    Raises:
        ValueError: where components or steps is below one.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> mu = point_cloud([[0.0], [2.0], [10.0], [12.0]])
        >>> fit(mu, 2, jax.random.key(0))[0].means.ravel().sort().round(2)
        Array([ 1., 11.], dtype=float32)

    Reference:
        Dempster, Laird, Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    """
    if components < 1 or steps < 1:
        raise ValueError(f"components and steps must be at least 1, got {components} and {steps}")
    dtype = mu.points.dtype
    tol, ridge = jnp.asarray(tol, dtype), jnp.asarray(ridge, dtype)
    weights = mu.weights / mu.weights.sum()
    points = mu.points.T
    mean = jnp.matmul(points, weights, precision=HIGHEST)
    variance = jnp.matmul((points - mean[:, None]) ** 2, weights, precision=HIGHEST).mean()
    floor = jnp.maximum(ridge * variance, rounding(mean).max())

    def go(carry, _):
        mixture, before, _, count = carry
        each, total = posterior(joint(mixture, points))
        likelihood = jnp.matmul(jnp.where(weights > 0, total, 0), weights, precision=HIGHEST)
        gain = likelihood - before
        mixture = _maximized(mixture, points, weights[None] * each, floor)
        return (mixture, likelihood, gain, count + 1), likelihood

    def step(carry, _):
        return jax.lax.cond(carry[2] > tol, go, lambda c, _: (c, c[1]), carry, None)

    start = _start(mu, components, key, points, weights, floor)
    begin = start, jnp.asarray(-jnp.inf, dtype), jnp.asarray(jnp.inf, dtype), jnp.int32(0)
    (found, _, gain, count), history = jax.lax.scan(step, begin, None, steps)
    status = jnp.where(gain > tol, Status.MAX_STEPS, Status.OK)
    status = jnp.where(jnp.isfinite(history[-1]), status, Status.NONFINITE).astype(jnp.int8)
    return found, Info(status, count, count, gain, history)


def _start(mu, components: int, key: Array, points: Array, weights: Array, floor: Array):
    """The moments of k-means' clusters."""
    centres = quantize(mu, components, key, steps=10).points
    labels = assign(mu.points, centres)
    sides = jnp.arange(components, dtype=labels.dtype)[:, None] == labels[None]
    d = len(points)
    flat = jnp.broadcast_to(jnp.eye(d, dtype=points.dtype), (components, d, d))
    some = jnp.full(components, 1 / components, points.dtype)
    own = jnp.where(sides, weights[None], 0)
    return _maximized(GaussianMixture(some, centres, flat), points, own, floor)


def _maximized(mixture: GaussianMixture, points: Array, shares: Array, floor: Array):
    """The moments of the points (d, n) under shares (K, n) of their weights.

    Summed where the component's old covariance is the identity, then brought back.
    """

    def products(one):
        y, share = one
        rows = jnp.concatenate([y, jnp.ones_like(y[:1])])
        return jnp.matmul(rows * share[None], rows.T, precision=HIGHEST)

    # one component after the other: what it takes stays in the cache
    sums = jax.lax.map(products, (whitened(mixture, points), shares))  # (K, d + 1, d + 1)
    masses = sums[:, -1, -1]
    some = masses > 0
    each = sums / jnp.where(some, masses, 1)[:, None, None]
    shift = each[:, :-1, -1]
    second = each[:, :-1, :-1] - shift[:, :, None] * shift[:, None]
    root = lower(mixture.covariances)
    means = mixture.means + jnp.einsum("kij,kj->ki", root, shift, precision=HIGHEST)
    covariances = jnp.einsum("kij,kjl,kml->kim", root, second, root, precision=HIGHEST)
    covariances = covariances + floor * jnp.eye(len(points), dtype=points.dtype)[None]
    return GaussianMixture(
        masses,
        jnp.where(some[:, None], means, mixture.means),
        jnp.where(some[:, None, None], covariances, mixture.covariances),
    )


@jax.jit
def log_likelihood(mixture: GaussianMixture, mu: Measure) -> Array:
    """The mean of log p over the measure, in nats.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> one = GaussianMixture(jnp.ones(1), jnp.zeros((1, 1)), jnp.ones((1, 1, 1)))
        >>> round(float(log_likelihood(one, point_cloud([[0.0]]))), 4)
        -0.9189
    """
    logs = jnp.where(mu.weights > 0, log_density(mixture, mu.points), 0)
    return jnp.matmul(logs, mu.weights, precision=HIGHEST) / mu.weights.sum()


def bic(mixture: GaussianMixture, mu: Measure, count: int) -> float:
    """The Bayesian information criterion of a fit, -2 N l + p log N; the lower the better.

    Args:
        mixture: K components.
        mu: the measure.
        count: N, the number of independent observations that the measure stands for.

    Reference:
        Schwarz (1978), Estimating the dimension of a model.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> one = GaussianMixture(jnp.ones(1), jnp.zeros((1, 1)), jnp.ones((1, 1, 1)))
        >>> round(bic(one, point_cloud([[0.0]]), 10), 2)
        22.98
    """
    components, d = mixture.means.shape
    parameters = components * (1 + d + d * (d + 1) // 2) - 1
    return float(-2 * count * log_likelihood(mixture, mu) + parameters * jnp.log(float(count)))


def select(
    mu: Measure,
    key: Array,
    *,
    count: int | None = None,
    candidates: Iterable[int] = CANDIDATES,
    steps: int = 100,
    tol: float = 1e-4,
    ridge: float = 1e-5,
) -> GaussianMixture:
    """The fit with the lowest `bic` of several numbers of components.

    Args:
        mu: n points.
        key: as for `fit`.
        count: as for `bic`; by default the number of points that have weight.
        candidates: numbers of components.
        steps, tol, ridge: as for `fit`.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> x = jax.random.normal(jax.random.key(0), (400, 1))
        >>> len(select(point_cloud(x), jax.random.key(0), candidates=(1, 2)).weights)
        1
    """
    count = int((mu.weights > 0).sum()) if count is None else count
    fits = [fit(mu, k, key, steps=steps, tol=tol, ridge=ridge)[0] for k in candidates]
    return min(fits, key=lambda mixture: bic(mixture, mu, count))


def likeliest(mu: Measure, components: int, key: Array, starts: int, **how) -> GaussianMixture:
    """The fit of greatest likelihood from several starts.

    Args:
        mu, components, key: as for `fit`.
        starts: how many fits to make.
        how: the other arguments of `fit`.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> mu = point_cloud([[0.0], [2.0], [10.0], [12.0]])
        >>> likeliest(mu, 2, jax.random.key(0), 2).weights
        Array([0.5, 0.5], dtype=float32)
    """
    fits = [fit(mu, components, one, **how) for one in jax.random.split(key, starts)]
    return max(fits, key=lambda one: float(one[1].history[-1]))[0]
